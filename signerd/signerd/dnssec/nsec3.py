"""NSEC3 chains (RFC 5155), without opt-out."""

import hashlib
from base64 import b32hexencode
from collections.abc import Container, Iterable, Mapping, Sequence

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dnssec.cut import Cuts
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.type_bitmap import BitmapCache

_SHA1 = 1  # RFC 5155, section 11: the only hash algorithm
_HASH_OCTETS = 20
_LABEL_OCTETS = 32
_ENCODED_AT_ONCE = 1_000  # hashes; bounds the numbers, which are worked on as a whole
_BASE32_HEX = b"0123456789abcdefghijklmnopqrstuv".ljust(256, b"\x00")  # RFC 4648, section 7
_NO_TYPES: Mapping[int, RRset] = {}


class HashCollision(Exception):
    """Two names of a zone have the same hash; another salt is needed (RFC 5155, section 7.1)."""

    code = "dnssec.hash_collision"


def hash_owner_name(owner: bytes, *, salt: bytes = b"", iterations: int = 0) -> bytes:
    """Hash an owner name for NSEC3.

    Args:
        owner: Canonical wire form, uncompressed, with the root label.
        salt: 0 to 255 octets; empty for new zones (RFC 9276, section 3.1).
        iterations: Rounds after the first, so 0 hashes once.

    Returns:
        The 20 octets of the SHA-1 hash, not yet in base32hex (RFC 5155, section 5).
    """
    digest = hashlib.sha1(owner + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt, usedforsecurity=False).digest()
    return digest


def make_hashed_owner(digest: bytes, origin: Name) -> Name:
    """Make the owner name of an NSEC3 record: the hash in lower-case base32hex below the apex."""
    return Name(b"\x20" + b32hexencode(digest).lower() + origin)


