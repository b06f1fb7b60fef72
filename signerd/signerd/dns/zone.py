"""A version of a zone: an immutable value that is read by everyone and changed by nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from signerd.dns.name import Name
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial

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
