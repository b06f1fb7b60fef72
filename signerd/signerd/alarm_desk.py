"""Joins the board of alarms to what it hears of: zones, parents, the KMS, the database."""

from collections.abc import Callable, Mapping
from typing import Final

import trio
from sqlalchemy.exc import SQLAlchemyError

from signerd.alarm.alarm import Alarm, RaisedAlarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.alarm_keeper import AlarmKeeper
from signerd.alarm.clock_alarm import SOURCE as CLOCK
from signerd.alarm.clock_alarm import find_clock_alarms
from signerd.alarm.delegation_alarms import SOURCE, find_delegation_alarms
from signerd.alarm.key_alarms import find_key_alarms
from signerd.alarm.rollover_alarms import RolloverListener
from signerd.alarm.server_watch import ServerWatch, Watched
from signerd.alarm.serving_watch import Serving, ServingWatch
from signerd.alarm.zone_alarms import ZoneCondition
from signerd.clock import Clock
from signerd.config.options import Config
from signerd.control.command_server import Further
from signerd.control.responder_pool import ResponderPool
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.delegation.delegation_state import DelegationState
from signerd.dns.name import Name
from signerd.status_report import ExpirationCache
from signerd.webhook_desk import WebhookDesk
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.zone_list import parse_zone_name
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import KmsError
from signerd_kms.state import State

WEBHOOKS: Final = "webhooks"


class AlarmDesk:
    """The board, and the tasks that look and tell."""

    def __init__(self, config: Config, clock: Clock, holder: CustodyHolder) -> None:
        """Do nothing yet.

        Args:
            config: All options.
            clock: The wall clock.
            holder: Opens the database and the KMS.
        """
        self._config = config
        self._clock = clock
        self._holder = holder
        self.board = AlarmBoard(clock.now, config.alarms.reminder, config.alarms.make_filter())
        self.note_plan = RolloverListener(self.board, clock.now)
        """Told of each step of the timetable of a zone's keys, in the event loop."""
        self._webhooks = WebhookDesk(
            config.webhooks, clock, holder, lambda alarms: self.board.update(WEBHOOKS, "", alarms)
        )
        courier = self._webhooks.courier
        self._keeper = AlarmKeeper(self.board, self._open_store, courier.add_events, courier.wake)
        self.report_webhooks = courier.report

    def _open_store(self) -> AuditedStore:
        return self._holder.custody.kms.custodian.store

    def restore(self) -> None:
        """Take in what was on before the restart, if the database is open; blocks."""
        self._keeper.restore()

    async def run(
        self,
        find_keepers: Callable[[], Mapping[Name, ZoneKeeper]],
        cache: ExpirationCache,
        pool: ResponderPool,
    ) -> None:
        """Look and tell until cancelled.

        Args:
            find_keepers: Gives the zones.
            cache: Of first expirations.
            pool: The responders.
        """

        def find_expiration(zone: str) -> int | None:
            keeper = find_keepers().get(parse_zone_name(zone))
            published = None if keeper is None else keeper.state.published
            return None if published is None else cache.find(published, self._clock.now())

        watched = Watched(
            lambda: _list_conditions(find_keepers()),
            find_expiration,
            self._find_kms,
            self._config.state_directory,
            self._find_key_alarms,
        )
        serving = ServingWatch(lambda: _find_serving(find_keepers(), pool), self.board, self._clock.monotonic)
        runway = self._config.alarms.runway
        watch = ServerWatch(watched, self.board, self._clock.now, runway, serving.look)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keeper.run)
            nursery.start_soon(watch.run)
            nursery.start_soon(self._webhooks.courier.run)

    def _find_key_alarms(self) -> Mapping[str, Alarm] | None:
        try:
            with self._open_store().read() as connection:
                return find_key_alarms(connection)
        except (CustodyUnavailable, KmsError, SQLAlchemyError):
            return None  # an alarm of its own

    def _find_kms(self) -> tuple[State, str | None]:
        state = self._holder.state
        return state, None if state is State.UNSEALED else self._holder.reason

    def note_clock(self, doubt: str | None) -> None:
        """Take in why the clock is not believed; None if it is."""
        self.board.update(CLOCK, "", find_clock_alarms(doubt))

    def note_delegation(self, zone: str, state: DelegationState | None) -> None:
        """Take in how a zone stands at its parent; None once that is no matter."""
        self.board.update(SOURCE, zone, () if state is None else find_delegation_alarms(state))

    def list_commands(self) -> Mapping[str, Further]:
        """Give the operator's commands about alarms and webhooks."""

        async def list_alarms(_: Mapping[str, object]) -> dict[str, object]:
            return {"alarms": self.describe()}

        return {"alarm_list": list_alarms, **self._webhooks.list_commands()}

    def describe(self) -> list[dict[str, object]]:
        """Describe the alarms that are on, for `status`."""
        now = self._clock.now()
        return [describe_alarm(raised, now) for raised in self.board.list_alarms()]


def describe_alarm(raised: RaisedAlarm, now: int) -> dict[str, object]:
    """Describe an alarm for programs."""
    return {
        "code": raised.alarm.code,
        "zone": raised.zone or None,
        "text": raised.alarm.text,
        "who": raised.alarm.who or None,
        "since": raised.since,
        "age_seconds": max(0, now - raised.since),
        "source": raised.source,
    }


def _find_serving(keepers: Mapping[Name, ZoneKeeper], pool: ResponderPool) -> Serving:
    responders = pool.responders
    loaded = [responder.loaded for responder in responders]
    published = [keeper.entry.text for keeper in list(keepers.values()) if keeper.state.published is not None]
    unserved = [zone for zone in published if not any(zone in zones for zones in loaded)]
    running = sum(responder.is_own and responder.link is not None for responder in responders)
    return Serving(published, unserved, running, pool.count)


def _list_conditions(keepers: Mapping[Name, ZoneKeeper]) -> dict[str, ZoneCondition]:
    conditions: dict[str, ZoneCondition] = {}
    for keeper in list(keepers.values()):  # a copy: zones come and go in the event loop
        state = keeper.state
        conditions[keeper.entry.text] = ZoneCondition(
            state.published is not None,
            state.last_error,
            state.file_error,
            state.check_error,
            state.next_due,
            is_tried=keeper.started.is_set(),
        )
    return conditions
