"""The tasks that take the steps of the key timetables, and ask the parents of the zones."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from signerd.clock import Clock
from signerd.delegation.parent_probe import NoPublicParent, ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.delegation.probe_pool import Probe
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.rollover.alarms import Alarms
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.probe_times import ProbeTimes
from signerd.rollover.zone_timetable import LONGEST_REST_SECONDS, StepReport
from signerd.zones.zone_list import ZoneEntry

logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS: Final = 30.0  # the wall clock is looked at this often: it may be set
Listener = Callable[[KeyPlan], None]


class Timetable(Protocol):
    """The timetable of a zone."""

    @property
    def plan(self) -> KeyPlan | None:
        """Where the keys stand, as of the last step."""
        ...

    @property
    def has_parent(self) -> bool:
        """Whether there is somebody to ask for DS records."""
        ...

    @property
    def retry_seconds(self) -> int:
        """How long it is until a step that could not be taken is tried again."""
        ...

    def is_at_rest(self, published: Zone | None) -> bool:
        """Say if a new version gives no reason for a step."""
        ...

    def step(self, published: Zone | None) -> StepReport | None:
        """Take a step, in a worker thread; None if it could not be taken."""
        ...

    def find_probe(self) -> tuple[int | None, bool]:
        """Say when the parent was asked last, and whether it was found then."""
        ...

    def take_in(self, answers: Sequence[ServerAnswer], problem: str | None) -> bool:
        """Take in what the parent said, in a worker thread; say if there is something new to go on."""
        ...


class Timetables(Protocol):
    """The timetables of all zones."""

    def open(self, entry: ZoneEntry) -> Timetable:
        """Give the timetable of a zone."""
        ...

    def drop(self, name: Name) -> None:
        """Forget a zone that is served no more."""
        ...


@dataclass(frozen=True, slots=True)
class ServedZone:
    """A zone that is looked after.

    Attributes:
        entry: The zone.
        published: The version in service.
        next_due: When the first of its signatures is due, epoch seconds; None if that is not known.
    """

    entry: ZoneEntry
    published: Zone | None
    next_due: int | None


class RolloverCare:
    """Takes a step for a zone when one is due, when something was published, and when a parent answered."""

    def __init__(
        self,
        desk: Timetables,
        probe: Probe,
        clock: Clock,
        times: ProbeTimes,
        list_zones: Callable[[], Mapping[Name, ServedZone]],
        sign_anew: Callable[[Name], None],
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Do nothing yet.

        Args:
            desk: The timetables.
            probe: Asks parents; bounds how many are asked at a time.
            clock: The clocks.
            times: How often parents are asked.
            list_zones: Gives the zones that are served, without a look at each of them.
            sign_anew: Told the apex of a zone of which something else is to be published.
            listeners: Called in the event loop after each step.
        """
        self._desk = desk
        self._probe = probe
        self._clock = clock
        self._times = times
        self._list_zones = list_zones
        self._sign_anew = sign_anew
        self._listeners = tuple(listeners)
        self._news = trio.Event()
        self._changed: set[Name] = set()
        self._demanded: set[Name] = set()  # also by what came while a step was being taken
        self._wakes = Alarms()
        self._probes = Alarms()
        self._all_looked_at: float | None = None  # by the monotonic clock
        self._asking: set[Name] = set()
        self._token: trio.lowlevel.TrioToken | None = None
        self._is_told = False

    def wake(self, name: Name) -> None:
        """Have a step taken for a zone of which something was published, if that can matter."""
        self._changed.add(name)
        self._news.set()

    def demand(self, name: Name) -> None:
        """Have a step taken for a zone, whatever was published."""
        self._demanded.add(name)
        self._news.set()

    def wake_all(self) -> None:
        """Have a step taken for all zones: the KMS was opened, or the clock was accepted."""
        for name in self._list_zones():
            self.demand(name)

    def post(self, report: StepReport) -> None:
        """Take in what a step gave that a command has led to; callable in any thread."""
        if self._token is not None:
            self._token.run_sync_soon(self._take, report)

    async def run(self) -> None:
        """Look after all zones until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            while True:
                self._news = trio.Event()
                await self.look()
                self._begin_probes(nursery)
                await self._rest()

    async def look(self) -> None:
        """Take the steps that are due: of the zone whose signatures are due first, first."""
        zones = self._list_zones()
        changed, self._changed = self._changed, set()
        demanded, self._demanded = self._demanded, set()
        if self._is_time_for_all():
            for name in [name for name in self._wakes if name not in zones]:
                self._forget(name)
            demanded |= {name for name in zones if name not in self._wakes}
        demanded.update(self._wakes.take_due(self._clock.now()))
        demanded |= {name for name in changed if name in zones and self._is_awaited(zones[name])}
        for name in sorted(demanded, key=lambda name: _find_rank(name, zones.get(name))):
            if (zone := zones.get(name)) is None:
                self._forget(name)
            else:
                await self._step(zone)

    def _is_time_for_all(self) -> bool:
        """Say if it is time to see which zones came and went; between that, only those with news are seen."""
        now = self._clock.monotonic()
        if self._all_looked_at is not None and now - self._all_looked_at < LONGEST_SLEEP_SECONDS:
            return False
        self._all_looked_at = now
        return True

    def _is_awaited(self, zone: ServedZone) -> bool:
        """Say if a version of a zone gives reason for a step."""
        is_known = zone.entry.name in self._wakes
        return not is_known or not self._desk.open(zone.entry).is_at_rest(zone.published)

    def _forget(self, name: Name) -> None:
        self._wakes.discard(name)
        self._probes.discard(name)
        self._desk.drop(name)

    async def _step(self, zone: ServedZone) -> None:
        timetable = self._desk.open(zone.entry)
        report = await trio.to_thread.run_sync(timetable.step, zone.published)
        if report is None:
            self._wakes.set(zone.entry.name, self._clock.now() + timetable.retry_seconds)
        else:
            self._take(report)

    def _take(self, report: StepReport) -> None:
        name = report.zone.name
        self._wakes.set(name, min(report.look_again_at, self._clock.now() + LONGEST_REST_SECONDS))
        self._plan_probe(name, report)
        if report.is_rearranged:
            self._sign_anew(name)
        for listener in self._listeners:
            listener(report.plan)
        self._news.set()

    async def _rest(self) -> None:
        now = self._clock.now()
        moments = [self._wakes.find_next(), self._probes.find_next()]
        seconds = min(
            [LONGEST_SLEEP_SECONDS, *(max(0.0, moment - now) for moment in moments if moment is not None)]
        )
        with trio.move_on_after(max(0.05, seconds)):
            await self._news.wait()

    # Parents

    def find_next_probe(self, name: Name) -> int | None:
        """Say when the parent of a zone is asked next, epoch seconds; None if it is not, or is just now."""
        return self._probes.find(name)

    def ask_soon(self, name: Name) -> bool:
        """Have the parent of a zone asked now, callable in any thread; say if it is asked at all."""
        if self._token is None or (self._probes.find(name) is None and name not in self._asking):
            return False
        self._token.run_sync_soon(self._ask_now, name)
        return True

    def _ask_now(self, name: Name) -> None:
        if name in self._probes:
            self._probes.set(name, self._clock.now())
            self._news.set()

    def _plan_probe(self, name: Name, report: StepReport) -> None:
        timetable = self._desk.open(report.zone)
        if not timetable.has_parent:
            return
        probed_at, is_found = timetable.find_probe()
        chance = random.random()  # noqa: S311  # spreads questions over time, nothing secret
        at = self._times.find_next(
            report.plan.outcome, probed_at, self._clock.now(), chance, is_found=is_found
        )
        self._probes.set(name, at)

    def _begin_probes(self, nursery: trio.Nursery) -> None:
        zones = self._list_zones()
        for name in self._probes.take_due(self._clock.now()):
            if (
                name not in self._asking and (zone := zones.get(name)) is not None
            ):  # else the end sets it anew
                self._asking.add(name)
                nursery.start_soon(self._ask, zone.entry)

    async def _ask(self, entry: ZoneEntry) -> None:
        try:
            answers, problem = await self._question(entry)
            timetable = self._desk.open(entry)
            is_new = await trio.to_thread.run_sync(timetable.take_in, answers, problem)
        finally:
            self._asking.discard(entry.name)
        # the step may ask for less
        self._probes.set(entry.name, self._clock.now() + round(self._times.interval))
        plan = timetable.plan
        if is_new or plan is None or _awaits_parent(plan):
            self.demand(entry.name)
        else:
            self._replan(entry, plan)

    async def _question(self, entry: ZoneEntry) -> tuple[Sequence[ServerAnswer], str | None]:
        """Give what the servers of the parent say; or nothing, and why."""
        try:
            return await self._probe.ask(entry.name), None
        except ParentNotFound as error:
            problem = str(error)
            self._tell(entry, problem, is_expected=isinstance(error, NoPublicParent))
            return (), problem

    def _replan(self, entry: ZoneEntry, plan: KeyPlan) -> None:
        self._plan_probe(entry.name, StepReport(entry, plan, is_rearranged=False, look_again_at=0))
        self._news.set()

    def _tell(self, entry: ZoneEntry, problem: str, *, is_expected: bool) -> None:
        """Say once that parents cannot be found: no way to the Internet is no reason for noise."""
        if self._is_told or is_expected:
            logger.debug("zone %s: its parent cannot be asked: %s", entry.text, problem)
            return
        self._is_told = True
        logger.warning(
            "zone %s: its parent cannot be asked for DS records: %s; of other zones this is not said again. "
            "Key changes that need the parent wait; dnssec.resolvers and dnssec.parents say whom to ask",
            entry.text,
            problem,
        )


def _find_rank(name: Name, zone: ServedZone | None) -> tuple[bool, int, Name]:
    """Say in which order steps are taken: where signatures are due first, first."""
    due = None if zone is None else zone.next_due
    return due is None, due or 0, name


def _awaits_parent(plan: KeyPlan) -> bool:
    """Say if each answer of the parent counts, also one like the last: the state may have changed since."""
    return any(key.ds.is_moving and key.ds.settles_at is None for key in plan.outcome.state.keys)
