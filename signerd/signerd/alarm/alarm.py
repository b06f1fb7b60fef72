"""What can be wrong, and what is told of it, as values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from signerd_kms.identity import new_identity

MAX_TEXT: Final = 1000  # characters of an alarm: it is one line of a log and part of a webhook's body
_LENGTHS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong.

    Attributes:
        code: Stable, such as `rollover.parent_must_act`; the table in `signerd/README.md` has all.
        text: For people, one line.
        who: Must act; empty if nobody in particular.
        since: Epoch seconds; None: from when the board first heard of it.
    """

    code: str
    text: str
    who: str = ""
    since: int | None = None


@dataclass(frozen=True, slots=True)
class RaisedAlarm:
    """An alarm that is on.

    Attributes:
        source: Which part of the server says so.
        zone: Its name without final dot; empty if it is not about a zone.
        alarm: What is wrong.
        since: Epoch seconds.
        reminded_at: When people were last reminded of it, epoch seconds; None if never.
    """

    source: str
    zone: str
    alarm: Alarm
    since: int
    reminded_at: int | None = None

    @property
    def key(self) -> "AlarmKey":
        """What tells it from other alarms."""
        return self.source, self.zone, self.alarm.code

    def describe(self) -> str:
        """Print it as one line, without its age."""
        place = f"zone {self.zone}: " if self.zone else ""
        who = f" ({self.alarm.who} must act)" if self.alarm.who else ""
        return f"{place}{self.alarm.text}{who}"


AlarmKey = tuple[str, str, str]  # source, zone, code


class EventKind(StrEnum):
    """What happened."""

    BEGAN = "began"
    REMINDER = "reminder"  # it has been on for long
    ENDED = "ended"
    HAPPENED = "happened"  # once, and nothing is on
    TEST = "test"


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """Something to tell others, once.

    Attributes:
        kind: What happened.
        code: Of the alarm, or of what happened.
        zone: Its name without final dot; empty if it is not about a zone.
        text: For people, one line.
        at: Epoch seconds.
        who: Must act; empty if nobody in particular.
        since: When the alarm began, epoch seconds; None if there is none.
        source: Which part of the server says so.
        identity: Tells repetitions from new events.
    """

    kind: EventKind
    code: str
    zone: str
    text: str
    at: int
    who: str = ""
    since: int | None = None
    source: str = ""
    identity: str = field(default_factory=lambda: new_identity("evt"))


def tidy_text(text: str) -> str:
    """Give a text as one line of printable characters, and not longer than `MAX_TEXT`."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 3] + "..."


def format_age(seconds: int) -> str:
    """Print an age in its two largest units: `13d5h`, `5h3m`, `40s`."""
    rest, parts = max(0, seconds), list[str]()
    for unit, length in _LENGTHS:
        if rest >= length and len(parts) < 2:
            parts.append(f"{rest // length}{unit}")
        rest %= length
    return "".join(parts) or "0s"
