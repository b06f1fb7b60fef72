"""What the choice of a KSK by the owner of a zone means for its timetable; values in, values out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from signerd.rollover.beginning import name_keys
from signerd.signer.timetable_keys import StoredKey
from signerd.signer.zone_key_store import ACTIVE
from signerd.timetable.beginnings import find_staying
from signerd.timetable.commands import RolloverRefused, start_rollover, turn_back
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.presence import Presence, Trace
from signerd.timetable.rollover_steps import is_too_late_to_abort
from signerd.timetable.state import Rollover, RolloverKind, TimetableKey, TimetableState

_TURNED_BACK: Final = (RolloverKind.KSK, RolloverKind.CSK, RolloverKind.ALGORITHM, RolloverKind.SCHEME)


def begin_with_choice(state: TimetableState, keys: Sequence[StoredKey]) -> TimetableState:
    """Give the first state of a timetable: the parent is to point to no KSK but the one chosen last.

    Args:
        state: As it is for a zone all of whose keys are to stay.
        keys: Of the zone.
    """
    chosen = next((key for key in keys if key.role.signs_keys and key.state == ACTIVE), None)
    if chosen is None:
        return state
    names = name_keys(keys)
    staying = {
        names[key.identity]
        for key in keys
        if key.dnskey.algorithm == chosen.dnskey.algorithm and (key is chosen or not key.role.signs_keys)
    }
    return replace(
        state,
        rollovers=tuple(
            replace(rollover, incoming=tuple(name for name in rollover.incoming if name in staying))
            for rollover in state.rollovers
        ),
    )


def has_gone_insecure(state: TimetableState) -> bool:
    """Say if no cache can have a DS of the zone any more, and its keys are on their way out."""
    return not any(key.dnskey.is_wanted or not key.ds.is_gone for key in state.keys)


def drop_first_keys(state: TimetableState) -> TimetableState:
    """Give the state of a zone whose first keys need not reach all caches any more: it is to be unsigned.

    Args:
        state: In which the parent was asked for no DS record, nor has any.
    """
    remaining = tuple(rollover for rollover in state.rollovers if rollover.kind is not RolloverKind.SECURE)
    return state if remaining == state.rollovers else replace(state, rollovers=remaining)


def take_in_keys(
    state: TimetableState, keys: Sequence[StoredKey], now: int
) -> tuple[TimetableState, Mapping[str, str]]:
    """Take KSKs in that are served, and of which nothing is known.

    Args:
        state: Of the timetable.
        keys: The KSKs.
        now: Epoch seconds.

    Returns:
        The state, and identity to name of the keys.
    """
    names: dict[str, str] = {}
    appearing = Trace(Presence.RUMOURED, now)
    for key in keys:
        name = names[key.identity] = f"{key.role}-{state.next_number}"
        made_at = min(key.created_at, now)
        found = TimetableKey(name, key.role, key.dnskey.algorithm, made_at, dnskey=appearing)
        state = replace(state, keys=(*state.keys, found), next_number=state.next_number + 1)
    return state, names


def follow_choice(
    state: TimetableState, chosen: StoredKey, leaving: Collection[str], policy: TimetablePolicy, now: int
) -> TimetableState:
    """Begin what leads to the KSK that the owner has chosen, and turn back what leads away from it.

    Args:
        state: Of the timetable.
        chosen: The KSK; without a name as long as no rollover has brought it.
        leaving: Names of KSKs that were chosen before.
        policy: What is wanted of the keys.
        now: Epoch seconds.
    """
    state = _turn_back(state, chosen, leaving)
    points = [key for key in find_staying(state) if key.role.signs_keys]
    if chosen.name is None:
        if not any(key.algorithm == chosen.dnskey.algorithm for key in points):
            return state  # another algorithm begins a rollover of its own
        try:
            return start_rollover(state, RolloverKind.KSK, policy, now)
        except RolloverRefused:
            return state  # what is in the way comes to its end first
    others = [key for key in points if key.name in leaving]
    if not others or chosen.name not in {key.name for key in points}:
        return state
    return _part_with(state, chosen.name, chosen.dnskey.algorithm, others, now)


def find_algorithm(state: TimetableState, chosen: StoredKey, leaving: Collection[str]) -> int:
    """Say of which algorithm the keys are to be now: that of the KSK chosen, once nothing else is in the way.

    Args:
        state: Of the timetable.
        chosen: The KSK that the owner has chosen.
        leaving: Names of KSKs that were chosen before.
    """
    for rollover in _turn_back(state, chosen, leaving).rollovers:
        points = [key for key in state.select(rollover.incoming) if key.role.signs_keys]
        is_made = bool(points) and all(key.made_at is not None for key in points)
        if rollover.kind in _TURNED_BACK and is_made and chosen.name not in rollover.incoming:
            return points[0].algorithm  # it comes to its end first, whichever way it goes
    return chosen.dnskey.algorithm


def _turn_back(state: TimetableState, chosen: StoredKey, leaving: Collection[str]) -> TimetableState:
    for rollover in state.rollovers:
        if rollover.kind not in _TURNED_BACK or is_too_late_to_abort(state, rollover):
            continue
        points = [key for key in state.select(rollover.incoming) if key.role.signs_keys]
        if any(key.name in leaving for key in points):
            # what leads to a third key goes on if the parent has done its part already
            is_wrong = not rollover.is_aborted and not any(_was_confirmed(key) for key in points)
        else:  # it leads to the key that was chosen, or replaces that one because it is old
            is_wrong = any(_is_in_the_way(key, chosen) for key in points)
            if not is_wrong:
                continue
        if is_wrong or chosen.name in rollover.outgoing:
            state = turn_back(state, rollover)
    return state


def _was_confirmed(key: TimetableKey) -> bool:
    return key.ds.is_everywhere or (key.ds.is_wanted and key.ds.settles_at is not None)


def _is_in_the_way(key: TimetableKey, chosen: StoredKey) -> bool:
    """Say if a key is not made yet, and keeps one of another algorithm from coming that was chosen."""
    return key.made_at is None and chosen.name is None and key.algorithm != chosen.dnskey.algorithm


def _part_with(
    state: TimetableState, chosen: str, algorithm: int, others: Sequence[TimetableKey], now: int
) -> TimetableState:
    """Have KSKs go that are there beside the one that was chosen, and that no rollover takes away."""
    if all(key.algorithm == algorithm for key in others):
        kind = RolloverKind.KSK
        incoming: tuple[str, ...] = (chosen,)
        outgoing = tuple(key.name for key in others)
        is_busy = any(rollover.kind is not RolloverKind.ZSK for rollover in state.rollovers)
    else:
        kind, staying = RolloverKind.ALGORITHM, find_staying(state)
        incoming = tuple(key.name for key in staying if key.algorithm == algorithm)
        outgoing = tuple(key.name for key in staying if key.algorithm != algorithm)
        is_busy = bool(state.rollovers)
    if is_busy:
        return state
    rollover = Rollover(state.next_number, kind, incoming, outgoing, now)
    return replace(state, rollovers=(*state.rollovers, rollover), next_number=state.next_number + 1)
