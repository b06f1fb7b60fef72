"""The next version of a signed zone, made from what changed in its data and the surroundings of that.

Gives the same records as signing the whole zone does, in a time that hardly depends on the zone's size. What
is left to do for each name of the zone is copying references.
"""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, find_parent, is_subdomain, iterate_ancestors
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_changed_names, find_changed_owners
from signerd.dnssec.cut import Cuts, find_cuts
from signerd.dnssec.denial_order import DenialKind, DenialOrder
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.nsec3 import NameHashes
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_times import SignatureTimes
from signerd.dnssec.signed_zone import (
    NO_ADDITIONS,
    SIGNER_TYPES,
    AssembledZone,
    ZoneAdditions,
    add_types,
    complete_apex,
    find_denial_ttl,
)

MOST_AFFECTED: Final = 5_000
"""Names; with more the whole zone is signed, which then takes hardly longer."""

_MOST_BARRIERS: Final = 50  # cuts and DNAMEs that come or go: for each all names are looked through
_NO_TYPES: Mapping[int, RRset] = {}


@dataclass(frozen=True, slots=True, eq=False)
class SignedState:
    """A signed version, and what is remembered of it so that the next can be made from it.

    Attributes:
        unsigned: The data that it was made of.
        zone: The version.
        keys: What it was made with.
        policy: How it was made.
        order: The chain.
        children: Names of the chain, and empty non-terminals, that have such names below them: to the number
            of those one label longer.
        times: Of all signatures.
        additions: What the server added to the data.
    """

    unsigned: Zone
    zone: Zone
    keys: KeySet
    policy: SigningPolicy
    order: DenialOrder
    children: Mapping[Name, int]
    times: SignatureTimes
    additions: ZoneAdditions = field(default_factory=lambda: NO_ADDITIONS)


def remember(
    unsigned: Zone,
    zone: Zone,
    *,
    keys: KeySet,
    policy: SigningPolicy,
    hashes: NameHashes,
    additions: ZoneAdditions = NO_ADDITIONS,
) -> SignedState:
    """Look through a whole version.

    Args:
        unsigned: What it was made of.
        zone: The version.
        keys: What it was made with.
        policy: How it was made.
        hashes: As it was made with, to save hashing.
        additions: What the server added.
    """
    origin, names = zone.origin, zone.names
    hidden = find_cuts(zone).hidden
    owners = names.keys() - hidden if hidden else names.keys()
    children: dict[Name, int] = {}
    apex_octets = len(origin)
    for owner in owners:
        node = owner
        while len(node) > apex_octets:
            parent = Name(node[1 + node[0] :])
            count = children.get(parent)
            if count is not None:
                children[parent] = count + 1
                break
            children[parent] = 1
            if parent in names:
                break  # counts itself
            node = parent
    kind = DenialKind(origin, policy, find_denial_ttl(unsigned.soa))
    if kind.is_hashed:
        hashed = hashes.hash_all(children.keys() | owners)
        entries = [(digest, name) for name, (digest, _) in hashed.items()]
    else:
        entries = [(kind.make_key(name), name) for name in owners]
    entries.sort()
    times = SignatureTimes.count(zone.iterate_rrsets())
    return SignedState(unsigned, zone, keys, policy, DenialOrder(entries), children, times, additions)


@dataclass(frozen=True, slots=True, eq=False)
class ZoneUpdate:
    """The part of the next version that differs, not yet signed.

    Attributes:
        assembled: Names and NSEC3 records that are new or different, each name with all of its data.
    """

    assembled: AssembledZone
    _state: SignedState
    _unsigned: Zone
    _gone: Collection[Name]
    _gone_nsec3: Collection[Name]
    _order: DenialOrder
    _children: Mapping[Name, int]
    _additions: ZoneAdditions

    def complete(self, signed: Zone) -> SignedState:
        """Give the next version.

        Args:
            signed: `assembled` with its signatures.
        """
        state = self._state
        old = state.zone
        times = state.times.branch()
        for owner in (*self._gone, *signed.names):
            times.forget(old.names.get(owner, _NO_TYPES).values())
        times.forget(old.nsec3[owner] for owner in (*self._gone_nsec3, *signed.nsec3) if owner in old.nsec3)
        times.add(signed.iterate_rrsets())
        zone = old.derive(
            {**dict.fromkeys(self._gone, _NO_TYPES), **signed.names},
            {**dict.fromkeys(self._gone_nsec3), **signed.nsec3},
        )
        return SignedState(
            self._unsigned,
            zone,
            state.keys,
            state.policy,
            self._order,
            self._children,
            times,
            self._additions,
        )


