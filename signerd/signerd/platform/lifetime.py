"""Lifetimes as clients write them: `3600`, `3600s`, `2h`, `1h30m`, `1.5h`."""

import re
from decimal import Decimal
from typing import Final

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|h|m|s)")
_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
MAX_CHARACTERS: Final = 64


def parse_lifetime(text: str) -> int | None:
    """Read a lifetime in whole seconds; a fraction of a second is dropped.

    Args:
        text: Decimal seconds, or a duration as Go prints it (without micro- and nanoseconds).

    Returns:
        Seconds; None if the text has neither form.
    """
    if _NUMBER.fullmatch(text):
        return int(text)
    if not text or len(text) > MAX_CHARACTERS:
        return None
    total, position = Decimal(0), 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        total += Decimal(part[1]) * _MILLISECONDS[part[2]]
        position = part.end()
    return int(total / 1000)
