"""Times on the wire: RFC 3339, UTC, with `Z`."""

from datetime import UTC, datetime


def format_time(seconds: int) -> str:
    """Format seconds since 1970, UTC, such as `2027-01-15T08:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_optional_time(seconds: int | None) -> str | None:
    """Format a time that may be missing."""
    return None if seconds is None else format_time(seconds)
