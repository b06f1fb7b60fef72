"""Finds the figures of zones, alarms and webhooks for the metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from signerd.alarm.alarm import RaisedAlarm
from signerd.api.server_metrics import (
    AlarmFigure,
    ReadyKeyFigures,
    ServerFigures,
    WebhookFigures,
    ZoneFigures,
)
from signerd.clock import Clock
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.rollover.key_plan import KeyPlan
from signerd.status_report import ExpirationCache
from signerd.timetable.beginnings import find_staying
from signerd.timetable.presence import Presence
from signerd.webhook.courier import LaneReport
from signerd.zone_dnssec.settings import read_delegations
from signerd.zones.keeper import ZoneKeeper
from signerd_kms.errors import KmsError

SIGN_FAILED: Final = "dnssec.sign_failed"
_SCAN_SECONDS: Final = 60.0  # finding the first expiration reads a whole zone: no oftener than this


@dataclass
class FiguresSource:
    """Finds them; blocks, for worker threads.

    Attributes:
        clock: Both clocks.
        holder: Opens the database.
        find_keepers: Gives the zones.
        cache: Of first expirations.
        list_plans: Gives where the keys of zones stand.
        list_alarms: Gives the alarms that are on.
        report_webhooks: Gives how it stands with receivers.
    """

    clock: Clock
    holder: CustodyHolder
    find_keepers: Callable[[], Mapping[Name, ZoneKeeper]]
    cache: ExpirationCache
    list_plans: Callable[[], Sequence[KeyPlan]]
    list_alarms: Callable[[], Sequence[RaisedAlarm]]
    report_webhooks: Callable[[], Sequence[LaneReport]]
    _scans: dict[Name, tuple[float, int | None]] = field(default_factory=dict[Name, tuple[float, int | None]])

    def find(self) -> ServerFigures:
        """Find all."""
        now = self.clock.now()
        alarms = self.list_alarms()
        failing = {raised.zone: raised.since for raised in alarms if raised.alarm.code == SIGN_FAILED}
        plans = {plan.zone: plan for plan in self.list_plans()}
        delegations = {zone: _has_ds(plan) for zone, plan in plans.items()} | self._read_delegations()
        zones: list[ZoneFigures] = []
        for keeper in list(self.find_keepers().values()):  # a copy: zones come and go in the event loop
            text, published = keeper.entry.text, keeper.state.published
            expires_at = None if published is None else self._find_expiration(published, now)
            plan = plans.get(text)
            zones.append(
                ZoneFigures(
                    text,
                    None if expires_at is None else expires_at - now,
                    max(0, now - failing.get(text, now)),
                    delegations.get(text),
                    None if plan is None else plan.outcome.wake_at,
                )
            )
        return ServerFigures(
            zones,
            _list_ages(alarms, now),
            [_count(lane) for lane in self.report_webhooks()],
            self._count_ready_keys(),
        )

    def _find_expiration(self, published: Zone, now: int) -> int | None:
        """Give the first expiration of the version in service, or of one up to a minute older.

        New signatures expire later than old ones, so an older answer errs on the safe side.
        """
        scanned = self._scans.get(published.origin)
        ticks = self.clock.monotonic()
        if scanned is not None and ticks - scanned[0] < _SCAN_SECONDS:
            return scanned[1]
        found = self.cache.find(published, now)
        self._scans[published.origin] = (ticks, found)
        return found

    def _count_ready_keys(self) -> list[ReadyKeyFigures]:
        try:
            found = self.holder.custody.kms.ready_keys.count()
        except CustodyUnavailable:
            return []
        return [
            ReadyKeyFigures(kind.value, counts.ready, counts.taken, counts.waited)
            for kind, counts in found.items()
        ]

    def _read_delegations(self) -> dict[str, bool]:
        try:
            with self.holder.custody.store.read() as connection:
                return read_delegations(connection)
        except (CustodyUnavailable, KmsError, SQLAlchemyError):
            return {}  # not known, so there is no figure


def _has_ds(plan: KeyPlan) -> bool:
    staying = [key for key in find_staying(plan.outcome.state) if key.role.signs_keys]
    return bool(staying) and all(key.ds.presence is Presence.OMNIPRESENT for key in staying)


def _list_ages(alarms: Sequence[RaisedAlarm], now: int) -> list[AlarmFigure]:
    """Give one age for each zone and code, whichever part of the server says so."""
    ages: dict[tuple[str, str], int] = {}
    for raised in alarms:
        key = raised.zone, raised.alarm.code
        ages[key] = max(ages.get(key, 0), now - raised.since)
    return [AlarmFigure(zone, code, age) for (zone, code), age in sorted(ages.items())]


def _count(lane: LaneReport) -> WebhookFigures:
    waiting = None if lane.backlog is None else lane.backlog.waiting
    return WebhookFigures(lane.webhook.name, lane.sent, lane.failed, lane.given_up, waiting)
