"""What a key that is bound to zones may sign for them.

What a zone says of its keys, its DNSKEY, CDS and CDNSKEY RRsets, is read and understood. A stolen
credential of the signer can then neither have another zone's keys signed nor bring a key of its own into the
chain of trust: the keys that the parent is pointed to, or that sign the key set, are keys of this KMS which
are bound to the zone.

All other RRsets of the zone are signed by a key that is bound to sign its data, and by no other.
"""

import hashlib
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signerd_kms.errors import StatementRefused
from signerd_kms.key import KeyType
from signerd_kms.zone_rrset import PREFIX_OCTETS, SignedRRset, is_in_zone, parse_rrset, read_name, read_signer

MAX_RECORDS = 64  # that say something of keys
_PROTOCOL = 3  # RFC 4034, section 2.1.2
_ZONE_KEY, _REVOKED, _SECURE_ENTRY_POINT = 0x0100, 0x0080, 0x0001
_DELETE_CDS = bytes.fromhex("0000000000")  # RFC 8078, section 4
_DELETE_CDNSKEY = bytes.fromhex("0000030000")
_DIGESTS = MappingProxyType({2: hashlib.sha256, 4: hashlib.sha384})
_SOA, _SIG, _OPT, _DS, _RRSIG, _NSEC3PARAM = 6, 24, 41, 43, 46, 51
_META_TYPES = range(128, 256)  # of questions and of messages, never of zones (RFC 6895, section 3.1)
_UNSIGNED_TYPES = frozenset({0, _SIG, _OPT, _RRSIG})  # RFC 4035, section 2.2
_APEX_TYPES = frozenset({_SOA, _NSEC3PARAM})

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


