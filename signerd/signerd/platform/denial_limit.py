"""Keeps a flood of refused requests from filling the audit log."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from signerd.platform.request_record import RequestRecord

MAX_WATCHED: Final = 10_000  # bounds memory: beyond it, refusals of unwatched callers are counted as one
_MINUTE: Final = 60
_OTHERS: Final = ("", "")


@dataclass(slots=True)
class _Count:
    written: int = 0
    left_out: int = 0
    last: RequestRecord | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Refused requests of one caller in one minute that have no entries of their own.

    Attributes:
        organisation: Whose chain is to say so; None for the instance's, where there were too many callers.
        count: How many.
        last: The last of them.
    """

    organisation: str | None
    count: int
    last: RequestRecord


class DenialLimit:
    """Lets so many refusals of each caller through a minute, and counts the rest. Thread-safe."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[tuple[str, str], _Count] = {}

    def admit(self, record: RequestRecord, now: int) -> tuple[bool, Sequence[LeftOut]]:
        """Say if a record gets an entry of its own.

        Args:
            record: Of a request.
            now: Seconds since 1970, UTC.

        Returns:
            Whether it does, and what was left out in the minute that just ended.
        """
        if not 400 <= record.status < 500:
            return True, ()
        with self._lock:
            ended = self._end_minute(now)
            caller = record.principal.actor if record.principal else record.address
            key = (record.organisation, caller)
            if key not in self._counts and len(self._counts) >= MAX_WATCHED:
                key = _OTHERS
            count = self._counts.setdefault(key, _Count())
            if count.written < self._per_minute:
                count.written += 1
                return True, ended
            count.left_out += 1
            # its own words may be chosen to fill the log; what is kept is that it happened
            count.last = replace(record, headers={}, query_names=())
            return False, ended

    def flush(self, now: int) -> Sequence[LeftOut]:
        """Give what was left out in minutes that are over."""
        with self._lock:
            return self._end_minute(now)

    def _end_minute(self, now: int) -> Sequence[LeftOut]:
        minute = now // _MINUTE
        if minute == self._minute:
            return ()
        self._minute = minute
        ended = [
            LeftOut(organisation or None, count.left_out, count.last)
            for (organisation, _), count in self._counts.items()
            if count.last is not None
        ]
        self._counts.clear()
        return ended
