"""The background job that notifies parents of changed CDS and CDNSKEY records (RFC 9859).

What was said to whom is in the database, so that a restart neither says it again nor forgets it.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import trio
from sqlalchemy import Connection, Engine, Row, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd.custody import CustodyUnavailable
from signerd.delegation.parent_notice import Notice, digest_child_ds, find_change
from signerd.delegation.parent_notifier import NoticeOutcome, NoticeResult
from signerd.dns.name import Name, fold_case, format_name, parse_name
from signerd.dns.zone import Zone
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import parent_notices
from signerd.zones.zone_list import format_zone_name

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0  # the wall clock is looked at this often, whatever is due: it may be set
REST_SECONDS: Final = 0.2  # between two looks, however many zones change
CUSTODY_RETRY_SECONDS: Final = 5.0
SERVED_SECONDS: Final = 30.0  # for the responders to load a version; then it is tried again later
_AT_ONCE: Final = 8  # parents notified at a time: bounds sockets


class Notifier(Protocol):
    """Notifies a parent."""

    async def notify(self, zone: Name) -> NoticeOutcome:
        """Make one attempt."""
        ...


@dataclass(frozen=True, slots=True)
class NoticeParts:
    """What the job works with.

    Attributes:
        open_engine: Gives the database. May raise CustodyUnavailable.
        notifier: Notifies.
        now: The wall clock.
        wait_until_served: Waits until all responders serve a zone at a serial or a later version.
        list_zones: Lists the zones in service.
        delay_seconds: From a change to the notice.
    """

    open_engine: Callable[[], Engine]
    notifier: Notifier
    now: Callable[[], int]
    wait_until_served: Callable[[Name, int], Awaitable[None]]
    list_zones: Callable[[], Collection[Name]]
    delay_seconds: int


class ParentNoticeCare:
    """Knows which parents are to be notified, and notifies them. In the event loop, but for `describe`."""

    def __init__(self, parts: NoticeParts) -> None:
        """Do nothing yet."""
        self._parts = parts
        self._versions: dict[Name, Zone] = {}  # in service, not yet looked at
        self._serials: dict[Name, int] = {}
        self._notices: dict[Name, Notice] = {}
        self._is_loaded = False
        self._wake = trio.Event()

    def note_version(self, zone: Zone) -> None:
        """Take note of a version that is in service now."""
        self._serials[zone.origin] = zone.serial
        known, digest = self._notices.get(zone.origin), digest_child_ds(zone)
        if self._is_loaded and digest == (None if known is None else known.digest):
            self._versions.pop(zone.origin, None)
            return  # as most versions do, it says the same: nothing to be looked at
        self._versions[zone.origin] = zone
        self._wake.set()

    def wake(self) -> None:
        """Look what is due now: the clock was set, or a zone went."""
        self._wake.set()

    def describe(self, zone: Name) -> dict[str, object] | None:
        """Describe what is known of the notices of a zone; None if nothing. Any thread."""
        notice = self._notices.get(zone)
        if notice is None:
            return None
        outcome = notice.outcome
        return {
            "changed_at": notice.changed_at,
            "next_at": notice.next_at,
            "attempts": notice.attempts,
            "tried_at": notice.tried_at,
            "result": None if outcome is None else outcome.result.value,
            "endpoint": None if outcome is None else outcome.endpoint,
            "detail": None if outcome is None else outcome.detail,
            "dsync_validated": None if outcome is None else outcome.is_validated,
        }

    def explain(self, zone: Name) -> str | None:
        """Say why the parent of a zone took no notice; None if nothing is wrong. Any thread."""
        notice = self._notices.get(zone)
        return None if notice is None else notice.problem

    async def run(self) -> None:
        """Notify until cancelled."""
        while True:
            try:
                self._notices = dict(await trio.to_thread.run_sync(self._load))
                self._is_loaded = True
                break
            except (CustodyUnavailable, SQLAlchemyError):
                await trio.sleep(CUSTODY_RETRY_SECONDS)  # the reason was logged
        while True:
            self._wake = trio.Event()
            await self._take_in_versions()
            await self._notify_due()
            with trio.move_on_after(self._find_rest()):
                await self._wake.wait()
            await trio.sleep(REST_SECONDS)

    def _find_rest(self) -> float:
        now = self._parts.now()
        times = [notice.next_at - now for notice in self._notices.values() if notice.next_at is not None]
        return max(0.0, min([LOOK_SECONDS, *map(float, times)]))

    async def _take_in_versions(self) -> None:
        in_service = self._parts.list_zones()
        for zone in [zone for zone in self._serials if zone not in in_service]:
            del self._serials[zone]
            self._versions.pop(zone, None)
            await self._keep(zone, None)
        versions, self._versions = self._versions, {}
        for zone, version in versions.items():
            known = self._notices.get(zone)
            notice = find_change(known, version, self._parts.now(), self._parts.delay_seconds)
            if notice is not known:
                await self._keep(zone, notice)

    async def _notify_due(self) -> None:
        now = self._parts.now()
        due = [
            notice
            for notice in self._notices.values()
            if notice.next_at is not None and notice.next_at <= now
        ]
        limiter = trio.CapacityLimiter(_AT_ONCE)

        async def notify(notice: Notice) -> None:
            async with limiter:
                await self._notify(notice)

        async with trio.open_nursery() as nursery:
            for notice in due:
                nursery.start_soon(notify, notice)

    async def _notify(self, notice: Notice) -> None:
        zone, text = notice.zone, format_zone_name(notice.zone)
        serial = self._serials.get(zone)
        if serial is None:  # only known from before a restart: its version is not there yet
            outcome = NoticeOutcome(NoticeResult.UNREACHED, "the zone is not in service")
        else:
            outcome = NoticeOutcome(NoticeResult.UNREACHED, "the responders have not loaded the zone")
            with trio.move_on_after(SERVED_SECONDS) as scope:
                await self._parts.wait_until_served(zone, serial)
            if not scope.cancelled_caught:
                outcome = await self._parts.notifier.notify(zone)
        after = notice.note(outcome, self._parts.now())
        if self._notices.get(zone) is not notice:
            return  # it changed again meanwhile, or went
        if after.problem is not None:
            logger.warning("zone %s: %s", text, after.problem)
        elif outcome.result is NoticeResult.UNREACHED:
            logger.info("zone %s: its parent is not notified yet: %s", text, outcome.detail)
        elif outcome.result is NoticeResult.TAKEN:
            trust = "" if outcome.is_validated else ", found without DNSSEC"
            logger.info("zone %s: its parent is notified of its CDS at %s%s", text, outcome.endpoint, trust)
        await self._keep(zone, after)

    async def _keep(self, zone: Name, notice: Notice | None) -> None:
        if notice is None and zone not in self._notices:
            return
        if notice is None:
            del self._notices[zone]
        else:
            self._notices[zone] = notice
        try:
            await trio.to_thread.run_sync(self._store, zone, notice)
        except (CustodyUnavailable, SQLAlchemyError) as error:
            reason = type(error).__name__
            logger.warning(
                "zone %s: what its parent was told is not kept: %s", format_zone_name(zone), reason
            )

    def _load(self) -> Mapping[Name, Notice]:
        with connect_to_read(self._parts.open_engine()) as connection:
            rows = connection.execute(select(parent_notices)).all()
        notices = [_read(row) for row in rows]
        return {notice.zone: notice for notice in notices}

    def _store(self, zone: Name, notice: Notice | None) -> None:
        with self._parts.open_engine().begin() as connection:
            connection.execute(delete(parent_notices).where(parent_notices.c.zone == format_name(zone)))
            if notice is not None:
                _insert(connection, notice)


def _insert(connection: Connection, notice: Notice) -> None:
    outcome = notice.outcome
    connection.execute(
        insert(parent_notices).values(
            zone=format_name(notice.zone),
            digest=notice.digest,
            changed_at=notice.changed_at,
            next_at=notice.next_at,
            attempts=notice.attempts,
            tried_at=notice.tried_at,
            result=None if outcome is None else outcome.result.value,
            detail=None if outcome is None else outcome.detail,
            endpoint=None if outcome is None else outcome.endpoint,
            is_validated=None if outcome is None else int(outcome.is_validated),
        )
    )


def _read(row: Row[tuple[object, ...]]) -> Notice:
    outcome = None
    if row.result is not None:
        outcome = NoticeOutcome(NoticeResult(row.result), row.detail, row.endpoint, bool(row.is_validated))
    return Notice(
        fold_case(parse_name(row.zone)),
        bytes(row.digest),
        row.changed_at,
        row.next_at,
        row.attempts,
        row.tried_at,
        outcome,
    )
