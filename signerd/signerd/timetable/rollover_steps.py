"""Takes one rollover as far as it may go now.

One order of steps does for all kinds. A key of an algorithm that the zone has already is published before it
signs (RFC 6781, section 4.1.1.1); an algorithm that is new signs before its keys are published, and goes the
other way round (section 4.1.4). Aborting exchanges the two sides and takes the same steps, so that what was
not begun needs no undoing, and what was begun is undone with the same care.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from signerd.timetable.facts import Facts
from signerd.timetable.parent_words import explain_silence
from signerd.timetable.policy import Mode, Step, TimetablePolicy
from signerd.timetable.presence import NEVER_THERE, Presence, Trace
from signerd.timetable.safety import find_dangers
from signerd.timetable.state import Rollover, RolloverKind, TimetableKey, TimetableState

Change = Callable[[TimetableState], TimetableState]
NOBODY: Final = ""
OPERATOR: Final = "the operator"
PARENT: Final = "the operator at the registrar, or the parent"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a rollover does not go on, or what the parent has still to do outside of rollovers.

    Attributes:
        number: Of the rollover; None if it is none of them.
        step: At which it is; None for the first DS record.
        reason: For people; a clause without a full stop.
        who: Must act; empty if only time must pass.
        until: When it is over, epoch seconds; None if that is open.
        since: When it began, epoch seconds; None if unknown.
    """

    number: int | None
    step: Step | None
    reason: str
    who: str = NOBODY
    until: int | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rollover got.

    Attributes:
        state: After the steps that were taken.
        taken: The steps.
        wait: What it waits for; None if it is over.
    """

    state: TimetableState
    taken: tuple[Step, ...]
    wait: Wait | None


def advance(
    state: TimetableState, rollover: Rollover, policy: TimetablePolicy, facts: Facts, now: int
) -> Progress:
    """Take all steps of a rollover that are possible now."""
    taken: list[Step] = []
    while True:
        step, change, wait = _find_next(state, rollover, policy, facts, now)
        if change is None:
            return Progress(state, tuple(taken), wait)
        gate = check_gate(rollover, step, policy)
        if gate is not None:
            gate = replace(gate, since=min(now, _find_arrival(state, rollover)))
            return Progress(state, tuple(taken), gate)
        following = change(state)
        dangers = find_dangers(following)
        if dangers:
            reason = f"the step '{step}' is not safe yet: {dangers[0]}"
            return Progress(state, tuple(taken), Wait(rollover.number, step, reason))
        state = following
        taken.append(step)
        if step is Step.FORGET:
            return Progress(state, tuple(taken), None)


def is_too_late_to_abort(state: TimetableState, rollover: Rollover) -> bool:
    """Say if a rollover can only be finished: what goes was begun to be withdrawn."""
    outgoing = state.select(rollover.outgoing)
    if rollover.kind is RolloverKind.SECURE:
        return any(not key.ds.is_gone for key in state.select(rollover.incoming))
    return any(not key.dnskey.is_everywhere for key in outgoing)


def check_gate(rollover: Rollover, step: Step, policy: TimetablePolicy) -> Wait | None:
    """Say who must let a step happen; None if nobody must."""
    mode = policy.find_mode(step)
    if rollover.is_aborted or mode is Mode.AUTO or (mode is Mode.ASK and step in rollover.approved):
        return None  # who aborts wants the way back to be taken
    if mode is Mode.HOLD:
        reason = f"the policy holds the step '{step}' (option 'steps')"
    else:
        reason = f"the step '{step}' awaits 'signerd rollover approve ZONE {rollover.number}'"
    return Wait(rollover.number, step, reason, OPERATOR, since=rollover.started_at)


def _find_arrival(state: TimetableState, rollover: Rollover) -> int:
    """Say since when a step could be taken that somebody must let happen: since the last thing happened."""
    keys = state.select((*rollover.incoming, *rollover.outgoing))
    moments = [trace.since for key in keys for trace in (key.dnskey, key.data, key.ds)]
    moments += [key.made_at for key in state.select(rollover.incoming)]
    moments += [state.coverage[key.algorithm].since for key in keys if key.algorithm in state.coverage]
    return max([rollover.started_at, *(moment for moment in moments if moment is not None)])


def _find_next(
    state: TimetableState, rollover: Rollover, policy: TimetablePolicy, facts: Facts, now: int
) -> tuple[Step, Change | None, Wait | None]:
    incoming, outgoing = state.select(rollover.incoming), state.select(rollover.outgoing)
    new_algorithms = {key.algorithm for key in incoming} - {key.algorithm for key in outgoing}
    old_algorithms = {key.algorithm for key in outgoing} - {key.algorithm for key in incoming}
    in_names, out_names = rollover.incoming, rollover.outgoing

    def wait(step: Step, reason: str, traces: Iterable[Trace], who: str = NOBODY) -> Wait:
        moving = [trace for trace in traces if trace.is_moving]
        ends = [trace.settles_at for trace in moving]
        known = [end for end in ends if end is not None]
        is_open = not moving or len(known) < len(ends)
        since = min((trace.since for trace in moving if trace.since is not None), default=None)
        return Wait(rollover.number, step, reason, who, None if is_open else max(known), since)

    missing = [key.name for key in incoming if key.made_at is None]
    if missing:
        text = " and ".join(missing)
        gate = check_gate(rollover, Step.MAKE, policy)
        if gate is not None:
            return Step.MAKE, None, gate
        reason = (
            f"{text} is to be made" if facts.is_kms_open else f"{text} is to be made, and the KMS is closed"
        )
        who = NOBODY if facts.is_kms_open else OPERATOR
        return Step.MAKE, None, Wait(rollover.number, Step.MAKE, reason, who, since=rollover.started_at)

    signers = [key.name for key in incoming if key.role.signs_data]
    if new_algorithms:
        if not all(key.data.is_wanted for key in incoming if key.role.signs_data):
            return (
                Step.SIGN,
                lambda then: then.change_coverage(
                    new_algorithms, lambda trace: trace.appear(now)
                ).change_keys(signers, lambda key: replace(key, data=key.data.appear(now))),
                None,
            )
        covers = [state.coverage.get(number, NEVER_THERE) for number in new_algorithms]
        if state.may_have_ds and not all(trace.is_everywhere for trace in covers):
            reason = "the new signatures are to reach all caches"
            return Step.SIGN, None, wait(Step.SIGN, reason, covers)

    if not all(key.dnskey.is_wanted for key in incoming):
        return (
            Step.PUBLISH,
            lambda then: then.change_keys(in_names, lambda key: replace(key, dnskey=key.dnskey.appear(now))),
            None,
        )
    if not all(key.dnskey.is_everywhere for key in incoming):
        reason = "the new DNSKEY record is to reach all caches"
        return Step.PUBLISH, None, wait(Step.PUBLISH, reason, (key.dnskey for key in incoming))

    if not new_algorithms and not all(key.data.is_wanted for key in incoming if key.role.signs_data):
        leaving = [key.name for key in outgoing if key.algorithm not in old_algorithms]
        return (
            Step.SIGN,
            lambda then: then.change_keys(
                signers, lambda key: replace(key, data=key.data.appear(now))
            ).change_keys(leaving, lambda key: replace(key, data=key.data.vanish(now))),
            None,
        )
    # A key that comes back by an abort signs already; the other one still has to stop.
    stopping = [
        key.name
        for key in outgoing
        if incoming and key.algorithm not in old_algorithms and key.data.is_wanted and signers
    ]
    if stopping:
        return (
            Step.SIGN,
            lambda then: then.change_keys(stopping, lambda key: replace(key, data=key.data.vanish(now))),
            None,
        )

    covers = [state.coverage.get(key.algorithm, NEVER_THERE) for key in incoming]
    if not all(trace.is_everywhere for trace in covers):
        return Step.SIGN, None, wait(Step.SIGN, "the signatures are to reach all caches", covers)

    if rollover.kind is not RolloverKind.ZSK and state.may_have_ds:
        arriving = [key for key in incoming if key.role.signs_keys]
        asked_for = [] if policy.is_ds_unwanted else arriving
        if not all(key.ds.is_wanted for key in asked_for) or any(key.ds.is_wanted for key in outgoing):
            return (
                Step.DELEGATE,
                lambda then: then.change_keys(
                    [key.name for key in asked_for],
                    lambda key: replace(key, ds=key.ds.appear(now, policy.parent_lag)),
                ).change_keys(out_names, lambda key: replace(key, ds=key.ds.vanish(now, policy.parent_lag))),
                None,
            )
        awaited = [key.ds for key in outgoing if key.role.signs_keys]
        if not rollover.is_aborted:  # what was there before need not come to be there by turning back
            awaited += [key.ds for key in arriving]
        if not all(trace.is_everywhere or trace.is_gone for trace in awaited):
            parent_wait = find_parent_wait(rollover.number, (*incoming, *outgoing), facts, policy)
            return parent_wait.step or Step.DELEGATE, None, parent_wait

    if not all(key.data.is_gone for key in outgoing if key.algorithm not in old_algorithms):
        reason = "the signatures of the old key are replaced as they fall due, and are to leave all caches"
        replaced = wait(Step.SIGN, reason, (key.data for key in outgoing))
        if replaced.until is None and replaced.since is not None and policy.signature_life is not None:
            latest = replaced.since + policy.signature_life
            until = state.largest_ttl.find_settling(latest, policy.propagation)
            replaced = replace(replaced, until=until if until > now else None)
        return Step.SIGN, None, replaced

    if any(key.dnskey.is_wanted for key in outgoing):
        return (
            Step.WITHDRAW,
            lambda then: then.change_keys(out_names, lambda key: replace(key, dnskey=key.dnskey.vanish(now))),
            None,
        )
    if not all(key.dnskey.is_gone for key in outgoing) and state.may_have_ds:
        reason = "the old DNSKEY record is to leave all caches"
        return Step.WITHDRAW, None, wait(Step.WITHDRAW, reason, (key.dnskey for key in outgoing))

    if any(key.data.is_wanted for key in outgoing):
        return (
            Step.WITHDRAW,
            lambda then: then.change_coverage(old_algorithms, lambda trace: trace.vanish(now)).change_keys(
                out_names, lambda key: replace(key, data=key.data.vanish(now))
            ),
            None,
        )
    remains = [trace for key in outgoing for trace in (key.dnskey, key.data)]
    if not all(trace.is_gone for trace in remains):
        reason = "the old key and its signatures are to leave all caches"
        return Step.WITHDRAW, None, wait(Step.WITHDRAW, reason, remains)

    return Step.FORGET, lambda then: _forget(then, rollover), None


def _forget(state: TimetableState, rollover: Rollover) -> TimetableState:
    going = frozenset(rollover.outgoing)
    keys = tuple(key for key in state.keys if key.name not in going)
    algorithms = {key.algorithm for key in keys}
    return replace(
        state,
        keys=keys,
        coverage={number: trace for number, trace in state.coverage.items() if number in algorithms},
        rollovers=tuple(other for other in state.rollovers if other.number != rollover.number),
    )


def find_parent_wait(
    number: int | None, keys: Iterable[TimetableKey], facts: Facts, policy: TimetablePolicy
) -> Wait:
    """Say what the parent has still to do, or what is still in caches of what it has done.

    Args:
        number: Of the rollover; None if it is none of them.
        keys: Of which DS records are to come or to go.
        facts: What the parent shows.
        policy: Whether there is a parent.
    """
    moving = [key for key in keys if key.role.signs_keys and key.ds.is_moving]
    undone = [key for key in moving if key.ds.settles_at is None]
    since = min((key.ds.since for key in moving if key.ds.since is not None), default=None)
    if facts.is_parentless and policy.is_ds_unwanted:
        reason = (
            "no parent is found, and the policy says that it has no DS record; caches are to forget any "
            "that there was"
        )
        return Wait(number, Step.CONFIRM, reason, NOBODY, _find_end(moving), since)
    if not undone:
        reason = "the parent has changed the DS records; the old ones are to leave all caches"
        return Wait(number, Step.CONFIRM, reason, NOBODY, _find_end(moving), since)
    asked = [key.name for key in undone if key.name in facts.announced and not key.ds.is_wanted]
    silence = explain_silence(facts, policy)
    if asked and all(key.name in asked and facts.is_ds_nowhere(key.name) for key in undone):
        names = " and ".join(asked)
        reason = (
            f"CDS records that are served ask for the DS record of {names}, until a new version is signed"
        )
        return Wait(number, Step.DELEGATE, reason, NOBODY if facts.is_kms_open else OPERATOR, None, since)
    if silence is None:
        wishes = [
            f"add the DS record of {key.name}" for key in undone if key.ds.presence is Presence.RUMOURED
        ]
        wishes += [
            f"remove the DS record of {key.name}" for key in undone if key.ds.presence is Presence.UNRETENTIVE
        ]
        silence = f"all servers of the parent are to {' and '.join(wishes)}"
    who = OPERATOR if facts.is_parentless else PARENT
    return Wait(number, Step.DELEGATE, silence, who, None, since)


def _find_end(moving: Iterable[TimetableKey]) -> int | None:
    ends = [key.ds.settles_at for key in moving]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
