"""The tasks: which zone comes first, and when parents are asked."""

from collections import UserDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import trio

from pipeline_world import FakeClock
from signerd.delegation.parent_probe import NoPublicParent, ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name, parse_name
from signerd.dns.zone import Zone
from signerd.rollover.care import RolloverCare, ServedZone
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.probe_times import ProbeTimes
from signerd.rollover.zone_timetable import StepReport
from signerd.timetable.arrangement import arrange
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.presence import Presence, Trace
from signerd.timetable.rollover_steps import PARENT, Wait
from signerd.timetable.state import KeyRole, Rollover, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome
from signerd.zones.zone_list import ZoneEntry

POLICY = TimetablePolicy()
DAY = 86400


def make_outcome(state: TimetableState, wake_at: int, waits: tuple[Wait, ...] = ()) -> Outcome:
    return Outcome(state, arrange(state, POLICY), (), wake_at, "", waits, None, 0)


class FakeTimetable:
    def __init__(self, entry: ZoneEntry, clock: FakeClock, steps: list[str]) -> None:
        self.entry = entry
        self.clock = clock
        self.steps = steps
        self.plan: KeyPlan | None = None
        self.has_parent = True
        self.retry_seconds = 60
        self.probed_at: int | None = None
        self.is_found = False
        self.can_step = True
        self.rests = False
        self.is_rearranged = False
        self.state = TimetableState()
        self.waits: tuple[Wait, ...] = ()

    def is_at_rest(self, published: Zone | None) -> bool:
        return self.rests

    def step(self, published: Zone | None) -> StepReport | None:
        self.steps.append(self.entry.text)
        if not self.can_step:
            return None
        now = self.clock.now()
        self.plan = KeyPlan(
            self.entry.text, "default", POLICY, make_outcome(self.state, now + DAY, self.waits), now
        )
        return StepReport(self.entry, self.plan, self.is_rearranged, now + DAY)

    def find_probe(self) -> tuple[int | None, bool]:
        return self.probed_at, self.is_found

    def take_in(self, answers: Sequence[ServerAnswer], problem: str | None) -> bool:
        self.probed_at, self.is_found = self.clock.now(), problem is None
        return problem is None


class FakeDesk:
    def __init__(self) -> None:
        self.timetables: dict[Name, FakeTimetable] = {}
        self.dropped: list[Name] = []

    def open(self, entry: ZoneEntry) -> FakeTimetable:
        return self.timetables[entry.name]

    def drop(self, name: Name) -> None:
        self.dropped.append(name)


class FakeProbe:
    def __init__(self) -> None:
        self.asked: list[Name] = []
        self.problem: ParentNotFound | None = None

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        self.asked.append(zone)
        await trio.lowlevel.checkpoint()
        if self.problem is not None:
            raise self.problem
        return [ServerAnswer("a", 0, frozenset())]


class CountingZones(UserDict[Name, ServedZone]):
    """Counts the looks at zones."""

    looks = 0

    def __getitem__(self, name: Name) -> ServedZone:
        self.looks += 1
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[Name]:
        self.looks += len(self)
        return super().__iter__()