def prepare_update(
    state: SignedState, unsigned: Zone, serial: int, additions: ZoneAdditions = NO_ADDITIONS
) -> ZoneUpdate | None:
    """Assemble what differs in the version that follows.

    Args:
        state: The version before; keys and policy stay as they are there.
        unsigned: The next version's data.
        serial: For the SOA.
        additions: What the server adds to the data.

    Returns:
        None if too much differs: then the whole zone must be signed.

    Raises:
        HashCollision: Two names have the same NSEC3 hash.
    """
    origin = state.zone.origin
    changed = set(find_changed_names(state.unsigned, unsigned))
    changed.update(find_changed_owners(state.additions, additions))
    if len(changed) > MOST_AFFECTED or origin not in unsigned.names:
        return None
    apex, old_apex = unsigned.names[origin], state.zone.names[origin]
    ttl = find_denial_ttl(apex[rt.SOA])
    if ttl != find_denial_ttl(old_apex[rt.SOA]) or (rt.DNAME in apex) != (rt.DNAME in old_apex):
        return None  # all of the chain, or all that is below the apex
    affected = _find_affected(state.zone, unsigned, changed, additions)
    if affected is None or len(affected) > MOST_AFFECTED:
        return None
    kind = DenialKind(origin, state.policy, ttl)
    return _Draft(state, unsigned, serial, affected, kind, additions).finish()


def _find_affected(old: Zone, new: Zone, changed: Set[Name], additions: ZoneAdditions) -> set[Name] | None:
    """Add the apex, for its serial, and what a cut or DNAME that comes or goes hides or shows."""
    before, after, origin = old.names, new.names, new.origin
    barriers = [
        owner
        for owner in changed
        if owner != origin
        and _is_barrier(before.get(owner, _NO_TYPES)) != _is_barrier(after.get(owner, _NO_TYPES))
    ]
    if len(barriers) > _MOST_BARRIERS:
        return None
    affected = {*changed, origin}
    for barrier in barriers:
        affected.update(
            name
            for names in (after, additions)
            for name in names
            if name.endswith(barrier) and is_subdomain(name, barrier)
        )  # those that went are among `changed`
    return affected


def _is_barrier(types: Mapping[int, RRset]) -> bool:
    return rt.NS in types or rt.DNAME in types


def _is_hidden(names: Mapping[Name, Mapping[int, RRset]], name: Name, origin: Name) -> bool:
    """Say if a name is below a delegation or a DNAME."""
    for ancestor in iterate_ancestors(name, origin):
        types = names.get(ancestor, _NO_TYPES)
        if rt.DNAME in types or (rt.NS in types and ancestor != origin):
            return True
    return False


