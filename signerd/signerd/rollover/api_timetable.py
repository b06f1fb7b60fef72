"""The timetable of a zone of the API: it replaces ZSKs.

Which KSKs the zone has, and when one goes, is decided where DNSSEC of such zones is managed, as its owner and
the parent say. They are taken into the state, so that what is in the zone adds up, and never changed here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from signerd.config.policy import Policy
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.rollover.beginning import begin
from signerd.rollover.timetable_policy import keep_as_it_is, make_timetable_policy
from signerd.rollover.timetable_record import TimetableRecord, change_record, delete_record, has_record
from signerd.rollover.zone_timetable import Memory, StepReport, TimetableParts, ZoneTimetable
from signerd.signer.served_keys import ServedKeys
from signerd.signer.timetable_keys import StoredKey, TimetableKeys
from signerd.signer.zone_key_store import ZoneKeys
from signerd.timetable.arrangement import arrange
from signerd.timetable.policy import CdsPolicy, TimetablePolicy
from signerd.timetable.presence import NEVER_THERE, Presence, Trace
from signerd.timetable.state import KeyRole, TimetableKey, TimetableState
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import ZoneEntry

_SLOWEST_LOOK: Final = 86400


class ApiZoneTimetable(ZoneTimetable):
    """Replaces the ZSKs of a zone whose KSKs are chosen elsewhere."""

    def __init__(self, entry: ZoneEntry, policy: Policy, parts: TimetableParts) -> None:
        super().__init__(entry, policy, parts)
        self._is_unsigned = False  # as was seen, so that each change of an unsigned zone costs nothing

    def choose_data_keys(self, keys: ZoneKeys) -> ZoneKeys:
        """Let ZSKs do what the timetable says; those that it does not know sign.

        Args:
            keys: All that the zone has.
        """
        memory = self._memory
        if memory is None:
            with self._lock:
                memory = self._find_record()
        if memory is None:
            return keys
        wanted = arrange(memory.record.state, self._find_policy(self._parts.open_keys(), memory))
        names = {key.dnskey: key.name for key in memory.keys if key.role is KeyRole.ZSK}
        former = [key for key in keys.key_set.zsks if names.get(key) in wanted.former]
        signing = [key for key in keys.key_set.zsks if names.get(key) in {None, *wanted.signing}]
        published = [key for key in keys.key_set.zsks if names.get(key) in {None, *wanted.published}]
        key_set = replace(
            keys.key_set,
            published=(*keys.key_set.ksks, *published),
            zsks=tuple(signing),
            former_zsks=tuple(former),
        )
        return replace(keys, key_set=key_set)

    def is_at_rest(self, published: Zone | None) -> bool:
        """Say if a new version gives no reason for a step."""
        if self._is_unsigned and published is not None and rt.DNSKEY not in published.names[published.origin]:
            return True
        return super().is_at_rest(published)

    @property
    def retry_seconds(self) -> int:
        """How long nothing is tried again without news."""
        return _SLOWEST_LOOK if self._is_unsigned else super().retry_seconds

    def _find_record(self) -> Memory | None:
        """Read the record, if there is one; a step begins it."""
        keys = self._parts.open_keys()
        is_there = has_record(self._parts.open_engine(), self.entry.name, self._identity)
        return self._open(keys, None) if is_there else None

    def _step(self, published: Zone | None) -> StepReport | None:
        keys = self._parts.open_keys()
        if published is None:
            return None  # it was not found or not made yet, which says nothing about its keys
        if rt.DNSKEY not in published.names[published.origin]:
            self._end()
            return None
        self._is_unsigned = False
        if self._memory is not None and self._find_lost_record():
            return None
        stored = keys.list_keys(self.entry.name)
        if len(_list_algorithms(stored)) != 1:
            return None  # none, or one algorithm in place of another: nothing else changes meanwhile
        if self._memory is not None:
            self._memory.keys = stored
        return super()._step(published)

    def _find_lost_record(self) -> bool:
        """Say if the record went with the zone; what another of the name does is no affair of this one."""
        if has_record(self._parts.open_engine(), self.entry.name, self._identity):
            return False
        self._memory = self._plan = None
        return True

    def _write(self, memory: Memory, record: TimetableRecord) -> None:
        engine, now = self._parts.open_engine(), self._parts.clock.now()
        if not change_record(engine, self.entry.name, record, now, self.entry.identity):
            self._memory = self._plan = None
            raise SigningImpossible(f"zone {self.entry.text} was deleted")
        memory.record, memory.stored = record, record.state

    def _end(self) -> None:
        """Forget the timetable of a zone that is not signed: it begins anew with the first signed version."""
        engine = self._parts.open_engine()
        if has_record(engine, self.entry.name, self._identity):
            delete_record(engine, self.entry.name, self._identity)
        self._memory = self._plan = None
        self._is_unsigned = True

    def _refuse_lost_keys(self, published: Zone | None, keys: Sequence[StoredKey]) -> None:
        del published, keys  # which KSK is the right one is decided elsewhere

    def _make_first(self, keys: TimetableKeys) -> Sequence[StoredKey]:
        stored = keys.list_keys(self.entry.name)
        if not any(key.role is KeyRole.ZSK for key in stored):
            raise SigningImpossible(f"zone {self.entry.text} has no ZSK yet")
        return stored

    def _begin(self, stored: Sequence[StoredKey], served: ServedKeys, now: int) -> TimetableState:
        policy = make_timetable_policy(self._options, self._parts.parent_interval)
        state = begin(stored, served, policy, now)
        return state.change_keys((key.name for key in state.keys), lambda key: replace(key, ds=NEVER_THERE))

    def _find_policy(self, keys: TimetableKeys, memory: Memory) -> TimetablePolicy:
        policy = make_timetable_policy(self._options, self._parts.parent_interval)
        return replace(
            keep_as_it_is(policy, memory.record.state),
            zsk_period=policy.zsk_period,
            has_parent=False,  # somebody else asks it
            cds=CdsPolicy.NEVER,  # and announces
        )

    def _prepare(
        self, keys: TimetableKeys, memory: Memory, policy: TimetablePolicy, now: int
    ) -> TimetableState:
        state = follow_keys(memory.record.state, memory.keys, now)
        if state != memory.record.state:
            self._store(memory, state)  # before they have its names: what has one and is unknown is given up
        names = {key.identity: name_found(key) for key in memory.keys if key.name is None}
        if names:
            keys.name_keys(names)
            memory.keys = keys.list_keys(self.entry.name)
        return state

    def _may_begin(self, served: ServedKeys) -> bool:
        del served
        return False  # the first keys are made elsewhere

    def _leave_out(self, names: frozenset[str], state: TimetableState) -> frozenset[str]:
        return names & {key.name for key in state.keys}

    @property
    def has_parent(self) -> bool:
        """Whether there is somebody to ask for DS records: others do."""
        return False


def name_found(key: StoredKey) -> str:
    """Give a key that was not made by a timetable a name: the same in each attempt."""
    return f"{key.role}-tag-{key.dnskey.key_tag}"


def follow_keys(state: TimetableState, stored: Sequence[StoredKey], now: int) -> TimetableState:
    """Take in keys that came and KSKs that went.

    Args:
        state: Of the timetable.
        stored: The keys that the zone has, of one algorithm.
        now: Epoch seconds.
    """
    algorithms = _list_algorithms(stored)
    ksks = {key.name or name_found(key) for key in stored if key.role.signs_keys}
    gone = {
        key.name
        for key in state.keys
        if key.algorithm not in algorithms or (key.role.signs_keys and key.name not in ksks)
    }
    known = {key.name for key in state.keys}
    appearing = Trace(Presence.RUMOURED, now)
    new = [
        TimetableKey(
            name,
            key.role,
            key.dnskey.algorithm,
            min(key.created_at, now),
            dnskey=appearing,
            data=appearing if key.role.signs_data else NEVER_THERE,
        )
        for key in stored
        if (name := key.name or name_found(key)) not in known
        and key.dnskey.algorithm in algorithms
        and (key.role.signs_keys or key.name is None)
    ]
    if not gone and not new:
        return state
    return replace(
        state,
        keys=(*(key for key in state.keys if key.name not in gone), *new),
        coverage={number: state.coverage.get(number, appearing) for number in algorithms},
        rollovers=tuple(
            rollover
            for rollover in state.rollovers
            if gone.isdisjoint((*rollover.incoming, *rollover.outgoing))
        ),
    )


def _list_algorithms(stored: Sequence[StoredKey]) -> set[int]:
    return {key.dnskey.algorithm for key in stored if key.role.signs_keys}
