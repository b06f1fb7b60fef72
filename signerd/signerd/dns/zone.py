"""A version of a zone: an immutable value that is read by everyone and changed by nobody."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, count, islice
from operator import is_not
from types import MappingProxyType
from typing import NamedTuple, TypeVar
from weakref import ref

from signerd.dns.name import Name
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial

_Value = TypeVar("_Value")
_MOST_GONE = 16  # each costs going over what follows it

_NO_NSEC3: Mapping[Name, RRset] = MappingProxyType({})
_NO_CHANGES: Mapping[Name, RRset | None] = MappingProxyType({})


class TouchedOwners(NamedTuple):
    """Where two versions of a zone can differ.

    Attributes:
        names: Keys of `Zone.names`.
        nsec3: Keys of `Zone.nsec3`.
    """

    names: frozenset[Name]
    nsec3: frozenset[Name]


class _Derivation(NamedTuple):
    """From which version another was made, and by setting what.

    The reference is weak, so that no version keeps all that came before it in memory.
    """

    base: "ref[Zone]"
    touched: TouchedOwners


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Zone:
    """One version of a zone, signed or not.

    The mappings must not be changed once the zone is made; a new version copies them and shares the RRsets.
    `derive` does so, and remembers at which owners, so that nobody has to go through all of both to find out.

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
    # Set by `derive` alone, out of what it does itself: no caller can claim another history of a version.
    _derivation: _Derivation | None = field(default=None, init=False, repr=False)

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

    def derive(
        self,
        names: Mapping[Name, Mapping[int, RRset]],
        nsec3: Mapping[Name, RRset | None] = _NO_CHANGES,
    ) -> "Zone":
        """Make the version in which some owners have other data; it shares the rest with this one.

        Args:
            names: To owners all data that they have from now on; none if they have no data any more.
            nsec3: To hashed owners their NSEC3 RRset, or None if they have none any more.
        """
        new_names = _patch(self.names, names) if names else self.names
        new_nsec3 = _patch(self.nsec3, nsec3) if nsec3 else self.nsec3
        zone = Zone(self.origin, new_names, new_nsec3)
        derivation = _Derivation(ref(self), TouchedOwners(frozenset(names), frozenset(nsec3)))
        object.__setattr__(zone, "_derivation", derivation)
        return zone

    def list_touched_since(self, base: "Zone") -> TouchedOwners | None:
        """Give the owners that were set to derive this version from another; None if it was not."""
        derivation = self._derivation
        return derivation.touched if derivation is not None and derivation.base() is base else None


def _patch(mapping: Mapping[Name, _Value], changes: Mapping[Name, _Value | None]) -> dict[Name, _Value]:
    patched = dict(mapping)
    for owner, value in changes.items():
        if value:
            patched[owner] = value
        else:
            patched.pop(owner, None)
    return patched


def find_touched_owners(old: Zone, new: Zone) -> TouchedOwners | None:
    """Give the owners at which two versions can differ, of which one was derived from the other.

    Everywhere else both have the same objects.

    Returns:
        None if that is not known of them: then they are to be compared.
    """
    touched = new.list_touched_since(old)
    return old.list_touched_since(new) if touched is None else touched


def find_changed_names(old: Zone, new: Zone) -> list[Name]:
    """Give the names at which two versions have other data, or of which only one has data."""
    touched = find_touched_owners(old, new)
    if touched is None:
        return find_changed_owners(old.names, new.names)
    return _filter_changed(touched.names, old.names, new.names)


def find_changed_nsec3(old: Zone, new: Zone) -> list[Name]:
    """Give the hashed owners at which two versions have other NSEC3 RRsets, or only one has any."""
    touched = find_touched_owners(old, new)
    if touched is None:
        return find_changed_owners(old.nsec3, new.nsec3)
    return _filter_changed(touched.nsec3, old.nsec3, new.nsec3)


def _filter_changed(
    owners: Iterable[Name], old: Mapping[Name, _Value], new: Mapping[Name, _Value]
) -> list[Name]:
    return [owner for owner in owners if old.get(owner) != new.get(owner)]


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
