"""The board and its database."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from deployment import Deployment, make_deployment
from signerd.alarm.alarm import Alarm, AlarmEvent, EventKind
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.alarm_keeper import MOST_AT_ONCE, AlarmKeeper
from signerd.custody import CustodyUnavailable
from signerd_kms.audited_store import AuditedStore

STRAY = Alarm("dnssec.ds_stray", "the parent's DS 7 points to no key", "the registrar")


class Told:
    """A board and its keeper on a deployment's database, which can be closed or broken."""

    def __init__(self, deployment: Deployment) -> None:
        self.board = AlarmBoard(deployment.clock.now, 86400)
        self.is_closed = False
        self.is_broken = False
        self.events: list[AlarmEvent] = []
        self._store = deployment.kms.custodian.store
        self.keeper = AlarmKeeper(self.board, self.open, self.add)

    def open(self) -> AuditedStore:
        if self.is_closed:
            raise CustodyUnavailable("no seal opens")
        return self._store

    def add(self, connection: Connection, events: Sequence[AlarmEvent]) -> None:
        assert connection.in_transaction()
        if self.is_broken:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        self.events += events


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


def test_the_age_of_an_alarm_survives_a_restart(deployment: Deployment) -> None:
    began = deployment.clock.seconds
    before = Told(deployment)
    before.board.update("delegation", "a.test", [STRAY])
    assert before.keeper.store()
    deployment.clock.seconds += 5000
    after = Told(deployment)
    after.keeper.store()
    after.board.update("delegation", "a.test", [STRAY])
    after.keeper.store()
    assert [raised.since for raised in after.board.list_alarms()] == [began]
    assert [event.kind for event in after.events] == []


def test_what_is_restored_before_anybody_speaks_is_not_logged_as_new(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    before = Told(deployment)
    before.board.update("delegation", "a.test", [STRAY])
    before.keeper.store()
    after = Told(deployment)
    after.is_closed = True
    after.keeper.restore()
    assert not after.events
    after.is_closed = False
    after.keeper.restore()
    caplog.clear()
    after.board.update("delegation", "a.test", [STRAY])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("alarm still on: ")


def test_what_ended_is_forgotten(deployment: Deployment) -> None:
    before = Told(deployment)
    before.board.update("delegation", "a.test", [STRAY])
    before.keeper.store()
    before.board.update("delegation", "a.test", [])
    before.keeper.store()
    deployment.clock.seconds += 5000
    after = Told(deployment)
    after.keeper.store()
    after.board.update("delegation", "a.test", [STRAY])
    assert [raised.since for raised in after.board.list_alarms()] == [deployment.clock.seconds]


def test_the_board_works_while_the_database_is_closed(deployment: Deployment) -> None:
    told = Told(deployment)
    told.is_closed = True
    told.board.update("kms", "", [Alarm("kms.sealed", "sealed")])
    assert not told.keeper.store()
    assert [raised.alarm.code for raised in told.board.list_alarms()] == ["kms.sealed"]
    told.is_closed = False
    assert told.keeper.store()
    assert [event.kind for event in told.events] == [EventKind.BEGAN]


def test_a_database_that_fails_is_an_alarm_itself_and_nothing_is_lost(deployment: Deployment) -> None:
    told = Told(deployment)
    told.keeper.store()
    told.is_broken = True
    told.board.update("delegation", "a.test", [STRAY])
    assert not told.keeper.store()
    codes = {raised.alarm.code for raised in told.board.list_alarms()}
    assert codes == {"dnssec.ds_stray", "database.failed"}
    told.is_broken = False
    assert told.keeper.store()
    assert {(event.kind, event.code) for event in told.events} == {
        (EventKind.BEGAN, "dnssec.ds_stray"),
        (EventKind.BEGAN, "database.failed"),
    }
    assert [raised.alarm.code for raised in told.board.list_alarms()] == ["dnssec.ds_stray"]


def test_very_many_alarms_are_stored_in_parts_with_their_events_first(deployment: Deployment) -> None:
    told = Told(deployment)
    for number in range(2 * MOST_AT_ONCE + 7):
        told.board.update("zones", f"z{number}.test", [Alarm("dnssec.sign_failed", "no")])
    first = told.board.take_pending(MOST_AT_ONCE)
    assert (len(first.events), len(first.changes)) == (MOST_AT_ONCE, 0)
    told.board.put_back(first)
    assert told.keeper.store()
    assert [event.zone for event in told.events] == [f"z{n}.test" for n in range(2 * MOST_AT_ONCE + 7)]
    after = Told(deployment)
    after.keeper.store()
    deployment.clock.seconds += 100
    after.board.update("zones", "z1006.test", [Alarm("dnssec.sign_failed", "no")])
    assert [raised.since for raised in after.board.list_alarms()] == [deployment.clock.seconds - 100]


async def test_what_came_while_the_server_stopped_is_stored(deployment: Deployment) -> None:
    told = Told(deployment)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.keeper.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        told.board.note_event("rollover.begun", "a.test", "a rollover has begun")
    assert [event.code for event in told.events] == ["rollover.begun"]


async def test_a_change_from_any_thread_is_stored_at_once(deployment: Deployment) -> None:
    told = Told(deployment)
    stored = trio.Event()
    told.keeper = AlarmKeeper(told.board, told.open, told.add, stored.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.keeper.run)
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(told.board.update, "delegation", "a.test", [STRAY])
        with trio.fail_after(60):
            await stored.wait()
        nursery.cancel_scope.cancel()
    assert [event.code for event in told.events] == ["dnssec.ds_stray"]
