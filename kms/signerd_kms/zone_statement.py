"""What a zone says of its keys: its DNSKEY, CDS and CDNSKEY RRsets, in the form that is signed.

A key that signs for a zone signs nothing it does not understand. A stolen credential of the signer can then
neither have another zone's keys signed nor bring a key of its own into the chain of trust: the keys that the
parent is pointed to, or that sign the key set, are keys of this KMS which are bound to the zone.

The form is RRSIG RDATA without the signature, then the RRs in canonical form and order (RFC 4034, section
3.1.8.1).
"""

import hashlib
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signerd_kms.errors import StatementRefused
from signerd_kms.key import KeyType

DAY = 86_400
MAX_VALIDITY_SECONDS = 3700 * DAY  # far below 2**31, where the times of signatures wrap
MAX_AHEAD_SECONDS = 300  # an inception may lie so far ahead of the clock
MAX_RECORDS = 64
_PREFIX = struct.Struct("!HBBIIIH")  # type covered, algorithm, labels, TTL, expiration, inception, key tag
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, RDATA length
_CLASS_IN = 1
_PROTOCOL = 3  # RFC 4034, section 2.1.2
_ZONE_KEY, _REVOKED, _SECURE_ENTRY_POINT = 0x0100, 0x0080, 0x0001
_DELETE_CDS = bytes.fromhex("0000000000")  # RFC 8078, section 4
_DELETE_CDNSKEY = bytes.fromhex("0000030000")
_DIGESTS = MappingProxyType({2: hashlib.sha256, 4: hashlib.sha384})

ALGORITHMS: Mapping[KeyType, int] = MappingProxyType(
    {
        KeyType.RSA_2048: 8,
        KeyType.RSA_3072: 8,
        KeyType.RSA_4096: 8,
        KeyType.ECDSA_P256: 13,
        KeyType.ECDSA_P384: 14,
    }
)
"""DNSSEC algorithm of each key type that signs zones."""


