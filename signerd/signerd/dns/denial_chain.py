"""The denial-of-existence chain of a zone version, arranged for finding what covers a name."""

import hashlib
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

SHA1 = 1  # the only NSEC3 hash algorithm (RFC 5155, section 11)

# Above this share of changed owners a chain is sorted anew: inserting moves the rest of the list each time.
_REBUILD_ABOVE = 2_000

_DIGITS = b"0123456789abcdefghijklmnopqrstuv"
_PAIRS = [bytes((_DIGITS[value >> 5], _DIGITS[value & 31])) for value in range(1024)]
_SHIFTS = tuple(range(150, -1, -10))


def encode_base32hex(digest: bytes) -> bytes:
    """Write 20 octets in base32hex (RFC 4648, section 7), lower-case; `base64` takes four times as long."""
    number = int.from_bytes(digest)
    pairs = _PAIRS
    return b"".join([pairs[number >> shift & 1023] for shift in _SHIFTS])


class Nsec3Parameters(NamedTuple):
    """How names are hashed in one NSEC3 chain (RFC 5155, section 4)."""

    iterations: int
    salt: bytes

    def hash_name(self, name: bytes) -> bytes:
        """Hash a lower-cased, uncompressed name (RFC 5155, section 5)."""
        salt = self.salt
        digest = hashlib.sha1(name + salt, usedforsecurity=False).digest()
        for _ in range(self.iterations):
            digest = hashlib.sha1(digest + salt, usedforsecurity=False).digest()
        return digest


class NsecChain:
    """NSEC RRsets in canonical order (RFC 4034, section 4)."""

    __slots__ = ("_names", "keys", "owners")

    def __init__(
        self, names: Mapping[Name, Mapping[int, RRset]], keys: list[bytes], owners: dict[bytes, Name]
    ) -> None:
        """Take the parts; `build` makes them."""
        self._names = names
        self.keys = keys  # sorted
        self.owners = owners  # sort key to owner

    @classmethod
    def build(cls, zone: Zone) -> "NsecChain":
        """Arrange the chain of a zone."""
        owners = {make_sort_key(owner): owner for owner, types in zone.names.items() if rt.NSEC in types}
        return cls(zone.names, sorted(owners), owners)

    def update(self, zone: Zone, changed: Iterable[Name]) -> "NsecChain":
        """Arrange the chain of the next version."""
        added: list[Name] = []
        removed: list[Name] = []
        nothing: Mapping[int, RRset] = {}
        for owner in changed:
            was = rt.NSEC in self._names.get(owner, nothing)
            if was != (rt.NSEC in zone.names.get(owner, nothing)):
                (removed if was else added).append(owner)
        if not added and not removed:
            return NsecChain(zone.names, self.keys, self.owners)
        if len(added) + len(removed) > _REBUILD_ABOVE:
            return self.build(zone)
        keys, owners = self.keys.copy(), self.owners.copy()
        for owner in removed:
            key = make_sort_key(owner)
            del keys[bisect_left(keys, key)], owners[key]
        for owner in added:
            key = make_sort_key(owner)
            insort(keys, key)
            owners[key] = owner
        return NsecChain(zone.names, keys, owners)

    def find(self, name: Name) -> RRset | None:
        """Give the NSEC RRset that matches a name, or else covers it; None if the chain is empty."""
        keys = self.keys
        if not keys:
            return None
        # The apex is the lowest name of all; should it be missing, -1 is the last of the loop.
        return self._names[self.owners[keys[bisect_right(keys, make_sort_key(name)) - 1]]][rt.NSEC]


