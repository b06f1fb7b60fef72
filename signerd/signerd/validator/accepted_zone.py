"""What is remembered of an accepted version, so that the next can be judged by what changed."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from signerd.dns.name import Name, find_parent
from signerd.dns.rdatatype import DNAME, NS
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.authority import Authority, classify_names
from signerd.validator.canonical import OrderKey, make_order_key
from signerd.validator.nsec3_chain import Parameters, read_parameters
from signerd.validator.report import FindingCollector

_HALF: Final = 2**31
_MASK: Final = 2**32 - 1
_AFTER_ALL: Final = b"\xff" * 64  # sorts after every label, which has 63 octets at most


class OwnerOrder:
    """All owners of a version in canonical order, occluded ones too.

    A name's descendants follow it at once, so that whatever a cut or a DNAME hides is a run of entries, and a
    name without data exists if what stands at its place is below it.

    Attributes:
        zone: The version.
        entries: Keys and names, sorted; not to be changed.
    """

    def __init__(self, zone: Zone, entries: list[tuple[OrderKey, Name]]) -> None:
        """Take the parts; `sort` makes them."""
        self.zone = zone
        self.entries = entries

    @classmethod
    def sort(cls, zone: Zone) -> Self:
        """Sort the owners of a version."""
        return cls(zone, sorted((make_order_key(name), name) for name in zone.names))

    def update(self, zone: Zone, changed: Iterable[Name]) -> "OwnerOrder":
        """Give the order of the next version.

        Args:
            zone: The next version.
            changed: All owners at which the versions differ.
        """
        before, after = self.zone.names, zone.names
        moved = [name for name in changed if (name in before) != (name in after)]
        if not moved:
            return OwnerOrder(zone, self.entries)
        entries = self.entries.copy()
        for name in moved:
            entry = make_order_key(name), name
            place = bisect_left(entries, entry)
            if name in after:
                entries.insert(place, entry)
            else:
                del entries[place]
        return OwnerOrder(zone, entries)

    def _find(self, key: OrderKey) -> int:
        return bisect_left(self.entries, (key,))

    def _find_end(self, key: OrderKey) -> int:
        return bisect_left(self.entries, ((*key, _AFTER_ALL),))

    def list_descendants(self, name: Name) -> list[Name]:
        """Give the owners below a name."""
        key = make_order_key(name)
        return [found for _, found in self.entries[self._find(key) : self._find_end(key)] if found != name]

    def is_barrier(self, name: Name) -> bool:
        """Say if a name hides what is below it, unless it is hidden itself."""
        types = self.zone.names.get(name)
        return types is not None and (DNAME in types or (NS in types and name != self.zone.origin))

    def find_highest_barrier(self, name: Name) -> Name | None:
        """Give what hides a name: the highest cut or DNAME above it."""
        found: Name | None = None
        while len(name) > len(self.zone.origin):
            name = find_parent(name)
            if self.is_barrier(name):
                found = name
        return found

    def is_occluded(self, name: Name) -> bool:
        """Say if a name is below a cut or a DNAME."""
        return self.find_highest_barrier(name) is not None

    def is_in_chain(self, name: Name) -> bool:
        """Say if a name is to have an NSEC3: it is not occluded, and has data or such names below it."""
        if name in self.zone.names:
            return not self.is_occluded(name)
        key = make_order_key(name)
        place = self._find(key)
        if place >= len(self.entries):
            return False
        below, found = self.entries[place]
        # The first one below is hidden only by what hides them all: a cut between would come before it.
        return below[: len(key)] == key and not self.is_occluded(found)

    def find_next(self, name: Name) -> Name:
        """Give the next owner that is not occluded; after the last, the first."""
        key = make_order_key(name)
        place = self._find_end(key) if self.is_barrier(name) else self._find(key) + 1
        return self.entries[place % len(self.entries)][1]

    def find_previous(self, name: Name) -> Name:
        """Give the owner before a name, there or not, that is not occluded; before the first, the last."""
        found = self.entries[self._find(make_order_key(name)) - 1][1]
        return self.find_highest_barrier(found) or found


class HashOrder:
    """The hashes of a version's NSEC3 chain in their order.

    Attributes:
        parameters: How names are hashed.
        entries: Hashes and names, sorted; not to be changed by others.
    """

    def __init__(self, parameters: Parameters, entries: list[tuple[bytes, Name]]) -> None:
        """Take the parts; `sort` makes them."""
        self.parameters = parameters
        self.entries = entries

    @classmethod
    def sort(cls, authority: Authority, parameters: Parameters) -> Self:
        """Sort the hashes of the names of a version that has been accepted."""
        names = [*authority.names, *authority.find_empty_non_terminals()]
        return cls(parameters, sorted((parameters.hash_name(name), name) for name in names))

    def __len__(self) -> int:
        return len(self.entries)

    def branch(self) -> Self:
        """Give a copy to be changed."""
        return type(self)(self.parameters, self.entries.copy())

    def find_name(self, digest: bytes) -> Name | None:
        """Give the name that has a hash."""
        place = bisect_left(self.entries, (digest,))
        found = self.entries[place] if place < len(self.entries) else None
        return found[1] if found is not None and found[0] == digest else None

    def add(self, digest: bytes, name: Name) -> None:
        """Put a hash in that is not there."""
        self.entries.insert(bisect_left(self.entries, (digest,)), (digest, name))

    def remove(self, digest: bytes) -> None:
        """Take out a hash that is there."""
        del self.entries[bisect_left(self.entries, (digest,))]

    def find_next(self, digest: bytes) -> bytes:
        """Give the hash after one that is there."""
        return self.entries[(bisect_left(self.entries, (digest,)) + 1) % len(self.entries)][0]

    def find_previous(self, digest: bytes) -> tuple[bytes, Name]:
        """Give the entry before a hash, there or not."""
        return self.entries[bisect_left(self.entries, (digest,)) - 1]


class Lifetimes:
    """When the signatures of a version begin and end to be valid.

    Attributes:
        expirations: How many expire when; not to be changed.
    """

    def __init__(self, expirations: Counter[int], inception: int | None) -> None:
        """Take the parts; `count` makes them."""
        self.expirations = expirations
        self._inception = inception  # the latest, though its signature may be gone

    @classmethod
    def count(cls, rrsets: Iterable[RRset]) -> Self:
        """Count the signatures of RRsets."""
        return cls(Counter(), None).update((), rrsets)

    def update(self, gone: Iterable[RRset], come: Iterable[RRset]) -> Self:
        """Give those of the next version."""
        expirations, inception = self.expirations.copy(), self._inception
        for rrset in gone:
            expirations.subtract([int.from_bytes(signature[8:12]) for signature in rrset.signatures])
        for rrset in come:
            for signature in rrset.signatures:
                expirations[int.from_bytes(signature[8:12])] += 1
                begins = int.from_bytes(signature[12:16])
                if inception is None or (begins - inception) & _MASK < _HALF:
                    inception = begins
        return type(self)(+expirations, inception)

    def are_valid(self, now: int, until: int | None) -> bool:
        """Say if all signatures are valid now, and until a moment; False also where that is not sure."""
        moment = now if until is None else until
        # RFC 4034, section 3.1.5: serial number arithmetic.
        if self._inception is not None and (now - self._inception) & _MASK >= _HALF:
            return False
        return all((end - at) & _MASK < _HALF for end in self.expirations for at in (now, moment))


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedZone:
    """A version that was accepted.

    Attributes:
        zone: The version.
        ds: What the parent was taken to say.
        owners: Its names.
        hashes: Its NSEC3 chain; None for one of NSEC, or none.
        lifetimes: Of its signatures.
        unpublished: RDATA of keys that sign in it and are not in it.
    """

    zone: Zone
    ds: Sequence[bytes]
    owners: OwnerOrder
    hashes: HashOrder | None
    lifetimes: Lifetimes
    unpublished: Sequence[bytes] = ()

    @classmethod
    def record(cls, zone: Zone, ds: Sequence[bytes], unpublished: Sequence[bytes] = ()) -> Self:
        """Look through a version that `validate` has just accepted, or `validate_unsigned` with no DS."""
        hashes: HashOrder | None = None
        if zone.nsec3:
            parameters = read_parameters(zone, FindingCollector())
            assert parameters is not None, "a zone without NSEC3PARAM was accepted"  # noqa: S101
            hashes = HashOrder.sort(classify_names(zone), parameters)
        lifetimes = Lifetimes.count(zone.iterate_rrsets())
        return cls(zone, tuple(ds), OwnerOrder.sort(zone), hashes, lifetimes, tuple(unpublished))
