"""A version of a zone: an immutable value that is read by everyone and changed by nobody."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, count, islice
from operator import is_not
from types import MappingProxyType
from typing import TypeVar

from signerd.dns.name import Name
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial

_Value = TypeVar("_Value")
_MOST_GONE = 16  # each costs going over what follows it

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
    """Give the owners at which two versions have other values, or of which only one has a value.

    Args:
        old: `names` or `nsec3` of one version.
        new: The same of another. What both share is compared without looking at it nor running Python.
    """
    if old is new:
        return []
    found = _find_among_shared(old, new)
    if found is None:
        get = old.get
        others = list(compress(new, map(is_not, map(get, new), new.values())))
        gone: Iterable[Name] = old.keys() - new.keys()
    else:
        others, gone = found
    return [owner for owner in others if owner not in old or old[owner] != new[owner]] + list(gone)


def _find_among_shared(
    old: Mapping[Name, _Value], new: Mapping[Name, _Value]
) -> tuple[list[Name], list[Name]] | None:
    """Go through two mappings side by side, of which one is a copy of the other with few changes.

    Several times as fast as looking each owner up, since that waits for memory.

    Returns:
        Owners with another object than before or none before, and owners that are gone; None if the one is no
        such copy.
    """
    keys, values, new_keys = list(old), list(old.values()), list(new)
    gone: list[Name] = []
    place = 0
    while True:
        differing = map(is_not, islice(keys, place, None), islice(new_keys, place, None))
        found = next(compress(count(place), differing), None)
        if found is None:
            break
        place = found
        if keys[place] in new or len(gone) == _MOST_GONE:
            return None
        gone.append(keys.pop(place))
        del values[place]
    gone += keys[len(new_keys) :]
    others = list(compress(new_keys, map(is_not, new.values(), values)))
    return others + new_keys[len(keys) :], gone
