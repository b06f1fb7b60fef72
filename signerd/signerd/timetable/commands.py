"""What an operator may ask of a timetable."""

from dataclasses import replace

from signerd.timetable.policy import Mode, Step, TimetablePolicy
from signerd.timetable.rollover_progress import StepState, list_steps
from signerd.timetable.rollover_steps import is_too_late_to_abort
from signerd.timetable.state import KeyRole, Rollover, RolloverKind, TimetableKey, TimetableState


class RolloverRefused(Exception):
    """A command cannot be followed now; the message says why and what to do."""

    code = "timetable.rollover_refused"


def start_rollover(
    state: TimetableState, kind: RolloverKind, policy: TimetablePolicy, now: int
) -> TimetableState:
    """Begin to replace keys.

    ZSK and KSK rollovers go side by side. All other kinds change the keys that those work on, so they go
    alone.

    Raises:
        RolloverRefused: There is nothing to replace, or another rollover is in the way.
    """
    for other in state.rollovers:
        if other.kind is kind:
            raise RolloverRefused(f"a {kind} rollover is under way: number {other.number}")
        if {kind, other.kind} != {RolloverKind.ZSK, RolloverKind.KSK}:
            raise RolloverRefused(
                f"a rollover of kind {kind} must wait for the end of rollover {other.number} ({other.kind})"
            )
    if kind in (RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.CSK):
        role = KeyRole(kind.value)
        outgoing = [key for key in state.keys if key.role is role]
        if not outgoing:
            raise RolloverRefused(f"the zone has no {kind}")
        roles = [role]
        algorithm = outgoing[0].algorithm
    elif kind is RolloverKind.INSECURE:
        outgoing, roles, algorithm = list(state.keys), [], policy.algorithm
    else:
        outgoing = list(state.keys)
        roles = [KeyRole.CSK] if policy.is_csk else [KeyRole.KSK, KeyRole.ZSK]
        algorithm = policy.algorithm
        if {(key.role, key.algorithm) for key in outgoing} == {(role, algorithm) for role in roles}:
            raise RolloverRefused(
                f"the keys are of algorithm {algorithm} already, as the policy says; change the key type "
                "there, and the rollover begins by itself"
            )
        kind = _name_change(outgoing, algorithm)
    number = state.next_number
    incoming = tuple(TimetableKey(f"{role}-{number}", role, algorithm) for role in roles)
    rollover = Rollover(
        number,
        kind,
        tuple(key.name for key in incoming),
        tuple(key.name for key in outgoing),
        now,
    )
    return replace(
        state,
        keys=(*state.keys, *incoming),
        rollovers=(*state.rollovers, rollover),
        next_number=number + 1,
    )


def _name_change(outgoing: list[TimetableKey], algorithm: int) -> RolloverKind:
    if not outgoing:
        return RolloverKind.SECURE
    is_same = {key.algorithm for key in outgoing} == {algorithm}
    return RolloverKind.SCHEME if is_same else RolloverKind.ALGORITHM


def approve_step(state: TimetableState, number: int, step: Step, policy: TimetablePolicy) -> TimetableState:
    """Let a step of a rollover happen that asks for approval.

    Raises:
        RolloverRefused: There is no such rollover or step, it was taken, or it is held.
    """
    rollover = _find(state, number)
    states = {progress.step: progress.state for progress in list_steps(state, rollover, None)}
    if step not in states:
        raise RolloverRefused(
            f"rollover {number} ({rollover.kind}) has no step '{step}'; it has {', '.join(states)}"
        )
    if states[step] is StepState.DONE:
        raise RolloverRefused(f"the step '{step}' of rollover {number} has been taken")
    if policy.find_mode(step) is Mode.HOLD:
        raise RolloverRefused(f"the policy holds the step '{step}'; change it there")
    return _replace(state, replace(rollover, approved=rollover.approved | {step}))


def abort_rollover(state: TimetableState, number: int) -> TimetableState:
    """Turn a rollover back; it takes the same careful steps in the other direction.

    Raises:
        RolloverRefused: There is no such rollover, or it is too late.
    """
    rollover = _find(state, number)
    if rollover.kind in (RolloverKind.SECURE, RolloverKind.INSECURE):
        raise RolloverRefused(
            f"rollover {number} follows from the policy, which says whether to sign; change it"
        )
    if is_too_late_to_abort(state, rollover):
        raise RolloverRefused(
            f"rollover {number} is past the point of return: {' and '.join(rollover.outgoing)} is being "
            "withdrawn; let it finish and start another one"
        )
    return turn_back(state, rollover)


def turn_back(state: TimetableState, rollover: Rollover) -> TimetableState:
    """Exchange what comes and what goes; the caller has made sure that it is not too late."""
    turned = replace(
        rollover,
        incoming=rollover.outgoing,
        outgoing=rollover.incoming,
        is_aborted=not rollover.is_aborted,
        approved=frozenset(),
    )
    return _replace(state, turned)


def _find(state: TimetableState, number: int) -> Rollover:
    for rollover in state.rollovers:
        if rollover.number == number:
            return rollover
    known = ", ".join(str(rollover.number) for rollover in state.rollovers) or "none"
    raise RolloverRefused(f"no rollover {number} is under way; under way: {known}")


def _replace(state: TimetableState, rollover: Rollover) -> TimetableState:
    return replace(
        state,
        rollovers=tuple(rollover if other.number == rollover.number else other for other in state.rollovers),
    )
