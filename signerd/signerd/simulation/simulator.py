"""Runs the real timetable and the real signature schedule over a model zone, in simulated time."""

from dataclasses import dataclass, replace

from signerd.signer.clock_watch import ClockBounds, ClockSuspect, ClockWatch
from signerd.simulation.history import History, ServedKey
from signerd.simulation.model_zone import ModelZone
from signerd.simulation.parent import Parent
from signerd.simulation.scenario import (
    AbortCommand,
    Deed,
    PolicyChange,
    Scenario,
    StartCommand,
    Trouble,
    TroubleKind,
)
from signerd.timetable.arrangement import ActionKind
from signerd.timetable.commands import RolloverRefused, abort_rollover, approve_step, start_rollover
from signerd.timetable.facts import Facts
from signerd.timetable.policy import Mode, Step, TimetablePolicy
from signerd.timetable.rollover_steps import OPERATOR, PARENT
from signerd.timetable.state import Moment, TimetableState
from signerd.timetable.timetable import Outcome, take_step

CLOCK_BOUNDS = ClockBounds(max_jump=300, backward_tolerance=300)
_MOST_ROUNDS = 20  # of steps at one moment: each one follows from what the one before published


class NoRest(Exception):
    """The timetable asks for one change after the other without time passing."""

    code = "simulation.no_rest"


class NothingHappened(Exception):
    """The timetable never ran."""

    code = "simulation.nothing_happened"


@dataclass(frozen=True, slots=True)
class Period:
    """A trace of a key that was in one state for a time, for pictures."""

    key: str
    what: str  # `dnskey`, `data` or `ds`
    presence: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Run:
    """A finished simulation.

    Attributes:
        history: What was served and what happened.
        state: Of the timetable at the end.
        last: What its last step gave.
        periods: What each key did when.
    """

    history: History
    state: TimetableState
    last: Outcome
    periods: tuple[Period, ...]


