"""Which serial the next version of a zone gets."""

from datetime import UTC, datetime
from enum import StrEnum

from signerd.dns.serial import Serial, add, is_newer


class SerialPolicy(StrEnum):
    """Where new serials come from; whatever the policy, they always grow (RFC 1982)."""

    UNIXTIME = "unixtime"  # seconds since 1970
    INCREMENT = "increment"  # the zone file's serial if it is ahead, else one more than the last
    DATE = "date"  # YYYYMMDDnn, in UTC


def decide_serial(policy: SerialPolicy, *, published: int | None, source: int, now: int) -> Serial:
    """Decide the serial of the next version.

    A zone that was never published here may have been served elsewhere, unsigned, with the serial of its
    file, so its first serial is newer than that one: a secondary must see that there is something to fetch.

    Args:
        policy: Where the number comes from.
        published: Serial of the last published version, None for the first.
        source: Serial in the zone file.
        now: Wall clock, epoch seconds.

    Returns:
        A serial newer than `published`, or than `source` when nothing was published.
    """
    floor = source if published is None else published
    match policy:
        case SerialPolicy.UNIXTIME:
            wanted = now % 2**32
        case SerialPolicy.INCREMENT:
            wanted = source
        case SerialPolicy.DATE:
            wanted = int(datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")) * 100
    return Serial(wanted) if is_newer(wanted, floor) else add(floor, 1)
