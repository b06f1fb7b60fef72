"""Progress of long work, shown on a terminal and nowhere else."""

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from signerd.clock import Clock

SHOW_AFTER_SECONDS = 1.0


class TerminalProgress:
    """Bars on standard error for what takes longer than a second; any thread may report."""

    def __init__(self, clock: Clock, console: Console | None = None) -> None:
        self._clock = clock
        self._console = console or Console(stderr=True)
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:  # else nothing was begun, and ending it would write an empty line into a log
            self._progress.stop()

    def report(self, doing: str, done: int, total: int) -> None:
        """Take in how far something is.

        Args:
            doing: What; work with the same words is the same work.
            done: How much of it is done.
            total: How much there is; when all is done the bar goes away.
        """
        if not self._console.is_terminal:
            return
        with self._lock:
            now = self._clock.monotonic()
            started = self._started.setdefault(doing, now)
            if done >= total:
                self._started.pop(doing)
                if (bar := self._bars.pop(doing, None)) is not None:
                    self._progress.remove_task(bar)
                    if not self._bars:
                        self._progress.stop()
            elif doing in self._bars:
                self._progress.update(self._bars[doing], completed=done)
            elif now - started > SHOW_AFTER_SECONDS:
                self._progress.start()
                self._bars[doing] = self._progress.add_task(doing, total=total, completed=done)