def encode_hashes(digests: Sequence[bytes]) -> list[bytes]:
    """Write hashes as first labels of hashed owner names: a length octet and 32 octets of base32hex.

    The standard library's encoder takes a third of the time of making a chain. Here the octets of many hashes
    are one large number, whose bits move to their places in three steps.

    Args:
        digests: 20 octets each.
    """
    labels: list[bytes] = []
    for start in range(0, len(digests), _ENCODED_AT_ONCE):
        data = b"".join(digests[start : start + _ENCODED_AT_ONCE])
        groups = len(data) // 5
        spread = bytearray(8 * groups)  # groups of 40 bits, each at the low end of 64
        for octet in range(5):
            spread[octet + 3 :: 8] = data[octet::5]
        number = int.from_bytes(spread)
        for bits in (
            20,
            10,
            5,
        ):  # each run of twice as many bits parts in the middle: 20 in 32, 10 in 16, 5 in 8
            lane = bits // 5 * 16  # bits for each run with its new room
            low = int.from_bytes(((1 << bits) - 1).to_bytes(lane // 8) * (8 * groups * 8 // lane))
            number = (number & low) | (number & (low << bits)) << (lane // 2 - bits)
        text = number.to_bytes(8 * groups).translate(_BASE32_HEX)
        labels += [b"\x20" + text[at : at + _LABEL_OCTETS] for at in range(0, len(text), _LABEL_OCTETS)]
    return labels


class NameHashes:
    """Remembers the hashes of a zone's names from one version to the next.

    Attributes:
        salt: Octets that are hashed with each name.
        iterations: Rounds after the first.
    """

    __slots__ = ("_known", "iterations", "salt")

    def __init__(self, *, salt: bytes = b"", iterations: int = 0) -> None:
        self.salt = salt
        self.iterations = iterations
        self._known: dict[Name, tuple[bytes, bytes]] = {}

    def hash_all(self, names: Iterable[Name]) -> dict[Name, tuple[bytes, bytes]]:
        """Hash names; hashes of names not among them are forgotten.

        Returns:
            Name to its hash, and the hash as the first label of a hashed owner name, with length octet.
        """
        known, salt, iterations = self._known, self.salt, self.iterations
        result: dict[Name, tuple[bytes, bytes]] = {}
        fresh: list[Name] = []
        for name in names:
            if (entry := known.get(name)) is not None:
                result[name] = entry
            else:
                fresh.append(name)
        if not iterations:
            sha1 = hashlib.sha1
            digests = [sha1(name + salt, usedforsecurity=False).digest() for name in fresh]
        else:
            digests = [hash_owner_name(name, salt=salt, iterations=iterations) for name in fresh]
        labels = encode_hashes(digests)
        result.update(zip(fresh, zip(digests, labels, strict=True), strict=True))
        self._known = result
        return result


def make_nsec3param(policy: SigningPolicy) -> bytes:
    """Make NSEC3PARAM RDATA; the flags are zero, opt-out is not among them (RFC 5155, section 4.1.2)."""
    return _encode_parameters(policy.nsec3_iterations, policy.nsec3_salt)


def _encode_parameters(iterations: int, salt: bytes) -> bytes:
    return bytes((_SHA1, 0)) + iterations.to_bytes(2) + bytes((len(salt),)) + salt


def find_empty_non_terminals(origin: Name, owners: Iterable[Name], known: Container[Name]) -> set[Name]:
    """Find the names that exist only because there are names below them (RFC 9499, section 7).

    Args:
        origin: The apex.
        owners: Names whose ancestors count: authoritative ones and delegation points.
        known: Names that have data.
    """
    apex_octets = len(origin)
    found: set[Name] = set()
    for owner in owners:
        parent = Name(owner[1 + owner[0] :])
        while len(parent) > apex_octets and parent not in known and parent not in found:
            found.add(parent)
            parent = Name(parent[1 + parent[0] :])
    return found


def build_nsec3_chain(
    origin: Name, names: Mapping[Name, Mapping[int, RRset]], cuts: Cuts, ttl: int, hashes: NameHashes
) -> dict[Name, RRset]:
    """Make the NSEC3 RRset of each authoritative name, delegation point and empty non-terminal.

    Args:
        origin: The apex.
        names: All data of the zone; it must not hold NSEC records.
        cuts: Of the same names. Hidden names get no record.
        ttl: Seconds (RFC 9077, section 3).
        hashes: With the zone's salt and iterations.

    Returns:
        Hashed owner name to RRset, in the order of the hashes.

    Raises:
        HashCollision: Two names have the same hash.
    """
    owners = names.keys() - cuts.hidden if cuts.hidden else names.keys()
    below_apex = owners - {origin}
    empty = find_empty_non_terminals(origin, below_apex, names)
    hashed = hashes.hash_all(set(owners) | empty)
    ordered = sorted((digest, label, name) for name, (digest, label) in hashed.items())
    head = _encode_parameters(hashes.iterations, hashes.salt) + bytes((_HASH_OCTETS,))
    signed_types = BitmapCache(rt.RRSIG)
    unsigned_types = BitmapCache()
    delegations = cuts.delegations
    chain: dict[Name, RRset] = {}
    for number, (_, label, name) in enumerate(ordered, 1 - len(ordered)):
        types = names.get(name, _NO_TYPES)
        if name in delegations:  # RFC 5155 section 7.1: RRSIG shows only where something is signed
            bitmap = (
                signed_types.encode((rt.NS, rt.DS)) if rt.DS in types else unsigned_types.encode((rt.NS,))
            )
        elif types:
            bitmap = signed_types.encode(types)
        else:
            bitmap = b""
        owner = Name(label + origin)
        # `number` runs from 1 - n to 0: the successor's index, which for the last one is the first.
        chain[owner] = RRset(owner, rt.NSEC3, ttl, (head + ordered[number][0] + bitmap,))
    if len(chain) != len(ordered):
        raise HashCollision("two names have the same NSEC3 hash; set another salt")
    return chain
