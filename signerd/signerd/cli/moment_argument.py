"""Moments and spans of time on the command line of the simulator."""

import re
from datetime import UTC, datetime

from signerd.cli.command_errors import CommandFailed
from signerd.config.quantity import parse_duration

YEAR = 365 * 86400
_YEARS = re.compile(r"([0-9]{1,2})y(.*)")


def read_span(text: str) -> int:
    """Read a duration, which may begin with years: `3y`, `1y30d`, `14d`.

    Raises:
        CommandFailed: It is none.
    """
    match = _YEARS.fullmatch(text)
    try:
        if match is None:
            return parse_duration(text)
        return int(match[1]) * YEAR + (parse_duration(match[2]) if match[2] else 0)
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def read_moment(text: str, start: int) -> int:
    """Read a moment: a date, a date and time in UTC, or `+` and a duration after the start.

    Args:
        text: For example `2027-02-01`, `2027-02-01T12:00` or `+30d`.
        start: Epoch seconds.

    Raises:
        CommandFailed: It is none, or lies before the start.
    """
    if text.startswith("+"):
        return start + read_span(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"'{text}' is no moment; write 2027-02-01, 2027-02-01T12:00 or +30d") from None
    seconds = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if seconds < start:
        raise CommandFailed(f"'{text}' is before the start of the simulation")
    return seconds


def split_at(text: str, form: str) -> tuple[str, str]:
    """Split what stands before the `@` from the moment after it.

    Raises:
        CommandFailed: There is no `@`; the message shows the form.
    """
    what, separator, moment = text.rpartition("@")
    if not separator or not what:
        raise CommandFailed(f"'{text}' is not of the form {form}")
    return what, moment
