"""An RRset of a zone in the form that is signed, read from its octets.

The form is RRSIG RDATA without the signature, then the RRs in canonical form and order (RFC 4034, section
3.1.8.1). Nothing is known here of what the records mean.
"""

import struct
from dataclasses import dataclass

from signerd_kms.errors import StatementRefused

DAY = 86_400
MAX_VALIDITY_SECONDS = 3700 * DAY  # far below 2**31, where the times of signatures wrap
MAX_AHEAD_SECONDS = 300  # an inception may lie so far ahead of the clock
PREFIX_OCTETS = 18  # of RRSIG RDATA, up to the signer's name
_PREFIX = struct.Struct("!HBBIIIH")  # type covered, algorithm, labels, TTL, expiration, inception, key tag
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, RDATA length
_CLASS_IN = 1
_WILDCARD = b"\x01*"


@dataclass(frozen=True, slots=True)
class SignedRRset:
    """An RRset about to be signed; times are seconds since 1970, UTC, names in wire form and lower case."""

    rdatatype: int
    algorithm: int
    key_tag: int
    inception: int
    expiration: int
    signer: bytes
    owner: bytes
    rdatas: tuple[bytes, ...]


def read_signer(octets: bytes) -> bytes:
    """Read the signer's name, which is the apex of the zone, and nothing else.

    Raises:
        StatementRefused: There is no such name, or it is not in lower case.
    """
    if len(octets) <= PREFIX_OCTETS:
        raise StatementRefused("there is no RRset")
    return read_name(octets, PREFIX_OCTETS, "the signer's name")


def parse_rrset(octets: bytes, now: int) -> SignedRRset:
    """Read an RRset of a zone, whole and in canonical form, with a signature that is valid for a sane time.

    Raises:
        StatementRefused: It is not; the message says what is wrong.
    """
    signer = read_signer(octets)
    covered, algorithm, labels, ttl, expiration, inception, key_tag = _PREFIX.unpack_from(octets)
    place = PREFIX_OCTETS + len(signer)
    if place == len(octets):
        raise StatementRefused("there is no record")
    owner = read_name(octets, place, "the owner of a record")
    if labels != _count_labels(owner) - owner.startswith(_WILDCARD):  # RFC 4034, section 3.1.3
        raise StatementRefused("the number of labels is not that of the owner's name")
    rdatas: list[bytes] = []
    while place < len(octets):
        if not octets.startswith(owner, place):
            raise StatementRefused("a record has another owner than the first one")
        place += len(owner)
        if len(octets) < place + _RECORD.size:
            raise StatementRefused("a record is cut")
        found_type, found_class, found_ttl, length = _RECORD.unpack_from(octets, place)
        if (found_type, found_class, found_ttl) != (covered, _CLASS_IN, ttl):
            raise StatementRefused("a record has another type, class or TTL than the signature says")
        place += _RECORD.size
        rdata = octets[place : place + length]
        place += length
        if len(rdata) != length:
            raise StatementRefused("a record is cut")
        if rdatas and rdatas[-1] >= rdata:
            raise StatementRefused("the records are not in canonical order, or one is there twice")
        rdatas.append(rdata)
    begin, end = _unwrap_time(inception, now), _unwrap_time(expiration, now)
    if begin > now + MAX_AHEAD_SECONDS:
        raise StatementRefused("the signature would begin in the future")
    if end <= now:
        raise StatementRefused("the signature would have expired")
    if end - begin > MAX_VALIDITY_SECONDS:
        raise StatementRefused("the signature would be valid for too long")
    return SignedRRset(covered, algorithm, key_tag, begin, end, signer, owner, tuple(rdatas))


def read_name(octets: bytes, start: int, what: str) -> bytes:
    """Read a domain name in wire form, uncompressed and in lower case.

    Raises:
        StatementRefused: It is none; the message says of `what`.
    """
    place = start
    while True:
        if place >= len(octets) or octets[place] > 63 or place - start > 254:
            raise StatementRefused(f"{what} is no domain name")
        if octets[place] == 0:
            break
        place += 1 + octets[place]
    name = octets[start : place + 1]
    if name != name.lower():  # lengths are below 64, and so never upper case letters
        raise StatementRefused(f"{what} is not in lower case")
    return name


def is_in_zone(owner: bytes, apex: bytes) -> bool:
    """Say if a name is the apex or below it."""
    place = 0
    while len(owner) - place > len(apex):
        place += 1 + owner[place]
    return owner[place:] == apex


def _count_labels(name: bytes) -> int:
    count = place = 0
    while length := name[place]:
        count += 1
        place += 1 + length
    return count


def _unwrap_time(field: int, now: int) -> int:
    """Read a time modulo 2**32 as the one nearest to now (RFC 4034, section 3.1.5)."""
    return now + ((field - now + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
