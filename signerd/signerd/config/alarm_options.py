"""Options of the alarms: when people are told, and of what not."""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field, field_validator

from signerd.config.section import Duration, Section, impossible
from signerd.config.spelling import suggest

DAY: Final = 86400
EVENT_GROUPS: Final = (
    "clock",
    "database",
    "disk",
    "dnssec",
    "kms",
    "responder",
    "rollover",
    "webhook",
    "zone",
)
"""What the codes of alarms and events begin with, up to the full stop."""
_PREFIX = re.compile(r"([a-z]+)(\.[a-z_]+)?\.?")


def explain_bad_code(text: str) -> str | None:
    """Say why a text is no code of an alarm or event, nor the beginning of one; None if it may be."""
    match = _PREFIX.fullmatch(text)
    if match is None:
        return f"{text!r} is no beginning of a code, such as rollover or kms.sealed"
    if match[1] not in EVENT_GROUPS:
        return f"no event begins with {match[1]!r}{suggest(match[1], EVENT_GROUPS)}"
    return None


def find_bad_codes(texts: tuple[str, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    """Find what is no code nor the beginning of one: path of each, and why."""
    return [((index,), reason) for index, text in enumerate(texts) if (reason := explain_bad_code(text))]


def matches(code: str, beginning: str) -> bool:
    """Say if a code is one, or begins with it up to a full stop."""
    return code == beginning or code.startswith(f"{beginning.rstrip('.')}.")


class Alarms(Section):
    """What needs a person, and how often people are reminded of it."""

    reminder: Annotated[Duration, Field(ge=60, le=90 * DAY)] = DAY
    runway: Annotated[Duration, Field(ge=0, le=90 * DAY)] = 3 * DAY
    ignore: Annotated[tuple[str, ...], Field(strict=False, max_length=10_000)] = ()

    @field_validator("ignore")
    @classmethod
    def _check_codes(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if problems := find_bad_codes(tuple(text.partition("@")[0] for text in texts)):
            raise impossible(problems)
        return texts

    def make_filter(self) -> Callable[[str, str], bool]:
        """Give a function that says of a code and a zone (without final dot) if that alarm is ignored."""
        ignored = [text.partition("@") for text in self.ignore]
        pairs = [(code, zone.lower().removesuffix(".") if at else None) for code, at, zone in ignored]

        def is_ignored(code: str, zone: str) -> bool:
            return any(matches(code, wanted) and where in (None, zone) for wanted, where in pairs)

        return is_ignored
