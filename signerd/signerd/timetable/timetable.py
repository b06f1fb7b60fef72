"""One step of the timetable of a zone: what is observed in, what is to be done and when to look again out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from signerd.timetable.arrangement import Action, Arrangement, arrange, find_actions
from signerd.timetable.beginnings import begin_what_is_due, find_due, find_staying
from signerd.timetable.explanation import explain
from signerd.timetable.facts import Facts
from signerd.timetable.observation import notice_clock, observe
from signerd.timetable.parent_words import explain_first_ds
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.presence import Presence
from signerd.timetable.rollover_steps import OPERATOR, PARENT, Wait, advance, find_parent_wait
from signerd.timetable.safety import find_dangers
from signerd.timetable.state import Moment, RolloverKind, TimetableState

_SLOWEST_LOOK = 30 * 86400  # what is observed anew calls for a step in any case


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step of the timetable gives.

    Attributes:
        state: To be kept before anything is carried out.
        arrangement: What shall be published.
        actions: What is to be done to get there; those that fail are done when the step after asks again.
        wake_at: When to take the next step at the latest, epoch seconds.
        sentence: For people: where the zone stands, what it waits for and who must act.
        waits: Of rollovers and of the parent.
        problem: Why the timetable has stopped; None if it goes on. Serving and signing always do.
        clock_step: By how many seconds the clock was set since the last step; 0 if it was not.
        strangers: Name servers of the parent with DS records of no key of the zone.
    """

    state: TimetableState
    arrangement: Arrangement
    actions: tuple[Action, ...]
    wake_at: int
    sentence: str
    waits: tuple[Wait, ...]
    problem: str | None
    clock_step: int
    strangers: tuple[str, ...] = ()


def take_step(
    state: TimetableState, moment: Moment, policy: TimetablePolicy, facts: Facts, *, first_keys: bool = True
) -> Outcome:
    """Take one step.

    Args:
        state: Of the step before, with the commands of the operator since.
        moment: Now.
        policy: What the operator wants.
        facts: What is observed now.
        first_keys: Whether keys may be made for a zone that has none.
    """
    before, earlier = state, arrange(state, policy)
    now = moment.wall
    state, clock_step = notice_clock(state, moment)
    state = observe(state, facts, policy, now)
    problem = find_problem(state, facts)
    observed = state
    waits: list[Wait] = []
    if problem is None:
        if state.keys or first_keys:
            state = begin_what_is_due(state, policy, now)
        state = _ask_for_no_ds(state, policy, now)
        state, waits = _advance_all(state, policy, facts, now)
        state = _ask_for_first_ds(state, policy, now)
        waits += _find_further_waits(state, policy, facts, waits)
        is_changing = any(
            rollover.kind not in (RolloverKind.ZSK, RolloverKind.KSK) for rollover in state.rollovers
        )
        if state.denial != policy.denial and not is_changing:
            # NSEC and NSEC3 records are signed and replaced in one zone version, and a negative answer in a
            # cache brings its own proof along, so there is nothing to wait for.
            state = replace(state, denial=policy.denial.value)
        dangers = find_dangers(state)
        if dangers:  # each step was checked; this guards against what does not go through `advance`
            problem, state, waits = f"{dangers[0]}; nothing was changed", observed, []
    return Outcome(
        state,
        arrange(state, policy),
        find_actions(before, state, policy, earlier),
        _find_wake(state, policy, waits, now),
        explain(state, policy, facts, waits, problem, now),
        tuple(waits),
        problem,
        clock_step,
        tuple(server.name for server in facts.parent if server.has_strangers),
    )


def find_problem(state: TimetableState, facts: Facts) -> str | None:
    """Say what contradicts the state, and what to do about it; None if nothing does."""
    if facts.is_kms_open:
        for key in state.keys:
            if key.made_at is not None and key.name not in facts.usable:
                return f"key {key.name} is missing or unusable; restore it in the KMS"
    known = {key.name for key in state.keys}
    for name in sorted((facts.published | facts.signing) - known):
        return f"{name} is in the zone, but the timetable does not know it; remove it from the zone"
    for key in state.keys:
        if key.dnskey.is_everywhere and key.name not in facts.published:
            return f"the DNSKEY record of {key.name} was taken out of the zone; publish it again"
    for number, trace in state.coverage.items():
        if trace.is_everywhere and number not in facts.covering:
            return f"not all data has a signature of algorithm {number} any more; sign the zone again"
    dangers = find_dangers(state)
    return f"{dangers[0]}; compare the DS records at the parent with 'signerd ds'" if dangers else None