_STATEMENT_TYPES = frozenset(map(int, StatementType))
_ALGORITHM_OCTETS = frozenset(bytes((number,)) for number in ALGORITHMS.values())


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A public key as in a DNSKEY record, without its flags."""

    algorithm: int
    public_key: bytes

    def encode(self, flags: int) -> bytes:
        """Give the RDATA of the DNSKEY record."""
        return struct.pack("!HBB", flags, _PROTOCOL, self.algorithm) + self.public_key


@dataclass(frozen=True, slots=True)
class StatementPolicy:
    """What a key may sign.

    Attributes:
        zones: Apexes, in wire form and lower case, that the key is bound to.
        own: The version that shall sign.
        bound: For each zone the keys of the KMS that are bound to it, in all their versions.
        allows_removal: Whether CDS and CDNSKEY may be in their delete form: the zone is about to go insecure.
        data_zones: Those of the zones all of whose RRsets the key may sign.
    """

    zones: Collection[bytes]
    own: ZoneKey
    bound: Mapping[bytes, Collection[ZoneKey]]
    allows_removal: bool = False
    data_zones: Collection[bytes] = ()


def check_statement(octets: bytes, policy: StatementPolicy, now: int) -> SignedRRset:
    """Read what shall be signed, and check all of it against the policy of the key.

    Raises:
        StatementRefused: It is malformed or not allowed; the message says why.
    """
    zone = read_signer(octets)
    if zone not in policy.zones:
        raise StatementRefused("the key is not bound to this zone")
    rrset = parse_rrset(octets, now)
    if rrset.algorithm != policy.own.algorithm:
        raise StatementRefused(f"algorithm {rrset.algorithm} is not that of the key")
    known = policy.bound[zone]
    if rrset.owner != zone or rrset.rdatatype not in _STATEMENT_TYPES:
        _check_data(rrset, policy)
        return rrset
    if asks_removal(rrset) and not policy.allows_removal:
        raise StatementRefused(
            "the removal of all DS records is asked for, and the zone is not said to go insecure"
        )
    if len(rrset.rdatas) > MAX_RECORDS:
        raise StatementRefused(f"there are more than {MAX_RECORDS} records")
    if rrset.rdatatype == StatementType.DNSKEY:
        _check_dnskey(rrset, policy.own, known)
    elif rrset.rdatatype == StatementType.CDNSKEY:
        _check_cdnskey(rrset, known)
    else:
        _check_cds(rrset, zone, known)
    return rrset


def refuse_statement(octets: bytes, zones: Collection[bytes], *, is_prehashed: bool) -> None:
    """Refuse to sign, as plain octets, an RRset of a zone of the key: a resolver would believe all of them.

    Args:
        octets: The message.
        zones: Apexes that the key is bound to.
        is_prehashed: The message is a digest, which may be one of anything.

    Raises:
        StatementRefused: It is, or may be, such an RRset.
    """
    if not zones:
        return
    if is_prehashed:
        raise StatementRefused("a key that signs for a zone signs no digests: they may be of anything")
    named = octets[PREFIX_OCTETS:].lower()
    if octets[2:3] in _ALGORITHM_OCTETS and any(map(named.startswith, zones)):
        raise StatementRefused("the RRsets of a zone are signed as such only, not as plain octets")


def check_zone_name(zone: bytes) -> None:
    """Raise StatementRefused unless octets are one whole domain name in wire form and lower case."""
    if read_name(zone, 0, "the zone") != zone:
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


def name_type(rdatatype: int) -> str:
    """Name a type of RRsets, for the audit; those of which nothing is known by their number."""
    return StatementType(rdatatype).name if rdatatype in _STATEMENT_TYPES else f"TYPE{rdatatype}"


def asks_removal(rrset: SignedRRset) -> bool:
    """Say if an RRset asks the parent to remove all DS records (RFC 8078, section 4)."""
    if rrset.rdatatype == StatementType.CDS:
        return rrset.rdatas == (_DELETE_CDS,)
    return rrset.rdatatype == StatementType.CDNSKEY and rrset.rdatas == (_DELETE_CDNSKEY,)


@lru_cache(maxsize=1024)  # of a batch all RRsets ask for the same
def compute_key_tag(rdata: bytes) -> int:
    """Compute the key tag of a DNSKEY record (RFC 4034, appendix B)."""
    total = sum(octet if place & 1 else octet << 8 for place, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def _check_data(rrset: SignedRRset, policy: StatementPolicy) -> None:
    """Check an RRset that says nothing of the keys of its zone."""
    zone, rdatatype = rrset.signer, rrset.rdatatype
    if zone not in policy.data_zones:
        if rrset.owner != zone:
            raise StatementRefused("a record has another owner than the zone's apex")
        raise StatementRefused(f"type {rdatatype} is none that says something of keys")
    if not is_in_zone(rrset.owner, zone):
        raise StatementRefused("a record has an owner outside of the zone")
    if rdatatype in _UNSIGNED_TYPES or rdatatype in _META_TYPES:
        raise StatementRefused(f"type {rdatatype} is none that zones sign")
    if rdatatype == StatementType.DNSKEY or (rdatatype in _APEX_TYPES and rrset.owner != zone):
        raise StatementRefused(f"type {rdatatype} belongs to the apex only")
    if rdatatype == _DS and rrset.owner == zone:
        raise StatementRefused("the DS of a zone is its parent's")
    if rrset.key_tag != compute_key_tag(policy.own.encode(_ZONE_KEY | _SECURE_ENTRY_POINT)):
        raise StatementRefused("the key tag is not that of the key")


def _check_dnskey(statement: SignedRRset, own: ZoneKey, known: Collection[ZoneKey]) -> None:
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


def _check_cdnskey(statement: SignedRRset, known: Collection[ZoneKey]) -> None:
    if asks_removal(statement):
        return
    for rdata in statement.rdatas:
        flags, key = _read_dnskey(rdata)
        if flags != _ZONE_KEY | _SECURE_ENTRY_POINT or key not in known:
            raise StatementRefused("a CDNSKEY is no key of this KMS bound to the zone")


def _check_cds(statement: SignedRRset, zone: bytes, known: Collection[ZoneKey]) -> None:
    if asks_removal(statement):
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
