"""The one clock that is handed to whatever needs the time."""

import time
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


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


def read_boot_identity() -> str:
    """Tell the runs of the machine apart, in each of which the monotonic clock begins anew."""
    try:
        return _BOOT_FILE.read_text().strip()
    except OSError:
        return str(uuid4())  # each start of the program counts as one of the machine
