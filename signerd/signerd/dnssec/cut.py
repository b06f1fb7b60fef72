"""Which names of a zone are authoritative, which are delegation points, and which are hidden below them."""

from collections.abc import Mapping
from dataclasses import dataclass

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

AUTHORITATIVE_AT_CUT = frozenset({rt.DS, rt.NSEC})
"""Types at a delegation point that belong to the parent and are signed there (RFC 4035, section 2.2)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """The names of a zone that are not plainly authoritative.

    Attributes:
        delegations: Names with NS records, the apex apart: zone cuts.
        hidden: Names below a delegation or a DNAME: glue and occluded data (RFC 2136, section 7.18; RFC 6672,
            section 2.4). No signature, no NSEC, no NSEC3.
    """

    delegations: frozenset[Name]
    hidden: frozenset[Name]


def find_cuts(zone: Zone) -> Cuts:
    """Sort out the names of a zone.

    A DNAME at a delegation point is hidden, not in force: the name belongs to the child.
    """
    return find_cuts_among(zone.origin, zone.names)


def find_cuts_among(origin: Name, names: Mapping[Name, Mapping[int, RRset]]) -> Cuts:
    """Sort out names, as `find_cuts` does."""
    delegations = {owner for owner, types in names.items() if rt.NS in types}
    delegations.discard(origin)
    barriers = delegations | {owner for owner, types in names.items() if rt.DNAME in types}
    if not barriers:
        return Cuts(frozenset(), frozenset())
    apex_octets = len(origin)
    hidden: set[Name] = set()
    for owner in names:
        name = owner
        while len(name) > apex_octets:
            name = name[1 + name[0] :]  # type: ignore[assignment]
            if name in barriers:
                hidden.add(owner)
                break
    return Cuts(frozenset(delegations - hidden), frozenset(hidden))