class CareWorld:
    """Some zones; what is done for them."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.desk = FakeDesk()
        self.probe = FakeProbe()
        self.steps: list[str] = []
        self.signed: list[Name] = []
        self.plans: list[KeyPlan] = []
        self.zones = CountingZones()
        for name in names:
            self.add(name)
        self.care = RolloverCare(
            self.desk,
            self.probe,
            self.clock,
            ProbeTimes(jitter=0),
            lambda: self.zones,
            self.signed.append,
            [self.plans.append],
        )

    def add(self, name: str, next_due: int | None = None) -> FakeTimetable:
        entry = ZoneEntry(parse_name(f"{name}."), None)
        self.zones[entry.name] = ServedZone(entry, None, next_due)
        self.desk.timetables[entry.name] = FakeTimetable(entry, self.clock, self.steps)
        return self.desk.timetables[entry.name]


async def test_the_zone_whose_signatures_are_due_first_comes_first() -> None:
    world = CareWorld()
    for name, due in (("late", 300), ("never", None), ("soon", 100), ("next", 200)):
        world.add(name, due)
    await world.care.look()
    assert world.steps == ["soon", "next", "late", "never"]


async def test_a_zone_is_looked_at_when_its_time_has_come_or_something_was_published() -> None:
    world = CareWorld("one", "two")
    await world.care.look()
    world.steps.clear()
    await world.care.look()
    assert world.steps == []
    world.care.wake(parse_name("two."))
    await world.care.look()
    assert world.steps == ["two"]
    world.steps.clear()
    world.clock.pass_time(DAY)
    await world.care.look()
    assert world.steps == ["one", "two"]


async def test_a_zone_is_looked_at_each_hour_though_nothing_is_due() -> None:
    world = CareWorld("one")
    await world.care.look()
    world.clock.pass_time(3599)
    await world.care.look()
    assert world.steps == ["one"]
    world.clock.pass_time(1)
    await world.care.look()
    assert world.steps == ["one", "one"]


async def test_a_step_that_could_not_be_taken_is_tried_again() -> None:
    world = CareWorld("one")
    world.desk.timetables[parse_name("one.")].can_step = False
    await world.care.look()
    assert world.plans == []
    await world.care.look()
    world.clock.pass_time(60)
    await world.care.look()
    assert world.steps == ["one", "one"]


async def test_once_the_kms_is_open_each_zone_is_looked_at_also_those_at_rest() -> None:
    world = CareWorld("one", "two")
    await world.care.look()
    world.desk.timetables[parse_name("two.")].rests = True
    world.steps.clear()
    world.care.wake_all()
    await world.care.look()
    assert sorted(world.steps) == ["one", "two"]


async def test_what_is_to_be_published_anew_is_signed_and_everybody_hears_of_the_step() -> None:
    world = CareWorld("one", "two")
    world.desk.timetables[parse_name("two.")].is_rearranged = True
    await world.care.look()
    assert world.signed == [parse_name("two.")]
    assert [plan.zone for plan in world.plans] == ["one", "two"]


async def test_a_zone_that_is_served_no_more_is_dropped() -> None:
    world = CareWorld("one", "two")
    await world.care.look()
    del world.zones[parse_name("one.")]
    world.clock.pass_time(30)
    await world.care.look()
    assert world.desk.dropped == [parse_name("one.")]
    world.clock.pass_time(DAY)
    await world.care.look()
    assert world.desk.dropped == [parse_name("one.")], "nothing of it is due any more"


async def test_a_zone_that_is_gone_when_its_time_comes_is_dropped() -> None:
    world = CareWorld("one", "two")
    await world.care.look()
    del world.zones[parse_name("one.")]
    world.care.wake(parse_name("one."))
    world.care.wake_all()
    await world.care.look()
    assert world.steps == ["one", "two", "two"]
    world.clock.pass_time(DAY)
    await world.care.look()
    assert world.desk.dropped == [parse_name("one.")]


async def test_a_new_zone_is_looked_at_when_it_is_published_and_also_if_it_is_not() -> None:
    world = CareWorld("one")
    await world.care.look()
    world.add("published").rests = True
    world.add("waiting")
    world.care.wake(parse_name("published."))
    await world.care.look()
    assert world.steps == ["one", "published"]
    world.clock.pass_time(30)
    await world.care.look()
    assert world.steps == ["one", "published", "waiting"]


async def test_a_publication_costs_a_look_at_one_zone_and_not_at_all() -> None:
    world = CareWorld(*(f"zone-{number}" for number in range(1000)))
    for timetable in world.desk.timetables.values():
        timetable.has_parent = False
    await world.care.look()
    world.steps.clear()
    world.zones.looks = 0
    world.care.wake(parse_name("zone-7."))
    await world.care.look()
    assert world.steps == ["zone-7"]
    assert world.zones.looks < 10


async def test_zones_that_changed_or_are_due_are_taken_by_their_signatures() -> None:
    world = CareWorld()
    for name, due in (("late", 300), ("soon", 100), ("next", 200)):
        world.add(name, due)
    await world.care.look()
    world.steps.clear()
    world.clock.pass_time(20)
    for name in ("late", "next", "soon"):
        world.care.wake(parse_name(f"{name}."))
    await world.care.look()
    assert world.steps == ["soon", "next", "late"]


async def run_until(world: CareWorld, condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.care.run)
            while not condition():
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


async def test_a_version_that_cannot_matter_leads_to_no_step() -> None:
    world = CareWorld("one")
    await world.care.look()
    world.desk.timetables[parse_name("one.")].rests = True
    world.care.wake(parse_name("one."))
    await world.care.look()
    assert world.steps == ["one"]
    world.care.wake_all()  # the KMS was opened
    await world.care.look()
    assert world.steps == ["one", "one"]


async def test_the_parent_is_asked_and_what_it_says_leads_to_a_step() -> None:
    world = CareWorld("one")
    world.desk.timetables[parse_name("one.")].rests = True  # as far as the zone itself goes
    await run_until(world, lambda: len(world.steps) == 2)
    assert world.probe.asked == [parse_name("one.")]


@pytest.mark.parametrize(
    ("problem", "warnings"), [(ParentNotFound("no resolver"), 1), (NoPublicParent("special"), 0)]
)
async def test_parents_that_are_not_found_are_told_of_once(
    caplog: pytest.LogCaptureFixture, problem: ParentNotFound, warnings: int
) -> None:
    world = CareWorld("one", "two", "three")
    world.probe.problem = problem
    await run_until(world, lambda: all(zone.probed_at for zone in world.desk.timetables.values()))
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == warnings
    assert sorted(world.steps) == ["one", "three", "two"], "nothing new came of asking"


NOW = 1_800_000_000
KEY = TimetableKey("ksk-1", KeyRole.KSK, 13, 0)
TIMES = ProbeTimes(interval=3600, waiting_interval=60, jitter=0.1)


def find_interval(state: TimetableState, waits: tuple[Wait, ...] = (), *, is_found: bool = True) -> int:
    outcome = make_outcome(state, NOW, waits)
    return TIMES.find_next(outcome, NOW, NOW, 0.5, is_found=is_found) - NOW


def test_a_parent_of_whom_nothing_is_awaited_is_asked_seldom() -> None:
    assert find_interval(TimetableState((KEY,))) == 3600


def test_a_parent_that_a_rollover_waits_for_is_asked_often() -> None:
    rollover = Rollover(2, RolloverKind.KSK, ("ksk-2",), ("ksk-1",), NOW)
    wait = Wait(2, Step.DELEGATE, "all servers are to add it", PARENT)
    assert find_interval(TimetableState((KEY,), rollovers=(rollover,)), (wait,)) == 60


@pytest.mark.parametrize(("age", "interval"), [(0, 60), (6000, 600), (30 * DAY, 3600)])
def test_a_first_ds_is_looked_for_less_often_the_longer_it_does_not_come(age: int, interval: int) -> None:
    key = replace(KEY, ds=Trace(Presence.RUMOURED, NOW - age))
    assert find_interval(TimetableState((key,))) == interval


def test_a_parent_that_was_not_found_is_looked_for_seldom() -> None:
    key = replace(KEY, ds=Trace(Presence.RUMOURED, NOW))
    assert find_interval(TimetableState((key,)), is_found=False) == 3600


def test_a_parent_that_was_never_asked_is_asked_now() -> None:
    assert TIMES.find_next(make_outcome(TimetableState(), NOW), None, NOW, 0.5, is_found=False) == NOW
    after_a_step_backwards = NOW + DAY
    outcome = make_outcome(TimetableState(), NOW)
    assert TIMES.find_next(outcome, after_a_step_backwards, NOW, 0.5, is_found=True) == NOW


async def test_a_parent_is_asked_on_command() -> None:
    world = CareWorld("one", "two")
    one, two = parse_name("one."), parse_name("two.")
    care, asked = world.care, world.probe.asked
    assert not care.ask_soon(one), "nothing runs yet"
    await run_until(
        world, lambda: set(asked) == {one, two} and None not in map(care.find_next_probe, (one, two))
    )
    asked.clear()
    assert care.find_next_probe(one) == world.clock.now() + 3600
    assert await trio.to_thread.run_sync(care.ask_soon, one)
    assert not care.ask_soon(parse_name("three."))
    await run_until(world, lambda: asked == [one])
