"""Which data of a zone is authoritative: zone cuts, glue, occluded data, empty non-terminals."""

from collections.abc import Iterator
from dataclasses import dataclass

from signerd.dns.name import Name, iterate_ancestors
from signerd.dns.rdatatype import DNAME, DS, NS, NSEC
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.canonical import OrderKey, make_order_key

_OF_PARENT = frozenset({DS, NSEC})  # what the parent is authoritative for at a cut (RFC 4035, section 2.3)


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """The names of a zone, sorted into kinds.

    Attributes:
        names: In canonical order, the apex first: every owner that is authoritative or a delegation point.
        delegations: Those of `names` that are delegation points.
        occluded: Owners below a cut or a DNAME; glue is among them.
    """

    zone: Zone
    names: list[Name]
    delegations: set[Name]
    occluded: set[Name]

    def iterate_signed(self) -> Iterator[RRset]:
        """Give the RRsets that must have signatures, except NSEC3."""
        names, delegations = self.zone.names, self.delegations
        for name in self.names:
            if name in delegations:
                yield from (rrset for rrset in names[name].values() if rrset.type in _OF_PARENT)
            else:
                yield from names[name].values()

    def iterate_unsigned(self) -> Iterator[tuple[RRset, str]]:
        """Give the RRsets that must not have signatures, and what they are."""
        names = self.zone.names
        for name in self.occluded:
            for rrset in names[name].values():
                yield rrset, "data below a zone cut or a DNAME"
        for name in self.delegations:
            for rrset in names[name].values():
                if rrset.type == NS:
                    yield rrset, "the NS RRset of a delegation"
                elif rrset.type not in _OF_PARENT:
                    yield rrset, "glue at a delegation"

    def list_types(self, name: Name) -> frozenset[int]:
        """Give the types that a denial record of one of `names` must show, without RRSIG, NSEC and NSEC3."""
        types = self.zone.names[name].keys()
        if name in self.delegations:
            return frozenset({NS, DS} & types)
        return frozenset(types - {NSEC})

    def find_empty_non_terminals(self) -> set[Name]:
        """Find the names without data of their own above some of `names` (RFC 5155, section 7.1)."""
        found: set[Name] = set()
        present = set(self.names)
        for name in self.names:
            for ancestor in iterate_ancestors(name, self.zone.origin):
                if ancestor in present or ancestor in found:
                    break  # its own ancestors are or will be looked at
                found.add(ancestor)
        return found


def classify_names(zone: Zone) -> Authority:
    """Sort the owners of a zone; all must be at or below the apex, each with data."""
    keys: list[tuple[OrderKey, Name]] = sorted((make_order_key(name), name) for name in zone.names)
    names: list[Name] = []
    delegations: set[Name] = set()
    occluded: set[Name] = set()
    cover: OrderKey | None = None  # the last cut or DNAME: in this order its descendants follow at once
    depth = 0
    for key, name in keys:
        if cover is not None and key[:depth] == cover:
            occluded.add(name)
            continue
        names.append(name)
        types = zone.names[name]
        is_delegation = NS in types and name != zone.origin
        if is_delegation:
            delegations.add(name)
        if is_delegation or DNAME in types:
            cover, depth = key, len(key)
    return Authority(zone, names, delegations, occluded)