class StatementType(IntEnum):
    """The types of RRsets that say something of keys."""

    DNSKEY = 48
    CDS = 59
    CDNSKEY = 60


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A public key as in a DNSKEY record, without its flags."""

    algorithm: int
    public_key: bytes

    def encode(self, flags: int) -> bytes:
        """Give the RDATA of the DNSKEY record."""
        return struct.pack("!HBB", flags, _PROTOCOL, self.algorithm) + self.public_key


@dataclass(frozen=True, slots=True)
class Statement:
    """An RRset about to be signed; times are seconds since 1970, UTC."""

    rdatatype: StatementType
    algorithm: int
    key_tag: int
    inception: int
    expiration: int
    rdatas: tuple[bytes, ...]

    @property
    def asks_removal(self) -> bool:
        """Say if it asks the parent to remove all DS records (RFC 8078, section 4)."""
        return (self.rdatatype, self.rdatas) in (
            (StatementType.CDS, (_DELETE_CDS,)),
            (StatementType.CDNSKEY, (_DELETE_CDNSKEY,)),
        )


@dataclass(frozen=True, slots=True)
class StatementPolicy:
    """What a key may sign.

    Attributes:
        zones: Apexes, in wire form and lower case, that the key is bound to.
        own: The version that shall sign.
        bound: For each zone the keys of the KMS that are bound to it, in all their versions.
        allows_removal: Whether CDS and CDNSKEY may be in their delete form: the zone is about to go insecure.
    """

    zones: Collection[bytes]
    own: ZoneKey
    bound: Mapping[bytes, Collection[ZoneKey]]
    allows_removal: bool = False


def check_statement(octets: bytes, policy: StatementPolicy, now: int) -> Statement:
    """Read what shall be signed, and check all of it against the policy of the key.

    Raises:
        StatementRefused: It is malformed or not allowed; the message says why.
    """
    if len(octets) <= _PREFIX.size:
        raise StatementRefused("there is no RRset")
    zone = _read_name(octets, _PREFIX.size)
    if zone not in policy.zones:
        raise StatementRefused("the key is not bound to this zone")
    statement = _parse(octets, zone, now)
    if statement.algorithm != policy.own.algorithm:
        raise StatementRefused(f"algorithm {statement.algorithm} is not that of the key")
    _check_window(statement, now)
    known = policy.bound[zone]
    if statement.asks_removal and not policy.allows_removal:
        raise StatementRefused(
            "the removal of all DS records is asked for, and the zone is not said to go insecure"
        )
    if statement.rdatatype is StatementType.DNSKEY:
        _check_dnskey(statement, policy.own, known)
    elif statement.rdatatype is StatementType.CDNSKEY:
        _check_cdnskey(statement, known)
    else:
        _check_cds(statement, zone, known)
    return statement


def refuse_statement(octets: bytes, zones: Collection[bytes], *, is_prehashed: bool) -> None:
    """Refuse to sign, as plain octets, what a zone of the key says of its keys.

    Args:
        octets: The message.
        zones: Apexes that the key is bound to.
        is_prehashed: The message is a digest, which may be one of anything.

    Raises:
        StatementRefused: It is, or may be, such a statement.
    """
    if not zones:
        return
    if is_prehashed:
        raise StatementRefused("a key that signs for a zone signs no digests: they may be of anything")
    named = octets[_PREFIX.size :].lower()
    if int.from_bytes(octets[:2], "big") in set(StatementType) and any(map(named.startswith, zones)):
        raise StatementRefused("the keys of a zone are signed as such only, not as plain octets")


def check_zone_name(zone: bytes) -> None:
    """Raise StatementRefused unless octets are one whole domain name in wire form and lower case."""
    if _read_name(zone, 0) != zone:
        raise StatementRefused("a zone is named by the wire form of its apex")


def make_zone_key(key_type: KeyType, spki: bytes) -> ZoneKey | None:
    """Turn a public key into the form of DNSKEY records; None for types that sign no zones."""
    algorithm = ALGORITHMS.get(key_type)
    if algorithm is None:
        return None
    key = serialization.load_der_public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):  # RFC 6605, section 4: x, then y
        point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return ZoneKey(algorithm, point[1:])
    assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101  # the type says so
    numbers = key.public_numbers()
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    assert len(exponent) < 256  # noqa: S101  # all our keys have the exponent 65537
    return ZoneKey(algorithm, bytes((len(exponent),)) + exponent + modulus)  # RFC 3110, section 2


def compute_key_tag(rdata: bytes) -> int:
    """Compute the key tag of a DNSKEY record (RFC 4034, appendix B)."""
    total = sum(octet if place & 1 else octet << 8 for place, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def _parse(octets: bytes, zone: bytes, now: int) -> Statement:
    covered, algorithm, labels, ttl, expiration, inception, key_tag = _PREFIX.unpack_from(octets)
    try:
        rdatatype = StatementType(covered)
    except ValueError as error:
        raise StatementRefused(f"type {covered} is none that says something of keys") from error
    if labels != _count_labels(zone):
        raise StatementRefused("the number of labels is not that of the zone's name")
    rdatas: list[bytes] = []
    place = _PREFIX.size + len(zone)
    while place < len(octets):
        if not octets.startswith(zone, place):
            raise StatementRefused("a record has another owner than the zone's apex")
        place += len(zone)
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
        if len(rdatas) > MAX_RECORDS:
            raise StatementRefused(f"there are more than {MAX_RECORDS} records")
    if not rdatas:
        raise StatementRefused("there is no record")
    return Statement(
        rdatatype,
        algorithm,
        key_tag,
        _unwrap_time(inception, now),
        _unwrap_time(expiration, now),
        tuple(rdatas),
    )


def _check_window(statement: Statement, now: int) -> None:
    if statement.inception > now + MAX_AHEAD_SECONDS:
        raise StatementRefused("the signature would begin in the future")
    if statement.expiration <= now:
        raise StatementRefused("the signature would have expired")
    if statement.expiration - statement.inception > MAX_VALIDITY_SECONDS:
        raise StatementRefused("the signature would be valid for too long")


def _check_dnskey(statement: Statement, own: ZoneKey, known: Collection[ZoneKey]) -> None:
    is_member = False
    for rdata in statement.rdatas:
        flags, key = _read_dnskey(rdata)
        if flags & ~(_ZONE_KEY | _REVOKED | _SECURE_ENTRY_POINT) or not flags & _ZONE_KEY:
            raise StatementRefused(f"a key has the flags {flags:#06x}")
        if flags & _SECURE_ENTRY_POINT and key not in known:
            raise StatementRefused("a secure entry point is no key of this KMS bound to the zone")
        if key == own and compute_key_tag(rdata) == statement.key_tag:
            is_member = True
    if not is_member:
        raise StatementRefused("the key that shall sign is not in the set under that key tag")


def _check_cdnskey(statement: Statement, known: Collection[ZoneKey]) -> None:
    if statement.asks_removal:
        return
    for rdata in statement.rdatas:
        flags, key = _read_dnskey(rdata)
        if flags != _ZONE_KEY | _SECURE_ENTRY_POINT or key not in known:
            raise StatementRefused("a CDNSKEY is no key of this KMS bound to the zone")


def _check_cds(statement: Statement, zone: bytes, known: Collection[ZoneKey]) -> None:
    if statement.asks_removal:
        return
    allowed: set[bytes] = set()
    for key in known:
        dnskey = key.encode(_ZONE_KEY | _SECURE_ENTRY_POINT)
        for number, digest in _DIGESTS.items():
            head = struct.pack("!HBB", compute_key_tag(dnskey), key.algorithm, number)
            allowed.add(head + digest(zone + dnskey).digest())
    if not allowed.issuperset(statement.rdatas):
        raise StatementRefused("a CDS names no key of this KMS bound to the zone")


def _read_dnskey(rdata: bytes) -> tuple[int, ZoneKey]:
    if len(rdata) <= 4 or rdata[2] != _PROTOCOL:
        raise StatementRefused("a key is no DNSKEY record")
    return int.from_bytes(rdata[:2], "big"), ZoneKey(rdata[3], rdata[4:])


def _read_name(octets: bytes, start: int) -> bytes:
    place = start
    while True:
        if place >= len(octets) or octets[place] > 63 or place - start > 254:
            raise StatementRefused("the signer's name is no domain name")
        if octets[place] == 0:
            name = octets[start : place + 1]
            break
        place += 1 + octets[place]
    if any(0x41 <= octet <= 0x5A for octet in _list_label_octets(name)):
        raise StatementRefused("the signer's name is not in lower case")
    return name


def _list_label_octets(name: bytes) -> bytes:
    found, place = b"", 0
    while length := name[place]:
        found += name[place + 1 : place + 1 + length]
        place += 1 + length
    return found


def _count_labels(name: bytes) -> int:
    count = place = 0
    while length := name[place]:
        count += 1
        place += 1 + length
    return count


def _unwrap_time(field: int, now: int) -> int:
    """Read a time modulo 2**32 as the one nearest to now (RFC 4034, section 3.1.5)."""
    return now + ((field - now + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
