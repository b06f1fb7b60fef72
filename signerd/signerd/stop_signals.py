"""The signals that stop the server."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def outlive_repetitions() -> Generator[None]:
    """Let the stop signals do nothing while nobody waits for them.

    Once the server stops nothing waits for them any more, and by default the second one, of an impatient
    person or of a program that sends it to the process and to its group, would end the control process
    before its responders. A function and not SIG_IGN, which programs that are started would inherit.
    """
    former = {number: signal.signal(number, _do_nothing) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame
