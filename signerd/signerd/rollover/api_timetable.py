"""The timetable of a zone of the API: its owner says whether it is signed, and with which KSK.

A KSK is replaced, because the owner chose another one or because it has grown old, in the same steps as in a
zone of a file. The DS of a key that the timetable has made is handed out when every cache can follow it; a
zone that is turned off stays signed until no cache can have a DS of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from signerd.config.policy import KskRollover, Policy
from signerd.delegation.parent_view import ParentView
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.rollover.owner_choice import (
    begin_with_choice,
    drop_first_keys,
    find_algorithm,
    follow_choice,
    has_gone_insecure,
    take_in_keys,
)
from signerd.rollover.timetable_policy import keep_as_it_is, make_timetable_policy
from signerd.rollover.timetable_record import TimetableRecord, change_record, delete_record, has_record
from signerd.rollover.zone_timetable import Memory, StepReport, TimetableParts, ZoneTimetable
from signerd.signer.served_keys import ServedKeys
from signerd.signer.timetable_keys import KskSource, StoredKey, TimetableKeys
from signerd.signer.zone_key_store import ACTIVE, INCOMING, OUTGOING, KeyUnusable
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.facts import ParentServer
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.state import KeyRole, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome
from signerd.zone_dnssec.settings import DnssecSetting
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import ZoneEntry
from signerd_kms.key import KeyType, Scope

_SLOWEST_LOOK: Final = 86400
_OF_KSKS: Final = (RolloverKind.KSK, RolloverKind.CSK)


class ApiZoneTimetable(ZoneTimetable):
    """Replaces the keys of a zone whose owner decides about its DNSSEC."""

    def __init__(self, entry: ZoneEntry, policy: Policy, parts: TimetableParts) -> None:
        super().__init__(entry, policy, parts)
        self._is_unsigned = False  # as was seen, so that each change of an unsigned zone costs nothing
        self._setting: DnssecSetting | None = None  # as of the last step or command

    # For signing

    def is_signed(self, published: Zone | None) -> bool:
        """Say if versions of the zone are to be signed: as long as its owner or some cache wants it."""
        del published
        setting = self._parts.wishes.find(self.entry)
        if setting is None or not setting.state.is_served_signed:
            return False
        with self._lock:
            if self._memory is None and self._has_record():
                self._open(self._parts.open_keys(), None)
            is_gone = self._memory is not None and has_gone_insecure(self._memory.record.state)
            if is_gone and setting.state.is_enabled:
                self._end()  # it went insecure before its owner turned DNSSEC on again: it begins anew
        return setting.state.is_enabled or not is_gone

    def _has_record(self) -> bool:
        return has_record(self._parts.open_engine(), self.entry.name, self._identity)

    def is_at_rest(self, published: Zone | None) -> bool:
        """Say if a new version gives no reason for a step."""
        if self._is_unsigned and published is not None and rt.DNSKEY not in published.names[published.origin]:
            return True
        return super().is_at_rest(published)

    @property
    def retry_seconds(self) -> int:
        """How long nothing is tried again without news."""
        return _SLOWEST_LOOK if self._is_unsigned else super().retry_seconds

    # The record

    def _open(self, keys: TimetableKeys, published: Zone | None) -> Memory:
        """Read or begin the record; a KSK that is served is in it, whatever became of the record."""
        is_new = self._memory is None
        memory = super()._open(keys, published)
        if is_new:
            self._take_in_served(keys, memory, published)
        return memory

    def _take_in_served(self, keys: TimetableKeys, memory: Memory, published: Zone | None) -> None:
        apex = None if published is None else published.names[published.origin].get(rt.DNSKEY)
        served = frozenset[bytes]() if apex is None else frozenset(apex.rdatas)
        unknown = [
            key
            for key in memory.keys
            if key.name is None and key.role.signs_keys and key.dnskey.rdata in served
        ]
        if unknown:
            state, names = take_in_keys(memory.record.state, unknown, self._parts.clock.now())
            self._store(memory, state)  # before they have its names: what has one and is unknown is given up
            keys.name_keys(names)
            memory.keys = keys.list_keys(self.entry.name)

    def _make_first(self, keys: TimetableKeys) -> Sequence[StoredKey]:
        if not any(key.role.signs_keys for key in keys.list_keys(self.entry.name)):
            raise KeyUnusable("no KSK is chosen")
        return keys.make_lacking_zsks(self.entry.name)

    def _begin(self, stored: Sequence[StoredKey], served: ServedKeys, now: int) -> TimetableState:
        return begin_with_choice(super()._begin(stored, served, now), stored)

    def _refuse_lost_keys(self, published: Zone | None, keys: Sequence[StoredKey]) -> None:
        del published, keys  # which KSK is the right one is for the owner to say

    def _may_begin(self, served: ServedKeys) -> bool:
        del served
        return False  # the first keys are chosen by the owner

    def _write(self, memory: Memory, record: TimetableRecord) -> None:
        engine, now = self._parts.open_engine(), self._parts.clock.now()
        if not change_record(engine, self.entry.name, record, now, self.entry.identity):
            self._memory = self._plan = None
            raise SigningImpossible(f"zone {self.entry.text} was deleted")
        memory.record, memory.stored = record, record.state

    def _end(self) -> None:
        """Forget the timetable of a zone that is not signed: it begins anew with the first signed version."""
        if self._has_record():
            delete_record(self._parts.open_engine(), self.entry.name, self._identity)
        self._parts.open_keys().forget_zone_loaded(self.entry.name)
        self._memory = self._plan = self._told_aim = None

    # Steps

    def _step(self, published: Zone | None) -> StepReport | None:
        keys = self._parts.open_keys()
        if published is None:
            return None  # it was not found or not made yet, which says nothing about its keys
        self._setting = self._parts.wishes.find(self.entry)
        is_signed = rt.DNSKEY in published.names[published.origin]
        if self._setting is None or not self._setting.state.is_served_signed:
            self._is_unsigned = not is_signed
            if self._is_unsigned:
                self._end()
            elif self._setting is None:
                self._memory = self._plan = None  # the zone was deleted
            return None  # else a version without signatures is about to come
        self._is_unsigned = False
        if self._memory is not None and self._find_lost_record():
            return None
        if self._memory is None and not is_signed:
            return None  # who signs the first version begins
        self._open(keys, published).keys = keys.list_keys(self.entry.name)
        return super()._step(published)

    def _look_up(self, keys: TimetableKeys, memory: Memory) -> None:
        self._setting = self._parts.wishes.find(self.entry)
        memory.keys = keys.list_keys(self.entry.name)

    def _find_lost_record(self) -> bool:
        """Say if the record went with the zone; what another of the name does is no affair of this one."""
        if self._has_record():
            return False
        self._memory = self._plan = None
        return True

    def _find_policy(self, keys: TimetableKeys, memory: Memory) -> TimetablePolicy:
        policy = make_timetable_policy(self._options, self._parts.parent_interval)
        kept = replace(
            keep_as_it_is(policy, memory.record.state),
            has_parent=True,  # its owner was given the DS
            is_ds_unwanted=False,
            denial=policy.denial,
            zsk_period=policy.zsk_period,
        )
        setting = self._setting
        if setting is None or not self._is_parent_heard(memory):
            return kept
        if not setting.state.is_enabled:
            return replace(kept, is_signed=False, zsk_period=None)
        chosen = self._find_chosen(memory)
        if chosen is None:
            return kept
        algorithm = find_algorithm(memory.record.state, chosen, _list_leaving(memory))
        # while a KSK that was chosen waits for its turn, none is replaced for its age
        ksk_period = None if chosen.name is None else policy.ksk_period
        return replace(kept, ksk_period=ksk_period, algorithm=algorithm)

    def _is_parent_heard(self, memory: Memory) -> bool:
        """Say if it is known whether the parent has a DS: owners have it from the beginning."""
        if memory.record.state.may_have_ds:
            return True
        setting = self._setting
        if setting is None or setting.next_probe_at is None or not setting.view.is_complete:
            return False
        return setting.next_probe_at > self._parts.clock.now()

    def _find_chosen(self, memory: Memory) -> StoredKey | None:
        """Give the KSK whose DS was handed out last."""
        return next((key for key in memory.keys if key.role.signs_keys and key.state == ACTIVE), None)

    def _prepare(
        self, keys: TimetableKeys, memory: Memory, policy: TimetablePolicy, now: int
    ) -> TimetableState:
        """Begin what the choice of the owner asks for."""
        state, chosen = memory.record.state, self._find_chosen(memory)
        for key in memory.keys:
            if key.name is None and key.role.signs_keys and key is not chosen:
                keys.forget(self.entry.name, key)  # chosen, and not any more before it was ever published
        if not policy.is_signed and not state.may_have_ds:
            return drop_first_keys(state)  # all servers of the parent have just said that they have no DS
        if chosen is None or not policy.is_signed or not self._is_parent_heard(memory):
            return state
        return follow_choice(state, chosen, _list_leaving(memory), policy, now)

    @property
    def _is_to_be_unsigned(self) -> bool:
        return self._setting is not None and not self._setting.state.is_enabled

    def _is_parentless(self, memory: Memory) -> bool:
        del memory
        return False  # whether anybody looks for the DS is for the owner to say

    def _find_view(self, memory: Memory) -> ParentView:
        del memory
        return ParentView() if self._setting is None else self._setting.view

    def _read_parent(self, memory: Memory) -> tuple[ParentServer, ...]:
        # DS records of no key are told where DNSSEC of the zone is managed
        return tuple(replace(server, has_strangers=False) for server in super()._read_parent(memory))

    # Keys

    def _make(self, keys: TimetableKeys, memory: Memory, name: str, role: KeyRole, algorithm: int) -> None:
        """Make a key; a KSK that the owner has chosen is there already."""
        chosen = self._find_chosen(memory)
        if not role.signs_keys or chosen is None or chosen.name is not None:
            super()._make(keys, memory, name, role, algorithm)
        elif chosen.dnskey.algorithm == algorithm:
            keys.name_keys({chosen.identity: name})
        else:
            raise KeyUnusable("a key of another algorithm was chosen, and is about to take its place")

    def _make_source(self) -> KskSource:
        """Say where the next KSK comes from: a key that the owner named gets another version."""
        setting = self._setting
        if setting is None:
            raise KeyUnusable("it is not known where the keys of the zone are")
        scope = Scope(setting.zone.organisation, setting.region, setting.zone.project)
        if setting.is_key_named:
            return KskSource(KeyType.ECDSA_P256, setting.kms_key, scope=scope, state=INCOMING)
        present = self._parts.open_keys().find_named(setting.kms_key, scope)
        key_type = KeyType.ECDSA_P256 if present is None else present.key_type
        is_new_version = self._options.ksk_rollover is KskRollover.NEW_VERSION
        return KskSource(key_type, None, is_new_version, scope, INCOMING)

    def _give_up(self, keys: TimetableKeys, key: StoredKey) -> None:
        if not key.role.signs_keys:
            keys.forget(self.entry.name, key)
        elif key.state == ACTIVE:  # chosen again when it was too late to keep it: it comes back as a new one
            keys.name_keys({key.identity: None})
        else:
            if self._setting is not None:
                self._parts.wishes.note_retired(self._setting, key.dnskey)
            keys.forget(self.entry.name, key)

    def _heed_command(self, memory: Memory, state: TimetableState) -> None:
        """Hand the DS of the former KSK out again if a rollover is turned back, else it would begin anew."""
        chosen = self._find_chosen(memory)
        begun = state.rollovers[-1:] if state.next_number != memory.record.state.next_number else ()
        if chosen is not None and chosen.name is None and any(other.kind in _OF_KSKS for other in begun):
            raise RolloverRefused(
                f"another KSK was chosen for zone {self.entry.text}, and comes once nothing is in its way"
            )
        before = {rollover.number: rollover.is_aborted for rollover in memory.record.state.rollovers}
        for rollover in state.rollovers:
            if rollover.is_aborted and before.get(rollover.number) is False:
                self._choose_again(memory, rollover.incoming)

    def _choose_again(self, memory: Memory, names: Sequence[str]) -> None:
        for key in memory.keys:
            is_former = key.role.signs_keys and key.state == OUTGOING
            if self._setting is not None and is_former and key.name in names:
                self._parts.wishes.hand_out(self._setting, key.identity)

    def _carry_out(
        self, keys: TimetableKeys, memory: Memory, outcome: Outcome, published: Zone | None
    ) -> tuple[bool, str | None]:
        done = super()._carry_out(keys, memory, outcome, published)
        self._tell_owner(keys, memory, outcome)
        return done

    def _tell_owner(self, keys: TimetableKeys, memory: Memory, outcome: Outcome) -> None:
        """Have told what follows for the DS; what was told already is not told again."""
        setting, state, wishes = self._setting, outcome.state, self._parts.wishes
        if setting is None:
            return
        known = {key.name: key for key in state.keys}
        if not setting.state.is_enabled and has_gone_insecure(state):
            wishes.end(setting)
            self._setting = None
            return
        for key in memory.keys:
            if key.state == INCOMING and key.name in known and _is_handed_out(state, known[key.name]):
                wishes.hand_out(setting, key.identity)
                self._look_up(keys, memory)
                setting = self._setting
                if setting is None:
                    return
        chosen = self._find_chosen(memory)
        moment = None
        if setting.state.is_enabled and chosen is not None and chosen.name in known:
            moment = _find_ds_moment(state, known[chosen.name])
        told, now = setting.ds_not_before, self._parts.clock.now()
        if moment is not None and told is not None and told <= now:
            moment = told  # the moment has come, and stays what it was
        settles_at = next((wait.until for wait in outcome.waits if wait.step is Step.CONFIRM), None)
        if (moment, settles_at) != (told, setting.settles_at):
            wishes.note_moments(setting, moment, settles_at)


def _list_leaving(memory: Memory) -> Collection[str]:
    """Name the KSKs that were chosen before."""
    return {key.name for key in memory.keys if key.name is not None and key.state == OUTGOING}


def _is_handed_out(state: TimetableState, key: TimetableKey) -> bool:
    """Say if the parent may have the DS of a key now, or nothing is left that it could have the DS of."""
    return key.ds.is_wanted or any(
        not other.dnskey.is_wanted
        for rollover in state.rollovers
        if key.name in rollover.incoming
        for other in state.select(rollover.outgoing)
        if other.role.signs_keys
    )


def _find_ds_moment(state: TimetableState, key: TimetableKey) -> int | None:
    """Say from when every cache can follow the DS of a key, epoch seconds; None if that is not known."""
    if key.ds.is_wanted:
        return key.ds.since
    traces = [key.dnskey, *(trace for number, trace in state.coverage.items() if number == key.algorithm)]
    moments = [trace.since if trace.is_everywhere else trace.settles_at for trace in traces]
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) and key.dnskey.is_wanted else None
