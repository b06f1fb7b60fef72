"""Checks a chain of NSEC3 records against the names of the zone (RFC 5155, section 7.1; RFC 9276)."""

from base64 import b32hexencode
from dataclasses import dataclass
from hashlib import sha1  # the only hash algorithm of NSEC3 (RFC 5155, section 11)

from signerd.dns.name import MAX_NAME_OCTETS, Name, format_name
from signerd.dns.rdatatype import NS, NSEC3, NSEC3PARAM, RRSIG
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.authority import Authority
from signerd.validator.bitmap import describe_difference, make_bitmap
from signerd.validator.report import FindingCollector

EXTRA = "extra NSEC3: no name of the chain has this hash"

_HASH_OCTETS = 20
_ONLY_NS = frozenset({NS})
Bitmaps = dict[tuple[int, ...], bytes]


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the names of a zone are hashed.

    Attributes:
        head: NSEC3PARAM RDATA, which is also how each NSEC3 must begin, as both have flags 0 here.
    """

    head: bytes

    def hash_name(self, name: Name) -> bytes:
        """Hash a lower-cased owner name."""
        return hash_name(name, self.head[5:], int.from_bytes(self.head[2:4]))


def check_nsec3_chain(authority: Authority, ttl: int, findings: FindingCollector) -> None:
    """Compare every NSEC3 with the one that must be there; whole, closed, in order, none missing, none extra.

    Args:
        authority: The names; the chain runs through them and the empty non-terminals, without opt-out.
        ttl: What the TTL of each NSEC3 must be, in seconds.
        findings: Takes what is wrong.
    """
    zone = authority.zone
    parameters = read_parameters(zone, findings)
    if parameters is None:
        return
    hashed: dict[bytes, Name] = {}
    empty = authority.find_empty_non_terminals()
    for name in [*authority.names, *empty]:
        digest = parameters.hash_name(name)
        if digest in hashed:
            findings.add(name, NSEC3, f"has the same hash as {format_name(hashed[digest])}")
        hashed[digest] = name
    if len(zone.origin) + 1 + 32 > MAX_NAME_OCTETS:
        findings.add(zone.origin, NSEC3, "the apex is too long to have hashed names below it")
        return
    order = sorted(hashed)
    text = b32hexencode(b"".join(order)).lower()  # a hash is four whole groups of base32: all in one go
    expected_owners: set[Name] = set()
    bitmaps: Bitmaps = {}
    for index, digest in enumerate(order):
        name = hashed[digest]
        owner = Name(b"\x20" + text[index * 32 : index * 32 + 32] + zone.origin)
        expected_owners.add(owner)
        next_digest = order[(index + 1) % len(order)]
        check_nsec3(authority, owner, name, next_digest, parameters, ttl, bitmaps, findings)
    for owner in sorted(zone.nsec3.keys() - expected_owners):
        findings.add(owner, NSEC3, EXTRA)


def check_nsec3(
    authority: Authority,
    owner: Name,
    name: Name,
    next_digest: bytes,
    parameters: Parameters,
    ttl: int,
    bitmaps: Bitmaps,
    findings: FindingCollector,
) -> None:
    """Compare the NSEC3 of a name with the one that must be there.

    Args:
        authority: The name is one of `authority.names`, or an empty non-terminal.
        owner: The hashed name.
        name: The name.
        next_digest: The hash after it in the chain.
        parameters: Of the zone.
        ttl: See `check_nsec3_chain`.
        bitmaps: Those made so far, by kind of name.
        findings: Takes what is wrong.
    """
    zone, head = authority.zone, parameters.head
    is_empty = name not in zone.names
    rrset = zone.nsec3.get(owner)
    if rrset is None:
        findings.add(owner, NSEC3, f"missing NSEC3 of {_describe(name, is_empty=is_empty)}")
        return
    # A name's types, and whether it is a delegation, decide its bit map; an empty non-terminal has none.
    kind = () if is_empty else (name in authority.delegations, *zone.names[name])
    if (bitmap := bitmaps.get(kind)) is None:
        bitmap = bitmaps[kind] = make_bitmap(_list_types(authority, name)) if kind else b""
    if rrset.ttl != ttl:
        findings.add(owner, NSEC3, f"TTL {rrset.ttl} of the denial record instead of {ttl} (RFC 9077)")
    if len(rrset.rdatas) != 1:
        findings.add(owner, NSEC3, f"{len(rrset.rdatas)} NSEC3 records instead of 1")
    elif rrset.rdatas[0] != b"".join((head, b"\x14", next_digest, bitmap)):
        _check_rdata(rrset, head, next_digest, bitmap, _describe(name, is_empty=is_empty), findings)


def hash_name(name: Name, salt: bytes, iterations: int) -> bytes:
    """Hash a lower-cased owner name: 20 octets (RFC 5155, section 5)."""
    digest = sha1(name + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = sha1(digest + salt, usedforsecurity=False).digest()
    return digest


def read_parameters(zone: Zone, findings: FindingCollector) -> Parameters | None:
    """Check NSEC3PARAM."""
    apex = zone.origin
    rrset = zone.names[apex].get(NSEC3PARAM)
    if rrset is None:
        findings.add(apex, NSEC3PARAM, "missing NSEC3PARAM: the zone has NSEC3 records")
        return None
    if len(rrset.rdatas) != 1:
        findings.add(apex, NSEC3PARAM, f"{len(rrset.rdatas)} NSEC3PARAM records instead of 1")
        return None
    rdata = rrset.rdatas[0]
    if len(rdata) < 5 or len(rdata) != 5 + rdata[4]:
        findings.add(apex, NSEC3PARAM, f"malformed NSEC3PARAM {rdata.hex()}")
        return None
    if rdata[0] != 1:
        findings.add(apex, NSEC3PARAM, f"hash algorithm {rdata[0]} instead of 1")
        return None
    if rdata[1] != 0:
        findings.add(apex, NSEC3PARAM, f"flags {rdata[1]} instead of 0 (RFC 5155, section 4.1.2)")
        return None
    return Parameters(rdata)


def _describe(name: Name, *, is_empty: bool) -> str:
    return f"{format_name(name)}{' (an empty non-terminal)' if is_empty else ''}"


def _list_types(authority: Authority, name: Name) -> frozenset[int]:
    types = authority.list_types(name)
    # At a delegation without DS nothing is signed (RFC 5155, section 7.1).
    return types if types == _ONLY_NS and name in authority.delegations else types | {RRSIG}


def _check_rdata(
    rrset: RRset, head: bytes, next_digest: bytes, bitmap: bytes, what: str, findings: FindingCollector
) -> None:
    owner, rdata = rrset.owner, rrset.rdatas[0]
    bitmap_at = 6 + (rdata[4] if len(rdata) > 4 else 0) + _HASH_OCTETS
    if len(rdata) < bitmap_at or rdata[bitmap_at - _HASH_OCTETS - 1] != _HASH_OCTETS:
        findings.add(owner, NSEC3, f"malformed NSEC3 of {what}")
        return
    if rdata[1] & 1:
        findings.add(owner, NSEC3, f"opt-out is set in the NSEC3 of {what}")
    if (found := rdata[:1] + bytes((rdata[1] & 0xFE,)) + rdata[2 : bitmap_at - _HASH_OCTETS - 1]) != head:
        findings.add(owner, NSEC3, f"parameters {found.hex()} differ from NSEC3PARAM {head.hex()}")
    if (found := rdata[bitmap_at - _HASH_OCTETS : bitmap_at]) != next_digest:
        wrong = b32hexencode(found).decode().lower()
        right = b32hexencode(next_digest).decode().lower()
        findings.add(owner, NSEC3, f"wrong next hash in the NSEC3 of {what}: {wrong} instead of {right}")
    if (found := rdata[bitmap_at:]) != bitmap:
        findings.add(owner, NSEC3, f"NSEC3 of {what}: {describe_difference(found, bitmap)}")
