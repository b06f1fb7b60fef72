"""Begins rollovers by themselves: because keys are old, or because the policy has changed."""

from signerd.timetable.commands import RolloverRefused, start_rollover, turn_back
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.rollover_steps import is_too_late_to_abort
from signerd.timetable.state import KeyRole, RolloverKind, TimetableKey, TimetableState

_CHANGES = (RolloverKind.ALGORITHM, RolloverKind.SCHEME, RolloverKind.SECURE)


def begin_what_is_due(state: TimetableState, policy: TimetablePolicy, now: int) -> TimetableState:
    """Begin, or turn back, what the policy and the age of the keys ask for."""
    if not policy.is_signed:
        return _go_insecure(state, policy, now)
    for rollover in state.rollovers:
        if rollover.kind is RolloverKind.INSECURE and not rollover.is_aborted:
            if is_too_late_to_abort(state, rollover):
                return state
            state = turn_back(state, rollover)
    state = _turn_back_changes(state, policy)
    staying = find_staying(state)
    if _describe(staying) != _describe_wanted(policy):
        return _try_start(state, RolloverKind.ALGORITHM, policy, now)
    for kind, due in find_due(state, policy).items():
        if due <= now:
            state = _try_start(state, kind, policy, now)
    return state


def find_staying(state: TimetableState) -> tuple[TimetableKey, ...]:
    """Give the keys that no rollover takes away."""
    return tuple(key for key in state.keys if key.name not in state.outgoing)


def find_due(state: TimetableState, policy: TimetablePolicy) -> dict[RolloverKind, int]:
    """Say when keys are old enough to be replaced, epoch seconds; nothing for those being replaced."""
    if any(rollover.kind not in (RolloverKind.ZSK, RolloverKind.KSK) for rollover in state.rollovers):
        return {}
    busy = {rollover.kind for rollover in state.rollovers}
    due: dict[RolloverKind, int] = {}
    for key in find_staying(state):
        period = policy.zsk_period if key.role is KeyRole.ZSK else policy.ksk_period
        kind = RolloverKind(key.role.value)
        if key.made_at is not None and period is not None and kind not in busy:
            due[kind] = key.made_at + period
    return due


def _try_start(
    state: TimetableState, kind: RolloverKind, policy: TimetablePolicy, now: int
) -> TimetableState:
    try:
        return start_rollover(state, kind, policy, now)
    except RolloverRefused:
        return state  # what is in the way comes to its end first


def _describe(keys: tuple[TimetableKey, ...]) -> set[tuple[KeyRole, int]]:
    return {(key.role, key.algorithm) for key in keys}


def _describe_wanted(policy: TimetablePolicy) -> set[tuple[KeyRole, int]]:
    roles = [KeyRole.CSK] if policy.is_csk else [KeyRole.KSK, KeyRole.ZSK]
    return {(role, policy.algorithm) for role in roles}


def _turn_back_changes(state: TimetableState, policy: TimetablePolicy) -> TimetableState:
    """Turn a change back whose aim is not wanted any more, if what it takes away is."""
    for rollover in state.rollovers:
        wanted = _describe_wanted(policy)
        if (
            rollover.kind in _CHANGES
            and _describe(state.select(rollover.incoming)) != wanted
            and _describe(state.select(rollover.outgoing)) == wanted
            and not is_too_late_to_abort(state, rollover)
        ):
            state = turn_back(state, rollover)
    return state


def _go_insecure(state: TimetableState, policy: TimetablePolicy, now: int) -> TimetableState:
    for rollover in state.rollovers:
        if rollover.kind is RolloverKind.INSECURE:
            if rollover.is_aborted and not is_too_late_to_abort(state, rollover):
                state = turn_back(state, rollover)
            return state
    for rollover in state.rollovers:
        if not rollover.is_aborted and rollover.outgoing and not is_too_late_to_abort(state, rollover):
            state = turn_back(state, rollover)
    return _try_start(state, RolloverKind.INSECURE, policy, now) if state.keys else state
