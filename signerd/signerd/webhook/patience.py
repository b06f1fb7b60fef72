"""How long to wait after a failure: twice as long each time, with a random part."""

from typing import Final

FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 3600.0  # between two attempts to deliver one event
LONGEST_PAUSE_SECONDS: Final = 300.0  # in which a receiver that is down gets no event at all
_MOST_DOUBLINGS: Final = 32  # keeps the product small


def find_delay(failures: int, chance: float, longest: float = LONGEST_SECONDS) -> float:
    """Give the seconds to wait.

    Args:
        failures: In a row, from 1.
        chance: From 0 up to 1, at random.
        longest: Bound before the random part.

    Returns:
        Half to one and a half times the doubled delay.
    """
    doubled = min(longest, FIRST_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
    return doubled * (0.5 + chance)
