"""What the KMS needs to know of time."""

from typing import Protocol


class Clock(Protocol):
    """A wall clock."""

    def now(self) -> int:
        """Give whole seconds since 1970, UTC."""
        ...