def _advance_all(
    state: TimetableState, policy: TimetablePolicy, facts: Facts, now: int
) -> tuple[TimetableState, list[Wait]]:
    while True:
        waits: list[Wait] = []
        taken: Sequence[object] = ()
        for rollover in state.rollovers:
            progress = advance(state, rollover, policy, facts, now)
            state = progress.state
            taken = [*taken, *progress.taken]
            if progress.wait is not None:
                waits.append(progress.wait)
        if not taken:
            return state, waits
        # First of all: what begins now must know that the parent was asked for a DS record, and may have it.
        state = _ask_for_first_ds(state, policy, now)
        state = begin_what_is_due(state, policy, now)


def _ask_for_first_ds(state: TimetableState, policy: TimetablePolicy, now: int) -> TimetableState:
    """Ask the parent for a DS record once every cache can follow it."""
    staying = find_staying(state)
    is_ready = all(key.dnskey.is_everywhere for key in staying) and all(
        trace.is_everywhere for trace in state.coverage.values()
    )
    is_asked = any(key.ds.is_wanted for key in staying)
    if not policy.has_parent or policy.is_ds_unwanted or not policy.is_signed:
        return state
    if is_asked or not staying or not is_ready:
        return state
    if any(rollover.kind not in (RolloverKind.ZSK,) for rollover in state.rollovers):
        return state
    names = [key.name for key in staying if key.role.signs_keys]
    return state.change_keys(names, lambda key: replace(key, ds=key.ds.appear(now, policy.parent_lag)))


def _ask_for_no_ds(state: TimetableState, policy: TimetablePolicy, now: int) -> TimetableState:
    """Ask the parent for no DS record any more if the policy wants none."""
    if not policy.is_ds_unwanted or not policy.is_signed:
        return state  # who goes insecure asks for none in a step of that
    names = [key.name for key in state.keys if key.ds.is_wanted]
    return state.change_keys(names, lambda key: replace(key, ds=key.ds.vanish(now, policy.parent_lag)))


def _find_further_waits(
    state: TimetableState, policy: TimetablePolicy, facts: Facts, waits: Sequence[Wait]
) -> Sequence[Wait]:
    """Say what the parent has to do outside of rollovers: have the first DS record, or drop one."""
    if any(wait.step in (Step.DELEGATE, Step.CONFIRM) for wait in waits):
        return ()  # that one is about all DS records
    going = [key for key in state.keys if key.ds.presence is Presence.UNRETENTIVE]
    if going and policy.is_ds_unwanted and policy.is_signed:
        return (find_parent_wait(None, going, facts, policy),)
    who = OPERATOR if facts.is_parentless else PARENT
    return [
        Wait(None, None, explain_first_ds(key.name, facts, policy), who, since=key.ds.since)
        for key in find_staying(state)
        if key.ds.presence is Presence.RUMOURED and key.ds.settles_at is None
    ]


def _find_wake(state: TimetableState, policy: TimetablePolicy, waits: Sequence[Wait], now: int) -> int:
    moments = [now + _SLOWEST_LOOK]
    traces = [trace for key in state.keys for trace in (key.dnskey, key.data, key.ds)]
    traces += state.coverage.values()
    moments += [trace.settles_at for trace in traces if trace.settles_at is not None]
    moments += find_due(state, policy).values()
    if any(key.ds.is_moving and key.ds.settles_at is None for key in state.keys) or any(
        wait.who == PARENT for wait in waits
    ):
        moments.append(now + policy.parent_interval)
    return min((moment for moment in moments if moment > now), default=now + _SLOWEST_LOOK)
