"""The names of a denial chain in its order, and the records of some of them."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dnssec.nsec3 import HashCollision, hash_owner_name, make_hashed_owner, make_nsec3param
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.type_bitmap import encode_bitmap

_HASH_OCTETS = 20


@dataclass(frozen=True, slots=True, eq=False)
class DenialKind:
    """How the chain of a zone is ordered, and how its records are written.

    Attributes:
        origin: The apex.
        policy: NSEC3 or NSEC, salt and iterations.
        ttl: Of the records, in seconds.
    """

    origin: Name
    policy: SigningPolicy
    ttl: int

    @property
    def is_hashed(self) -> bool:
        """Whether the chain is one of NSEC3, to which empty non-terminals belong too."""
        return self.policy.denial is Denial.NSEC3

    def make_key(self, name: Name) -> bytes:
        """Give what the chain is sorted by: the hash of a name, or its sort key."""
        if not self.is_hashed:
            return make_sort_key(name)
        return hash_owner_name(name, salt=self.policy.nsec3_salt, iterations=self.policy.nsec3_iterations)

    def find_owner(self, key: bytes, name: Name) -> Name:
        """Give the owner of a name's record."""
        return make_hashed_owner(key, self.origin) if self.is_hashed else name

    def make_record(
        self, key: bytes, name: Name, following: tuple[bytes, Name], types: Mapping[int, RRset]
    ) -> RRset:
        """Make the RRset of one name.

        Args:
            key: Of the name.
            name: At or below the apex, not hidden.
            following: Key and name of the next in the chain.
            types: The data of the name; none for an empty non-terminal.
        """
        shown = set(types)
        is_delegation = rt.NS in types and name != self.origin
        if is_delegation:  # RFC 4035 section 2.3: of the data at a cut only NS and DS show
            shown &= {rt.NS, rt.DS}
        owner = self.find_owner(key, name)
        if not self.is_hashed:
            bitmap = encode_bitmap(shown | {rt.RRSIG, rt.NSEC})
            return RRset(owner, rt.NSEC, self.ttl, (following[1] + bitmap,))
        if shown and (not is_delegation or rt.DS in shown):  # RFC 5155 section 7.1: where something is signed
            shown.add(rt.RRSIG)
        head = make_nsec3param(self.policy) + bytes((_HASH_OCTETS,))
        return RRset(owner, rt.NSEC3, self.ttl, (head + following[0] + encode_bitmap(shown),))


class DenialOrder:
    """The names of a chain, sorted; a version of its own for each version of the zone."""

    __slots__ = ("_entries", "_is_own")

    def __init__(self, entries: list[tuple[bytes, Name]], *, is_own: bool = True) -> None:
        """Take keys and names, sorted.

        Args:
            entries: Not to be changed by anyone else.
            is_own: Whether nobody else has them; otherwise they are copied before the first change.
        """
        self._entries = entries
        self._is_own = is_own

    def __len__(self) -> int:
        return len(self._entries)

    def branch(self) -> "DenialOrder":
        """Give one that can be changed without changing this."""
        return DenialOrder(self._entries, is_own=False)

    def has(self, key: bytes, name: Name) -> bool:
        """Say if a name is in the chain."""
        entries = self._entries
        place = bisect_left(entries, (key, name))
        return place < len(entries) and entries[place] == (key, name)

    def add(self, key: bytes, name: Name) -> None:
        """Put a name in that is not there yet.

        Raises:
            HashCollision: Another name has the same hash.
        """
        entries = self._own_entries()
        place = bisect_left(entries, (key,))
        if place < len(entries) and entries[place][0] == key:
            raise HashCollision("two names have the same NSEC3 hash; set another salt")
        entries.insert(place, (key, name))

    def remove(self, key: bytes, name: Name) -> None:
        """Take a name out."""
        entries = self._own_entries()
        del entries[bisect_left(entries, (key, name))]

    def _own_entries(self) -> list[tuple[bytes, Name]]:
        if not self._is_own:
            self._entries, self._is_own = self._entries.copy(), True
        return self._entries

    def find_predecessor(self, key: bytes) -> tuple[bytes, Name]:
        """Give the entry before a key; of the first one that is the last."""
        return self._entries[bisect_left(self._entries, (key,)) - 1]

    def find_successor(self, key: bytes) -> tuple[bytes, Name]:
        """Give the entry after one with the key; of the last one that is the first."""
        entries = self._entries
        return entries[(bisect_left(entries, (key,)) + 1) % len(entries)]