class Nsec3Chain:
    """NSEC3 RRsets in the order of their hashes.

    Looked for are the first 64 bits of a hash, as numbers side by side in memory: writing a hash in base32hex
    takes four times as long as finding it so. The whole hash is compared where they are equal.
    """

    __slots__ = ("_beginnings", "_origin", "_rdata_start", "_records", "owners", "parameters")

    def __init__(
        self, origin: Name, parameters: Nsec3Parameters, records: Mapping[Name, RRset], owners: list[Name]
    ) -> None:
        """Take the parts; `build` makes them."""
        self.parameters = parameters
        self._origin = origin
        self._records = records
        self.owners = owners  # of this chain alone, sorted: base32hex keeps the order of the hashes
        self._beginnings = array("Q", map(_read_beginning, owners))
        self._rdata_start = _write_rdata_start(parameters)

    @classmethod
    def build(cls, zone: Zone) -> "Nsec3Chain | None":
        """Arrange the chain that the NSEC3PARAM RRset announces; None if there is none.

        While parameters change a zone can hold records of two chains, of which only one is complete (RFC
        5155, section 7.3: NSEC3PARAM with Flags zero).
        """
        announced = zone.names[zone.origin].get(rt.NSEC3PARAM)
        if announced is None:
            return None
        for rdata in announced.rdatas:
            if rdata[0] == SHA1 and rdata[1] == 0:
                parameters = Nsec3Parameters(int.from_bytes(rdata[2:4]), rdata[5 : 5 + rdata[4]])
                start = _write_rdata_start(parameters)
                owners = sorted(owner for owner, rrset in zone.nsec3.items() if _has(rrset, start))
                if owners:
                    return cls(zone.origin, parameters, zone.nsec3, owners)
        return None

    def update(self, zone: Zone, changed: Iterable[Name]) -> "Nsec3Chain | None":
        """Arrange the chain of the next version, which has the same parameters."""
        added: list[Name] = []
        removed: list[Name] = []
        start = self._rdata_start
        for owner in changed:
            was = _has(self._records.get(owner), start)
            if was != _has(zone.nsec3.get(owner), start):
                (removed if was else added).append(owner)
        if len(added) + len(removed) > _REBUILD_ABOVE:
            return self.build(zone)
        owners, beginnings = self.owners, self._beginnings
        if added or removed:
            owners, beginnings = owners.copy(), beginnings[:]
            for owner in removed:
                place = bisect_left(owners, owner)
                del owners[place], beginnings[place]
            for owner in added:
                place = bisect_left(owners, owner)
                owners.insert(place, owner)
                beginnings.insert(place, _read_beginning(owner))
        if not owners:
            return None
        chain = Nsec3Chain(self._origin, self.parameters, zone.nsec3, [])
        chain.owners, chain._beginnings = owners, beginnings
        return chain

    def hash_owner(self, name: Name) -> Name:
        """Give the hashed owner name of a name."""
        return Name(b"\x20" + encode_base32hex(self.parameters.hash_name(name)) + self._origin)

    def find_match(self, name: Name) -> RRset | None:
        """Give the NSEC3 RRset whose owner is the hash of the name."""
        digest = self.parameters.hash_name(name)
        place = self._find_place(digest)
        if place < 0 or self._beginnings[place] != int.from_bytes(digest[:8]):
            return None
        owner = self.owners[place]
        return self._records[owner] if read_hash(owner) == int.from_bytes(digest) else None

    def find_cover(self, name: Name) -> RRset:
        """Give the NSEC3 RRset that covers the hash of the name; a matching one, should there be one."""
        # Below the first hash -1 is the last of the loop (RFC 5155, section 1.3, "cover").
        return self._records[self.owners[self._find_place(self.parameters.hash_name(name))]]

    def _find_place(self, digest: bytes) -> int:
        """Give the place of the last hash that is not above one; -1 if all are."""
        beginnings = self._beginnings
        beginning = int.from_bytes(digest[:8])
        place = bisect_right(beginnings, beginning) - 1
        if place >= 0 and beginnings[place] == beginning:  # mostly since the whole hash is the same
            number = int.from_bytes(digest)
            while place >= 0 and read_hash(self.owners[place]) > number:
                place -= 1
        return place


def read_hash(owner: Name) -> int:
    """Read the hash out of a hashed owner name, as a number; 0 if the first label is none."""
    try:
        return int(owner[1:33], 32)  # the digits of base32hex are those of Python's base 32
    except ValueError:
        return 0  # a broken zone gives a broken proof; it must not make loading or answering fail


def _read_beginning(owner: Name) -> int:
    return read_hash(owner) >> 96


def _write_rdata_start(parameters: Nsec3Parameters) -> bytes:
    """Write what all records of a chain have behind the flags."""
    return parameters.iterations.to_bytes(2) + bytes((len(parameters.salt),)) + parameters.salt


def _has(rrset: RRset | None, start: bytes) -> bool:
    """Say if an RRset has a record of the chain whose records have this behind the flags."""
    if rrset is None:
        return False
    end = 2 + len(start)
    return any(rdata[2:end] == start and rdata[0] == SHA1 for rdata in rrset.rdatas)


DenialChain = NsecChain | Nsec3Chain


def build_denial_chain(zone: Zone) -> DenialChain | None:
    """Arrange a zone's chain: NSEC3 if it is announced, else NSEC if the apex has one; None if unsigned."""
    chain = Nsec3Chain.build(zone)
    if chain is None and rt.NSEC in zone.names[zone.origin]:
        return NsecChain.build(zone)
    return chain
