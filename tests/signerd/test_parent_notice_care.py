"""When parents are notified of changed CDS records, over failures, restarts and zones that go."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio
from sqlalchemy import Engine

from answering import read_zone
from kms_world import make_world
from sign_here import make_keys, sign_zone
from signerd.custody import CustodyUnavailable
from signerd.delegation.parent_notice import RETRY_SECONDS
from signerd.delegation.parent_notifier import NoticeOutcome, NoticeResult
from signerd.dns.name import Name, parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.policy import SigningPolicy
from signerd.parent_notice_care import NoticeParts, ParentNoticeCare

CHILD = parse_name("child.test.")
TEXT = "$TTL 300\n@ SOA ns h 1 7200 900 604800 300\n@ NS ns\nns A 192.0.2.1\n"
DELAY = 30
NOW = 1_800_000_000
TAKEN = NoticeOutcome(NoticeResult.TAKEN, "answered NOERROR", "scanner.test. port 53", is_validated=True)
REFUSED = NoticeOutcome(NoticeResult.REFUSED, "answered REFUSED", "scanner.test. port 53")
UNREACHED = NoticeOutcome(NoticeResult.UNREACHED, "timed out", "scanner.test. port 53")
KEYS, OTHER_KEYS = make_keys(), make_keys()


def make(*, other: bool = False, publish_cds: bool = True) -> Zone:
    policy = SigningPolicy(publish_cds=publish_cds)
    return sign_zone(read_zone(TEXT, "child.test."), keys=OTHER_KEYS if other else KEYS, policy=policy)


VERSION, CHANGED, WITHOUT = make(), make(other=True), make(publish_cds=False)


@dataclass
class FakeNotifier:
    """Gives the outcome that the test says, and lets it wait for the attempt."""

    outcome: NoticeOutcome = TAKEN
    attempts: list[Name] = field(default_factory=list[Name])
    _tried: trio.Event = field(default_factory=trio.Event)

    async def notify(self, zone: Name) -> NoticeOutcome:
        await trio.lowlevel.checkpoint()
        self.attempts.append(zone)
        self._tried.set()
        return self.outcome

    async def wait(self, count: int) -> None:
        """Wait until there were so many attempts."""
        with trio.fail_after(60):
            while len(self.attempts) < count:
                self._tried = trio.Event()
                await self._tried.wait()
        assert len(self.attempts) == count


@dataclass
class World:
    engine: Engine
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    now: int = NOW
    zones: set[Name] = field(default_factory=lambda: {CHILD})
    served: list[tuple[Name, int]] = field(default_factory=list[tuple[Name, int]])
    is_open: bool = True
    refusals: int = 0

    def open_engine(self) -> Engine:
        if not self.is_open:
            self.refusals += 1
            raise CustodyUnavailable("sealed")
        return self.engine

    async def wait_until_served(self, zone: Name, serial: int) -> None:
        await trio.lowlevel.checkpoint()
        self.served.append((zone, serial))

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[ParentNoticeCare]:
        """Run the job for the length of the block, as after a start of the server."""
        parts = NoticeParts(
            self.open_engine,
            self.notifier,
            lambda: self.now,
            self.wait_until_served,
            lambda: self.zones,
            DELAY,
        )
        care = ParentNoticeCare(parts)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(care.run)
            yield care
            nursery.cancel_scope.cancel()

    async def settle(
        self, care: ParentNoticeCare, is_reached: Callable[[dict[str, object] | None], bool]
    ) -> None:
        """Wait until what is known of the zone is as wished."""
        with trio.fail_after(60):
            while not is_reached(care.describe(CHILD)):  # noqa: ASYNC110  # worker threads set no event
                await trio.sleep(0.01)


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with make_world(tmp_path) as made:
        yield World(made.engine)


def is_waiting(found: dict[str, object] | None) -> bool:
    return found is not None and found["next_at"] is not None


def is_over(found: dict[str, object] | None) -> bool:
    return found is not None and found["next_at"] is None


def has_attempts(number: int, found: dict[str, object] | None) -> bool:
    return found is not None and found["attempts"] == number


async def test_the_parent_is_notified_once_all_name_servers_can_have_the_change(world: World) -> None:
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        assert world.notifier.attempts == []
        world.now += DELAY
        care.wake()
        await world.notifier.wait(1)
        await world.settle(care, is_over)
        assert world.served == [(CHILD, VERSION.serial)]
        assert care.describe(CHILD) == {
            "changed_at": NOW,
            "next_at": None,
            "attempts": 1,
            "tried_at": NOW + DELAY,
            "result": "taken",
            "endpoint": "scanner.test. port 53",
            "detail": "answered NOERROR",
            "dsync_validated": True,
        }
        assert care.explain(CHILD) is None


async def test_the_same_records_are_told_once_also_after_a_restart(world: World) -> None:
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.now += DELAY
        care.wake()
        await world.settle(care, is_over)
    async with world.run() as care:
        world.now += 86400
        care.note_version(VERSION)
        care.note_version(CHANGED)
        await world.settle(care, is_waiting)
        world.now += DELAY
        care.wake()
        await world.notifier.wait(2)


async def test_a_notice_that_a_stop_cut_off_is_given_after_the_start(world: World) -> None:
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
    world.now += DELAY
    async with world.run() as care:
        care.note_version(VERSION)
        await world.notifier.wait(1)


async def test_a_failure_is_tried_again_later_and_given_up_in_the_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.notifier.outcome = UNREACHED
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.now += DELAY
        for number, wait in enumerate((*RETRY_SECONDS, 0), 1):
            care.wake()
            await world.notifier.wait(number)
            await world.settle(care, partial(has_attempts, number))
            found = care.describe(CHILD)
            assert found is not None
            assert found["next_at"] == (world.now + wait if wait else None)
            world.now += wait
        assert "took no notice" in (care.explain(CHILD) or "")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["took no notice" in record.getMessage() for record in warnings] == [True]


async def test_a_refusal_is_told_to_people(world: World) -> None:
    world.notifier.outcome = REFUSED
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.now += DELAY
        care.wake()
        await world.settle(care, is_over)
        assert care.explain(CHILD) == (
            "its parent took no notice of its CDS: scanner.test. port 53 answered REFUSED"
        )


async def test_records_that_went_and_came_back_are_a_change(world: World) -> None:
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.now += DELAY
        care.wake()
        await world.settle(care, is_over)
        care.note_version(WITHOUT)
        await world.settle(care, lambda found: found is None)
        care.note_version(VERSION)
        await world.settle(care, is_waiting)


async def test_a_zone_that_went_is_forgotten(world: World) -> None:
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.zones.clear()
        care.wake()
        await world.settle(care, lambda found: found is None)
        world.now += DELAY
    async with world.run() as care:
        await trio.testing.wait_all_tasks_blocked()
        assert care.describe(CHILD) is None
    assert world.notifier.attempts == []


async def test_without_the_database_nobody_is_told_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signerd.parent_notice_care.CUSTODY_RETRY_SECONDS", 0.01)
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, is_waiting)
        world.now += DELAY
        care.wake()
        await world.settle(care, is_over)
    world.is_open = False
    async with world.run() as care:
        care.note_version(VERSION)
        await world.settle(care, lambda found: found is None and world.refusals > 1)
        world.is_open = True
        await world.settle(care, is_over)
    assert len(world.notifier.attempts) == 1
