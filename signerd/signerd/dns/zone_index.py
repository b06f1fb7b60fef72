"""What finding a name in a zone version needs beyond the zone itself."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from signerd.dns import rdatatype as rt
from signerd.dns.denial_chain import DenialChain, Nsec3Chain, NsecChain, build_denial_chain
from signerd.dns.name import Name, find_parent
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

_NO_TYPES: Mapping[int, RRset] = {}
# More changes than this and the index is made anew: patching costs several times as much a name as building.
_REBUILD_ABOVE = 20_000


class Kind(Enum):
    """Where a search for a name ends (the cases of RFC 1034, section 4.3.2, step 3)."""

    NODE = 1  # the name exists, perhaps as an empty non-terminal
    CUT = 2  # at or below a zone cut
    DNAME = 3  # below an owner of DNAME
    WILDCARD = 4  # it does not exist, and its source of synthesis does
    NOTHING = 5  # neither exists


# Taking a member out of an Enum costs more than a step of a search does.
NODE, CUT, DNAME, WILDCARD, NOTHING = Kind


class Position(NamedTuple):
    """The end of a search.

    Attributes:
        kind: Which case.
        types: The RRsets of the name, the cut, the DNAME owner or the wildcard.
        name: The name itself, the cut, the DNAME owner, the wildcard, or for NOTHING the closest encloser.
        next_closer: For WILDCARD and NOTHING: one label longer than the closest encloser (RFC 5155, 1.3).
    """

    kind: Kind
    types: Mapping[int, RRset]
    name: Name
    next_closer: Name


class ZoneIndex:
    """One version of a zone, ready for answering; changed by nobody once it is made.

    Only `soa_blocks` fills while it is used: the negative SOA in wire form, by how much longer the question's
    name is than the apex, and by whether signatures go with it.
    """

    __slots__ = ("_names", "apex", "children", "denial", "negative_soa", "soa_blocks", "zone")

    def __init__(self, zone: Zone, children: dict[Name, int], denial: DenialChain | None) -> None:
        """Take the parts; `build` makes them."""
        self.zone = zone
        self.apex = zone.origin
        self.denial = denial
        self._names = zone.names
        # Names with others below them, to the number of existing names one label longer. An empty
        # non-terminal is in here and not among the owners (RFC 8020: it exists).
        self.children = children
        self.soa_blocks: dict[tuple[int, bool], tuple[int, bytes]] = {}
        soa = zone.soa
        minimum = int.from_bytes(soa.rdatas[0][-4:])
        # RFC 2308, section 5: the TTL of the SOA in a negative answer
        self.negative_soa = soa if soa.ttl <= minimum else soa._replace(ttl=minimum)

    @classmethod
    def build(cls, zone: Zone) -> "ZoneIndex":
        """Make the index of a zone."""
        names = zone.names
        apex_octets = len(zone.origin)
        children: dict[Name, int] = {}
        for owner in names:
            node = owner
            while len(node) > apex_octets:
                parent = Name(node[1 + node[0] :])
                count = children.get(parent)
                if count is not None:
                    children[parent] = count + 1
                    break
                children[parent] = 1
                if parent in names:
                    break  # links itself
                node = parent
        return cls(zone, children, build_denial_chain(zone))

    def update(self, zone: Zone, changed: Iterable[Name]) -> "ZoneIndex":
        """Make the index of the next version.

        Args:
            zone: The next version.
            changed: All owner names, hashed ones included, at which the versions differ.
        """
        owners = tuple(changed)
        if len(owners) > _REBUILD_ABOVE:
            return self.build(zone)
        return ZoneIndex(zone, self._update_children(zone, owners), self._update_denial(zone, owners))

    def _update_children(self, zone: Zone, changed: tuple[Name, ...]) -> dict[Name, int]:
        before, after = self._names, zone.names
        differing = {
            owner
            for owner in changed
            if (owner in before) != (owner in after) and len(owner) > len(self.apex)
        }
        if not differing:
            return self.children
        children = self.children.copy()
        present: dict[Name, bool] = {}  # the owners dealt with so far

        def is_owner(name: Name) -> bool:
            return present.get(name, name in before)

        for owner in differing:
            present[owner] = comes = owner in after
            if owner in children:
                continue  # it turns into an empty non-terminal or was one: nothing changes for its parent
            node = owner
            while len(node) > len(self.apex):
                parent = find_parent(node)
                existed = parent in children or is_owner(parent)
                count = children.get(parent, 0) + (1 if comes else -1)
                if count:
                    children[parent] = count
                else:
                    del children[parent]
                if existed if comes else count or is_owner(parent):
                    break
                node = parent  # an empty non-terminal that comes or goes with what is below it
        return children

    def _update_denial(self, zone: Zone, changed: tuple[Name, ...]) -> DenialChain | None:
        before, after = self._names[self.apex], zone.names[self.apex]
        match self.denial:
            case Nsec3Chain() as chain if after.get(rt.NSEC3PARAM) == before.get(rt.NSEC3PARAM):
                return chain.update(zone, changed)
            case NsecChain() as chain if rt.NSEC3PARAM not in after and rt.NSEC in after:
                return chain.update(zone, changed)
            case _:
                return build_denial_chain(zone)

    def exists(self, name: Name) -> bool:
        """Say if a name exists: it has records or names below it, occluded ones included."""
        return name in self._names or name in self.children

    def find_types(self, name: Name) -> Mapping[int, RRset]:
        """Give all RRsets of a name: authoritative, glue and occluded alike."""
        return self._names.get(name, _NO_TYPES)

    def search(self, name: Name) -> Position:
        """Find where a name stands; it must be at or below the apex."""
        names = self._names
        apex = self.apex
        excess = len(name) - len(apex)
        if excess and rt.DNAME in names[apex]:
            return Position(DNAME, names[apex], apex, name)
        position = 0
        encloser = next_closer = node = name  # the closest encloser, and what is one label longer
        types: Mapping[int, RRset] | None = None  # of the encloser; None: not found yet
        stop: Name | None = None  # the highest cut or owner of DNAME on the way
        stop_types = _NO_TYPES
        while position < excess:
            found = names.get(node)
            if found is not None:
                if rt.NS in found or (rt.DNAME in found and position):
                    stop, stop_types = node, found
                if types is None:
                    encloser, types = node, found
            elif types is None:
                if node in self.children:
                    encloser, types = node, _NO_TYPES
                else:
                    next_closer = node
            position += 1 + name[position]
            node = Name(name[position:])
        if stop is not None:
            return Position(CUT if rt.NS in stop_types else DNAME, stop_types, stop, name)
        if types is None:
            if not excess:
                return Position(NODE, names[apex], name, name)
            encloser = apex
        elif encloser is name:
            return Position(NODE, types, name, name)
        return self._search_wildcard(encloser, next_closer)

    def _search_wildcard(self, encloser: Name, next_closer: Name) -> Position:
        """Look for the source of synthesis (RFC 4592, section 3.3.1): only at the closest encloser."""
        wildcard = Name(b"\x01*" + encloser)
        types = self._names.get(wildcard)
        if types is not None:
            return Position(WILDCARD, types, wildcard, next_closer)
        if wildcard in self.children:
            return Position(WILDCARD, _NO_TYPES, wildcard, next_closer)
        return Position(NOTHING, _NO_TYPES, encloser, next_closer)
