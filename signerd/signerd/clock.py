"""The one clock that is handed to whatever needs the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock for what is stored and signed, monotonic clock for intervals."""

    def now(self) -> int:
        """Give the wall clock in whole seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go backwards and know nothing of the date."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Give the wall clock in whole seconds since 1970, UTC."""
        return int(time.time())

    def monotonic(self) -> float:
        """Give the monotonic clock, with the time the machine slept (CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