class Simulator:
    """One history of one zone."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._policy = scenario.policy
        self._history = History(scenario.start, scenario.end)
        self._parent = Parent(scenario.parent, self._history)
        self._zone = ModelZone(scenario.signing, scenario.secondary_lag, self._history)
        self._zone.dnskey_ttl, self._zone.largest_ttl = scenario.dnskey_ttl, scenario.largest_ttl
        self._state = TimetableState(denial=scenario.policy.denial.value)
        self._outcome: Outcome | None = None
        self._seen: tuple[Facts, TimetableState, TimetablePolicy, int, int] | None = None
        self._usable: set[str] = set()
        self._algorithms: dict[str, int] = {}
        self._ksks: set[str] = set()
        self._watch = ClockWatch(CLOCK_BOUNDS, None)
        self._boot = 0
        self._deeds = sorted(scenario.deeds, key=lambda deed: deed[0])
        self._approve_at: dict[tuple[int, str], int] = {}
        self._accept_clock_at: int | None = None
        self._told: dict[str, str] = {}
        self._open_periods: dict[tuple[str, str], tuple[str, int]] = {}
        self._periods: list[Period] = []
        edges = {edge for trouble in scenario.troubles for edge in (trouble.start, trouble.end)}
        self._edges = sorted(edges | {moment for moment, _ in self._deeds})

    def run(self) -> Run:
        """Run to the end."""
        now = self._scenario.start
        while now < self._scenario.end:
            self._parent.run(now)
            self._parent.is_silent = self._has(TroubleKind.PARENT, now)
            self._note_troubles(now)
            is_up = not self._has(TroubleKind.SIGNER, now)
            wake: int | None = None
            if is_up:
                self._do_deeds(now)
                if self._believes_clock(now):
                    wake = self._work(now)
            now = self._find_next(now, wake)
        self._history.finish()
        for (key, what), (presence, start) in self._open_periods.items():
            self._periods.append(Period(key, what, presence, start, self._scenario.end))
        if self._outcome is None:
            raise NothingHappened("the signer was down, or its clock wrong, for all of the time")
        return Run(self._history, self._state, self._outcome, tuple(self._periods))

    def _find_trouble(self, kind: TroubleKind, now: int) -> Trouble | None:
        for trouble in self._scenario.troubles:
            if trouble.kind is kind and trouble.start <= now < trouble.end:
                return trouble
        return None

    def _has(self, kind: TroubleKind, now: int) -> bool:
        return self._find_trouble(kind, now) is not None

    def _note_troubles(self, now: int) -> None:
        for trouble in self._scenario.troubles:
            if trouble.start == now:
                self._history.note(now, f"trouble begins: {trouble.kind}")
            if trouble.end == now:
                self._history.note(now, f"trouble ends: {trouble.kind}")
                if trouble.kind is TroubleKind.SIGNER:
                    self._boot += 1
                    self._watch = ClockWatch(CLOCK_BOUNDS, self._watch.mark)

    def _find_wall(self, now: int) -> int:
        trouble = self._find_trouble(TroubleKind.CLOCK, now)
        return now + (trouble.clock_error if trouble else 0)

    def _believes_clock(self, now: int) -> bool:
        is_right = not self._has(TroubleKind.CLOCK, now)
        if self._accept_clock_at is not None and self._accept_clock_at <= now and is_right:
            self._watch = ClockWatch(CLOCK_BOUNDS, None)
            self._accept_clock_at = None
            self._history.note(now, "the operator accepts the clock")
        try:
            self._watch.check(self._find_wall(now), float(now))
        except ClockSuspect as error:
            if "clock" not in self._told:
                self._history.note(now, f"nothing is signed: {error}", is_for_person=True)
                self._told["clock"] = "told"
                self._accept_clock_at = now + self._scenario.approval_delay
            return False
        self._accept_clock_at = None
        self._told.pop("clock", None)
        return True

    def _do_deeds(self, now: int) -> None:
        while self._deeds and self._deeds[0][0] <= now:
            _, deed = self._deeds.pop(0)
            try:
                self._do(deed, now)
            except RolloverRefused as error:
                self._history.note(now, f"refused: {error}")

    def _do(self, deed: Deed, now: int) -> None:
        if isinstance(deed, StartCommand):
            self._state = start_rollover(self._state, deed.kind, self._policy, self._find_wall(now))
            number = self._state.next_number - 1
            self._history.note(now, f"the operator starts {deed.kind} rollover {number}")
        elif isinstance(deed, AbortCommand):
            if self._state.rollovers:
                self._state = abort_rollover(self._state, self._state.rollovers[0].number)
                self._history.note(now, "the operator aborts a rollover")
        elif isinstance(deed, PolicyChange):
            self._policy = deed.policy
            self._history.note(now, "the operator changes the policy")
        else:
            self._zone.dnskey_ttl, self._zone.largest_ttl = deed.dnskey_ttl, deed.largest_ttl
            self._zone.serve(now)
            self._history.note(now, f"TTLs change: DNSKEY {deed.dnskey_ttl}, others {deed.largest_ttl}")

    def _observe(self, now: int) -> Facts:
        zone = self._zone
        is_open = not self._has(TroubleKind.KMS, now)
        return Facts(
            zone.published,
            zone.signing,
            zone.covering,
            zone.denial,
            zone.dnskey_ttl,
            zone.largest_ttl,
            frozenset(self._usable),
            is_open,
            self._parent.answer(),
        )

    def _work(self, now: int) -> int:
        """Take steps until nothing changes any more; give the next wake-up, true time."""
        wall = self._find_wall(now)
        moment = Moment(wall, float(now), str(self._boot))
        self._approve_what_is_due(now)
        outcome = self._outcome
        if outcome is not None and self._is_resting(outcome, now, wall):
            # Only signatures are due: the timetable would find what it found last.
            self._carry_out(replace(outcome, actions=()), now, wall)
        rounds = 0
        while outcome is None or not self._is_resting(outcome, now, wall):
            rounds += 1
            if rounds > _MOST_ROUNDS:
                raise NoRest(str(self._state))
            facts = self._observe(now)
            outcome = take_step(self._state, moment, self._policy, facts)
            self._seen = facts, outcome.state, self._policy, self._boot, wall - now
            self._note_rollovers(self._state, outcome.state, now)
            self._state, self._outcome = outcome.state, outcome
            self._carry_out(outcome, now, wall)
        self._note_people(outcome, now)
        self._note_periods(now)
        due = self._zone.next_due
        wakes = [outcome.wake_at, *([] if due is None or self._has(TroubleKind.KMS, now) else [due])]
        return max(now + 1, min(wakes) - (wall - now))

    def _is_resting(self, outcome: Outcome, now: int, wall: int) -> bool:
        """Say if the timetable would see nothing that it has not seen, and nothing is due."""
        seen = self._observe(now), self._state, self._policy, self._boot, wall - now
        return wall < outcome.wake_at and self._seen == seen

    def _carry_out(self, outcome: Outcome, now: int, wall: int) -> None:
        is_kms_open = not self._has(TroubleKind.KMS, now)
        for action in outcome.actions:
            if (
                action.kind is ActionKind.MAKE_KEY
                and action.role is not None
                and action.algorithm is not None
            ):
                if not is_kms_open:
                    continue
                self._usable.add(action.key)
                self._algorithms[action.key] = action.algorithm
                if action.role.signs_keys:
                    self._ksks.add(action.key)
            if action.kind is ActionKind.FORGET_KEY:
                self._usable.discard(action.key)
            self._history.note(now, str(action))
        wanted = frozenset(
            ServedKey(key.name, key.algorithm) for key in outcome.state.keys if key.ds.is_wanted
        )
        self._parent.request(wanted, now)
        self._zone.publish(
            outcome.arrangement,
            self._algorithms,
            frozenset(self._ksks),
            now=now,
            wall=wall,
            is_kms_open=is_kms_open,
        )

    def _note_rollovers(self, before: TimetableState, after: TimetableState, now: int) -> None:
        """Note what begins by itself and what ends."""
        former = {rollover.number: rollover for rollover in before.rollovers}
        present = {rollover.number: rollover for rollover in after.rollovers}
        for number, rollover in former.items():
            if number not in present:
                ending = "has been turned back" if rollover.is_aborted else "is finished"
                self._history.note(now, f"{rollover.kind} rollover {number} {ending}")
            elif present[number].is_aborted is not rollover.is_aborted:
                self._history.note(now, f"{rollover.kind} rollover {number} turns round")
        for number, rollover in present.items():
            if number not in former:
                self._history.note(now, f"{rollover.kind} rollover {number} begins")

    def _note_people(self, outcome: Outcome, now: int) -> None:
        """Note each moment from which a person must act, once."""
        needs: dict[str, str] = {}
        if outcome.problem is not None:
            needs["problem"] = outcome.problem
        for wait in outcome.waits:
            if wait.who in (OPERATOR, PARENT):
                needs[f"{wait.number} {wait.step}"] = f"{wait.reason}; {wait.who} must act"
            number, step = wait.number, wait.step
            if number is None or step is None:
                continue
            if wait.who == OPERATOR and self._policy.find_mode(step) is Mode.ASK:
                place = number, step.value
                if step in self._scenario.approved:
                    self._approve_at.setdefault(place, now + self._scenario.approval_delay)
        for name, text in needs.items():
            if self._told.get(name) != text:
                # what is said anew of the same need is no further moment
                self._history.note(now, text, is_for_person=name not in self._told)
        self._told = {**needs, **{name: text for name, text in self._told.items() if name == "clock"}}

    def _approve_what_is_due(self, now: int) -> None:
        for (number, step), moment in list(self._approve_at.items()):
            if moment > now:
                continue
            del self._approve_at[number, step]
            for wait in self._outcome.waits if self._outcome else ():
                if wait.number == number and wait.step == step:
                    try:
                        self._state = approve_step(self._state, number, Step(step), self._policy)
                        self._history.note(now, f"the operator approves the step '{step}'")
                    except RolloverRefused as error:
                        self._history.note(now, f"refused: {error}")

    def _note_periods(self, now: int) -> None:
        present: dict[tuple[str, str], str] = {}
        for key in self._state.keys:
            for what, trace in (("dnskey", key.dnskey), ("data", key.data), ("ds", key.ds)):
                if not trace.is_gone:
                    present[key.name, what] = trace.presence.value
        for place, (presence, start) in list(self._open_periods.items()):
            if present.get(place) != presence:
                del self._open_periods[place]
                if now > start:
                    self._periods.append(Period(*place, presence, start, now))
        for place, presence in present.items():
            self._open_periods.setdefault(place, (presence, now))

    def _find_next(self, now: int, wake: int | None) -> int:
        moments = [edge for edge in self._edges if edge > now][:1]
        moments += self._approve_at.values()
        if self._accept_clock_at is not None:
            moments.append(self._accept_clock_at)
        for moment in (wake, self._parent.next_event):
            if moment is not None:
                moments.append(moment)
        return min((moment for moment in moments if moment > now), default=self._scenario.end)


def simulate(scenario: Scenario) -> Run:
    """Run a scenario to its end."""
    return Simulator(scenario).run()


def extend(scenario: Scenario, *troubles: Trouble) -> Scenario:
    """Give a scenario with more troubles."""
    return replace(scenario, troubles=(*scenario.troubles, *troubles))
