"""Keys of a zone as a validator sees them: DNSKEY RDATA, key tag, DS digest, verification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from signerd.dns.name import Name

Verify = Callable[[bytes, bytes], bool]
"""Says if a signature (DNSSEC wire form) is over the data."""

_ZONE_KEY = 0x0100  # RFC 4034, section 2.1.1
_REVOKED = 0x0080  # RFC 5011, section 2.1
_PROTOCOL = 3  # RFC 4034, section 2.1.2

# SHA-1 (type 1) is not taken: RFC 9905 forbids it for new delegations.
_DIGESTS = {2: hashlib.sha256, 4: hashlib.sha384}


class UnusableKey(ValueError):
    """The DNSKEY cannot verify signatures of a zone; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneKey:
    """A DNSKEY record that may sign zone data."""

    rdata: bytes
    algorithm: int
    tag: int
    is_revoked: bool
    verify: Verify


def read_zone_key(rdata: bytes) -> ZoneKey:
    """Read a DNSKEY.

    Raises:
        UnusableKey: Not a zone key of protocol 3, not of algorithm 8, 10, 13, 14 or 15, or a bad public key.
    """
    if len(rdata) < 5:
        raise UnusableKey("the DNSKEY has no public key")
    flags, protocol, algorithm = int.from_bytes(rdata[:2]), rdata[2], rdata[3]
    if not flags & _ZONE_KEY or protocol != _PROTOCOL:
        raise UnusableKey(f"flags {flags} and protocol {protocol} are not those of a zone key")
    verify = _make_verify(algorithm, rdata[4:])
    return ZoneKey(rdata, algorithm, compute_key_tag(rdata), bool(flags & _REVOKED), verify)


def compute_key_tag(rdata: bytes) -> int:
    """Compute the key tag of DNSKEY RDATA (RFC 4034, appendix B)."""
    total = sum(rdata[0::2]) * 256 + sum(rdata[1::2])
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def matches_ds(owner: Name, dnskey: bytes, ds: bytes) -> bool | None:
    """Compare a DNSKEY with a DS or CDS (RFC 4034, section 5.1.4); None: unknown digest type."""
    if len(ds) < 5 or (digest := _DIGESTS.get(ds[3])) is None:
        return None
    if int.from_bytes(ds[:2]) != compute_key_tag(dnskey) or ds[2] != dnskey[3]:
        return False
    return digest(owner + dnskey).digest() == ds[4:]


def _make_verify(algorithm: int, public_key: bytes) -> Verify:
    try:
        match algorithm:
            case 8:
                return _make_verify_rsa(public_key, SHA256())
            case 10:
                return _make_verify_rsa(public_key, SHA512())
            case 13:
                return _make_verify_ecdsa(public_key, ec.SECP256R1(), SHA256(), 32)
            case 14:
                return _make_verify_ecdsa(public_key, ec.SECP384R1(), SHA384(), 48)
            case 15:
                return _make_verify_ed25519(public_key)
            case _:
                raise UnusableKey(f"signatures of algorithm {algorithm} cannot be verified")
    except (ValueError, IndexError) as error:
        if isinstance(error, UnusableKey):
            raise
        raise UnusableKey(f"the public key is not one of algorithm {algorithm}") from error


def _make_verify_rsa(public_key: bytes, hash_algorithm: HashAlgorithm) -> Verify:
    start, size = (
        1,
        public_key[0],
    )  # RFC 3110, section 2: one octet of length, or 0 and two
    if size == 0:
        start, size = 3, int.from_bytes(public_key[1:3])
    exponent = int.from_bytes(public_key[start : start + size])
    modulus = int.from_bytes(public_key[start + size :])
    key_verify = rsa.RSAPublicNumbers(exponent, modulus).public_key().verify
    scheme = padding.PKCS1v15()

    def verify(signature: bytes, data: bytes) -> bool:
        try:
            key_verify(signature, data, scheme, hash_algorithm)
        except InvalidSignature:
            return False
        return True

    return verify


def _make_verify_ecdsa(
    public_key: bytes, curve: ec.EllipticCurve, hash_algorithm: HashAlgorithm, size: int
) -> Verify:
    if len(public_key) != 2 * size:
        raise ValueError(f"{len(public_key)} octets instead of {2 * size}")
    key_verify = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public_key).verify
    scheme = ec.ECDSA(hash_algorithm)
    from_bytes = int.from_bytes

    def verify(signature: bytes, data: bytes) -> bool:
        if len(signature) != 2 * size:  # RFC 6605, section 4
            return False
        der = encode_dss_signature(from_bytes(signature[:size]), from_bytes(signature[size:]))
        try:
            key_verify(der, data, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


def _make_verify_ed25519(public_key: bytes) -> Verify:
    key_verify = ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify

    def verify(signature: bytes, data: bytes) -> bool:
        try:
            key_verify(signature, data)
        except InvalidSignature:
            return False
        return True

    return verify
