"""What is wrong with a zone as its pipeline knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from signerd.alarm.alarm import Alarm


@dataclass(frozen=True, slots=True)
class ZoneCondition:
    """How a zone stands. Times are epoch seconds.

    Attributes:
        is_published: Whether a version is in service.
        last_error: Why the last attempt to sign and publish came to nothing.
        file_error: Why the zone file was refused.
        check_error: What is wrong with the version in service.
        next_due: When signatures must be made again; None if unknown or unsigned.
        expires_at: When the first signature expires; None if unknown or unsigned.
        is_tried: Whether it was tried since the start to sign it; before that its errors are not known.
    """

    is_published: bool
    last_error: str | None = None
    file_error: str | None = None
    check_error: str | None = None
    next_due: int | None = None
    expires_at: int | None = None
    is_tried: bool = True


def find_zone_alarms(condition: ZoneCondition, now: int, runway_seconds: int) -> Sequence[Alarm]:
    """Say what is wrong with a zone.

    Args:
        condition: How it stands.
        now: Epoch seconds.
        runway_seconds: A runway shorter than this is an alarm, in a zone whose signatures are overdue.
            If they do not last that long when they fall due, it is half of what they last then.
    """
    alarms: list[Alarm] = []
    if condition.last_error is not None:
        effect = "the last good version is served" if condition.is_published else "the zone is not served"
        text = f"it cannot be signed and published: {condition.last_error}; {effect}"
        alarms.append(Alarm("dnssec.sign_failed", text))
    if condition.file_error not in (None, condition.last_error):  # a zone that never was served has both
        text = f"its file is refused: {condition.file_error}"
        alarms.append(Alarm("zone.file_refused", text, "whoever keeps the file"))
    if condition.check_error is not None:
        alarms.append(Alarm("zone.check_failed", condition.check_error))
    if (alarm := _check_runway(condition, now, runway_seconds)) is not None:
        alarms.append(alarm)
    return alarms


def is_overdue(condition: ZoneCondition, now: int) -> bool:
    """Say if signatures should have been made by now."""
    return condition.next_due is not None and now > condition.next_due


def _check_runway(condition: ZoneCondition, now: int, runway_seconds: int) -> Alarm | None:
    expires_at, next_due = condition.expires_at, condition.next_due
    if expires_at is None:
        return None
    moment = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if expires_at <= now:
        text = f"a signature has expired on {moment}: validating resolvers get no answers"
        return Alarm("dnssec.expired", text, "the operator")
    if not is_overdue(condition, now) or next_due is None:
        return None
    bound = min(runway_seconds, (expires_at - next_due) // 2)
    if expires_at - now >= bound:
        return None
    text = f"signatures are overdue; the first expires on {moment}, then validating resolvers get no answers"
    return Alarm("dnssec.runway_short", text, "the operator")
