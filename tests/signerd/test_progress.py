from io import StringIO

from rich.console import Console

from signerd.progress import TerminalProgress


class HandClock:
    """Moved by the test."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return int(self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def show(*, is_terminal: bool) -> tuple[TerminalProgress, HandClock, StringIO]:
    clock, screen = HandClock(), StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=100)
    return TerminalProgress(clock, console), clock, screen


def test_what_takes_longer_than_a_second_shows_a_bar() -> None:
    progress, clock, screen = show(is_terminal=True)
    with progress:
        progress.report("signing example.", 1, 10)
        clock.seconds = 1.5
        progress.report("signing example.", 4, 10)
    assert "signing example." in screen.getvalue()
    assert "4/10" in screen.getvalue()


def test_short_work_shows_nothing_also_after_long_work() -> None:
    progress, clock, screen = show(is_terminal=True)
    with progress:
        for round_of_work in range(3):
            clock.seconds = 10.0 * round_of_work
            progress.report("signing example.", 1, 10)
            progress.report("signing example.", 9, 10)
            progress.report("signing example.", 10, 10)
            progress.report("signing example.", 1, 1)
    assert screen.getvalue() == ""


def test_nothing_is_written_to_a_file() -> None:
    progress, clock, screen = show(is_terminal=False)
    with progress:
        progress.report("signing example.", 1, 10)
        clock.seconds = 5.0
        progress.report("signing example.", 5, 10)
    assert screen.getvalue() == ""
