"""A clock that is not believed, as an alarm of the board."""

from typing import Final

from signerd.alarm.alarm import Alarm

SOURCE: Final = "clock"


def find_clock_alarms(doubt: str | None) -> list[Alarm]:
    """Say that nothing goes on while the clock is not believed.

    Args:
        doubt: Why it is not; None if it is.
    """
    if doubt is None:
        return []
    return [Alarm("clock.not_believed", f"nothing is signed and no keys change: {doubt}", "the operator")]
