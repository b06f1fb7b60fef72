"""Looks at intervals whether something is wrong with zones, the KMS or the disk, and tells the board."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trio

from signerd.alarm.alarm import Alarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.zone_alarms import ZoneCondition, find_zone_alarms, is_overdue
from signerd_kms.state import State

WATCH_SECONDS: Final = 5.0
SHARE: Final = 20  # of the time at most one part is spent with looking
KEYS_EVERY: Final = 6  # looks; that at the keys reads the database
LOW_DISK_OCTETS: Final = 128 << 20  # a change of zones or keys needs far less, a log of some hours, too
ZONES: Final = "zones"
KMS: Final = "kms"
DISK: Final = "disk"
KEYS: Final = "keys"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at.

    Attributes:
        list_zones: Gives how zones stand, by name without final dot; what is slow to find is left out.
        find_expiration: Gives when the first signature of a zone expires; slow.
        find_kms: Gives the state of the KMS, and why it is not open.
        directory: Must not be full.
        find_key_alarms: Gives the zones whose KMS keys cannot be used; None while the database is closed.
    """

    list_zones: Callable[[], Mapping[str, ZoneCondition]]
    find_expiration: Callable[[str], int | None]
    find_kms: Callable[[], tuple[State, str | None]]
    directory: Path
    find_key_alarms: Callable[[], Mapping[str, Alarm] | None]


class ServerWatch:
    """Looks, and tells the board."""

    def __init__(
        self,
        watched: Watched,
        board: AlarmBoard,
        now: Callable[[], int],
        runway_seconds: int,
        look_elsewhere: Callable[[], None] = lambda: None,
    ) -> None:
        """Do nothing yet.

        Args:
            watched: What is looked at.
            board: Is told.
            now: The wall clock, epoch seconds.
            runway_seconds: Signatures that are overdue and last shorter than this are an alarm.
            look_elsewhere: Called at the end of each look.
        """
        self._watched = watched
        self._board = board
        self._now = now
        self._runway_seconds = runway_seconds
        self._look_elsewhere = look_elsewhere
        self._is_disk_low = False
        self._looks = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = trio.current_time()
            await trio.to_thread.run_sync(self.look)
            # with very many zones a look takes long: it must not keep a core busy
            await trio.sleep(max(WATCH_SECONDS, SHARE * (trio.current_time() - began)))

    def look(self) -> None:
        """Look once; for a worker thread."""
        zones = self._watched.list_zones()
        now = self._now()
        self._board.keep_zones(zones)
        for zone, condition in zones.items():
            if not condition.is_tried:
                continue
            if condition.last_error is not None or is_overdue(condition, now):
                condition = replace(condition, expires_at=self._watched.find_expiration(zone))
            self._board.update(ZONES, zone, find_zone_alarms(condition, now, self._runway_seconds))
        if self._looks % KEYS_EVERY == 0:
            self._look_at_keys(zones)
        self._looks += 1
        self._board.update(KMS, "", self._check_kms(zones.values()))
        self._board.update(DISK, "", self._check_disk())
        self._look_elsewhere()

    def _look_at_keys(self, zones: Mapping[str, ZoneCondition]) -> None:
        if (found := self._watched.find_key_alarms()) is None:
            return
        for zone, condition in zones.items():
            is_signed = condition.next_due is not None
            self._board.update(KEYS, zone, [found[zone]] if is_signed and zone in found else [])

    def _check_kms(self, zones: Iterable[ZoneCondition]) -> list[Alarm]:
        state, reason = self._watched.find_kms()
        known = list(zones)
        if state is State.UNSEALED or not known:
            return []
        why = f" ({reason})" if reason else ""
        due = min((zone.next_due for zone in known if zone.next_due is not None), default=None)
        effect = "nothing can be signed"
        if due is not None:
            moment = datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%d %H:%M UTC")
            effect += f"; the next signatures are due on {moment}"
        return [Alarm("kms.sealed", f"the KMS is {state.value}{why}: {effect}", "the operator")]

    def _check_disk(self) -> list[Alarm]:
        try:
            found = os.statvfs(self._watched.directory)
        except OSError as error:
            text = f"the state directory cannot be looked at: {error.strerror or error}"
            return [Alarm("disk.failed", text, "the operator")]
        free = found.f_bavail * found.f_frsize
        # ends with more than what it began with, so that it does not come and go
        self._is_disk_low = free < LOW_DISK_OCTETS * (1.5 if self._is_disk_low else 1.0)
        if not self._is_disk_low:
            return []
        text = (
            f"the disk of the state directory is nearly full: less than {LOW_DISK_OCTETS >> 20} MiB are free"
        )
        return [Alarm("disk.low", text, "the operator")]
