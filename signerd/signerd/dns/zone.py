"""A version of a zone: an immutable value that is read by everyone and changed by nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from operator import is_not
from types import MappingProxyType
from typing import TypeVar

from signerd.dns.name import Name
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial

_Value = TypeVar("_Value")

_NO_NSEC3: Mapping[Name, RRset] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """One version of a zone, signed or not.

    The mappings must not be changed once the zone is made; a new version copies them and shares the RRsets.

    Attributes:
        origin: The apex.
        names: Owner name to type to RRset. Holds all data of the zone file: authoritative, NS at cuts, glue,
            and occluded data. Empty non-terminals have no entry. NSEC RRsets are here, NSEC3 are not.
        nsec3: Hashed owner name to NSEC3 RRset. Apart, since these owners are no names of the zone to a query
            (RFC 5155, section 7.2.8).
    """

    origin: Name
    names: Mapping[Name, Mapping[int, RRset]]
    nsec3: Mapping[Name, RRset] = field(default_factory=lambda: _NO_NSEC3)

    @property
    def soa(self) -> RRset:
        """The SOA RRset; a zone always has exactly one record in it."""
        return self.names[self.origin][SOA]

    @property
    def serial(self) -> Serial:
        """The SOA serial."""
        return Serial(int.from_bytes(self.soa.rdatas[0][-20:-16]))

    def iterate_rrsets(self) -> Iterator[RRset]:
        """Give every RRset, in no particular order."""
        for types in self.names.values():
            yield from types.values()
        yield from self.nsec3.values()


def find_changed_owners(old: Mapping[Name, _Value], new: Mapping[Name, _Value]) -> list[Name]:
    """Give the owners at which two versions have other values, the new ones first, then those that are gone.

    Args:
        old: `names` or `nsec3` of one version.
        new: The same of another; what both share is compared without looking at it, nor running Python.
    """
    if old is new:
        return []
    get = old.get
    others = list(compress(new, map(is_not, map(get, new), new.values())))
    changed = [owner for owner in others if get(owner) != new[owner]]
    came = sum(owner not in old for owner in others)
    if len(new) - came < len(old):
        changed += old.keys() - new.keys()
    return changed