class _Draft:
    """The next version in the making."""

    def __init__(
        self,
        state: SignedState,
        unsigned: Zone,
        serial: int,
        affected: Set[Name],
        kind: DenialKind,
        additions: ZoneAdditions,
    ) -> None:
        self._state = state
        self._unsigned = unsigned
        self._additions = additions
        self._kind = kind
        self._origin = origin = state.zone.origin
        self._names: dict[Name, Mapping[int, RRset]] = {}  # of the affected: those that will be there
        self._gone: list[Name] = []
        old = state.zone.names
        self._is_owner: dict[Name, bool] = {}  # of the affected, in the chain: as far as was gone through
        self._hidden: set[Name] = set()
        comes_or_goes: list[Name] = []
        for name in affected:
            types = _drop_signer_types(unsigned.names.get(name, _NO_TYPES))
            if name in additions:
                types = add_types(types, additions[name])
            if name == origin:
                types = complete_apex(types, keys=state.keys, policy=state.policy, serial=serial)
            if types:
                self._names[name] = types
            elif name in old:
                self._gone.append(name)
            was = name in old and not _is_hidden(old, name, origin)
            is_hidden = _is_hidden(unsigned.names, name, origin)
            if types and is_hidden:
                self._hidden.add(name)
            self._is_owner[name] = was
            if was != (bool(types) and not is_hidden):
                comes_or_goes.append(name)
        self._touched = {name for name, is_owner in self._is_owner.items() if is_owner}
        self._children: Mapping[Name, int] = state.children
        if comes_or_goes:
            children = dict(state.children)
            self._children = children
            for name in comes_or_goes:
                self._is_owner[name] = not self._is_owner[name]
                self._note(name, children, comes=self._is_owner[name])

    def _is_chain_owner(self, name: Name) -> bool:
        # An ancestor of what is in the chain is not hidden, so that having data is enough.
        is_owner = self._is_owner.get(name)
        return name in self._state.zone.names if is_owner is None else is_owner

    def _note(self, name: Name, children: dict[Name, int], *, comes: bool) -> None:
        """Follow a name that comes into the chain or goes up to where nothing changes."""
        self._touched.add(name)
        if name in children:
            return  # it turns into an empty non-terminal or was one: nothing changes for its parent
        node = name
        while len(node) > len(self._origin):
            parent = find_parent(node)
            existed = parent in children or self._is_chain_owner(parent)
            count = children.get(parent, 0) + (1 if comes else -1)
            if count:
                children[parent] = count
            else:
                del children[parent]
            if existed if comes else count or self._is_chain_owner(parent):
                break
            self._touched.add(parent)
            node = parent  # an empty non-terminal that comes or goes with what is below it

    def finish(self) -> ZoneUpdate:
        """Bring the chain up to date and put all together."""
        origin, names = self._origin, self._names
        order, rewritten, gone_nsec3 = self._update_order()
        nsec3: dict[Name, RRset] = {}
        for key, name in rewritten.items():
            source = names if name in self._is_owner else self._state.zone.names
            types = source.get(name, _NO_TYPES)
            record = self._kind.make_record(key, name, order.find_successor(key), types)
            if self._kind.is_hashed:
                nsec3[record.owner] = record
            else:
                names[name] = {**types, rt.NSEC: record}
        delegations = {name for name, types in names.items() if rt.NS in types and name not in self._hidden}
        cuts = Cuts(frozenset(delegations - {origin}), frozenset(self._hidden))
        return ZoneUpdate(
            AssembledZone(Zone(origin, names, nsec3), cuts),
            self._state,
            self._unsigned,
            self._gone,
            gone_nsec3,
            order,
            self._children,
            self._additions,
        )

    def _update_order(self) -> tuple[DenialOrder, dict[bytes, Name], list[Name]]:
        """Give the new order, the names by key whose records are to be made, and NSEC3 owners that go."""
        kind = self._kind
        order = self._state.order.branch()
        rewritten: dict[bytes, Name] = {}
        moved: list[bytes] = []
        gone: list[tuple[bytes, Name]] = []
        added: list[tuple[bytes, Name]] = []
        for name in self._touched:
            key = kind.make_key(name)
            is_there = self._is_chain_owner(name) or (kind.is_hashed and name in self._children)
            was_there = order.has(key, name)
            if is_there:
                rewritten[key] = name
                if not was_there:
                    added.append((key, name))
            elif was_there:
                gone.append((key, name))
        for entry in gone:
            order.remove(*entry)
        for entry in added:
            order.add(*entry)
        moved = [key for key, _ in (*gone, *added)]
        for key in moved:
            before, name = order.find_predecessor(key)
            rewritten[before] = name
        added_keys = {key for key, _ in added}
        gone_nsec3 = [
            kind.find_owner(key, name) for key, name in gone if kind.is_hashed and key not in added_keys
        ]
        return order, rewritten, gone_nsec3


def _drop_signer_types(types: Mapping[int, RRset]) -> Mapping[int, RRset]:
    if SIGNER_TYPES.isdisjoint(types):
        return types
    return {number: rrset for number, rrset in types.items() if number not in SIGNER_TYPES}
