"""Key material that a customer brings: unwrapping it, and the rules for what it may be."""

from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from signerd_kms import signature
from signerd_kms.errors import ImportFailed, InvalidRequest, OperationUnsupported, UnwrapFailed
from signerd_kms.key import KeyType
from signerd_kms.key_material import (
    AEAD_OCTETS,
    CURVES,
    MAC_OCTETS,
    AeadKey,
    MacKey,
    encode_private_key,
    load_material,
)
from signerd_kms.memory import wipe

EPHEMERAL_OCTETS = 32
MAX_BLOB = 8 << 10  # octets; an RSA key of 4096 bits makes some 3 KiB


class OaepHash(StrEnum):
    """Hash of OAEP, and of its MGF1, at an import."""

    SHA1 = "sha1"  # only where it is switched on
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


_HASHES: dict[OaepHash, hashes.HashAlgorithm] = {
    OaepHash.SHA1: hashes.SHA1(),  # noqa: S303  # inside OAEP, for old devices, and off by default
    OaepHash.SHA224: hashes.SHA224(),
    OaepHash.SHA256: hashes.SHA256(),
    OaepHash.SHA384: hashes.SHA384(),
    OaepHash.SHA512: hashes.SHA512(),
}


def parse_oaep_hash(text: str, *, is_sha1_allowed: bool) -> OaepHash:
    """Read the name of a hash for OAEP, in any case.

    Raises:
        InvalidRequest: It is none, or SHA-1 where that is not switched on.
    """
    allowed = [name for name in OaepHash if is_sha1_allowed or name is not OaepHash.SHA1]
    for name in allowed:
        if name == text.lower():
            return name
    raise InvalidRequest(f"the hash function of an import is one of {', '.join(allowed)}")


def check_importable(key_type: KeyType) -> None:
    """Raise OperationUnsupported if keys of the type are not imported."""
    if key_type in MAC_OCTETS:
        raise OperationUnsupported(f"keys of type {key_type.value} cannot be imported")


def unwrap_blob(private_key: rsa.RSAPrivateKey, blob: bytes, oaep_hash: OaepHash, key_type: KeyType) -> bytes:
    """Open a wrapped key and check that it is one of a type.

    Args:
        private_key: The wrapping key.
        blob: RSA-OAEP of a one-time AES key of 32 octets, then AES-KWP (RFC 5649) of the target key under it.
        oaep_hash: The hash of OAEP and of its MGF1.
        key_type: What the target key must be: raw octets, or PKCS#8 in DER.

    Returns:
        The secret form, a fresh object which the caller wipes.

    Raises:
        ImportFailed: Anything is wrong; which it was stays inside.
    """
    head = private_key.key_size // 8
    algorithm = _HASHES[oaep_hash]
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm), algorithm=algorithm, label=None)
    ephemeral = unwrapped = b""
    try:
        ephemeral = private_key.decrypt(blob[:head], oaep)
        if len(ephemeral) != EPHEMERAL_OCTETS:
            raise ImportFailed
        unwrapped = keywrap.aes_key_unwrap_with_padding(ephemeral, blob[head:])
        return _normalise(unwrapped, key_type)
    except (ValueError, keywrap.InvalidUnwrap, UnwrapFailed, UnsupportedAlgorithm):
        raise ImportFailed from None  # the cause would tell one failure from another
    finally:
        wipe(ephemeral)
        wipe(unwrapped)


def _normalise(octets: bytes, key_type: KeyType) -> bytes:
    """Check the target key in full, and give it in the form in which it is kept."""
    if (length := AEAD_OCTETS.get(key_type)) is not None:
        if len(octets) != length:
            raise ImportFailed
        return bytes(bytearray(octets))
    _check_pkcs8(octets, is_curve_named=key_type in CURVES)
    material = load_material(octets, key_type, validated=False)
    if isinstance(material, AeadKey | MacKey):
        raise ImportFailed
    kept = encode_private_key(material)
    signature.check_key_pair(kept, key_type)
    return kept


def _check_pkcs8(octets: bytes, *, is_curve_named: bool) -> None:
    """Refuse other DER forms of private keys, which the library reads too, and curves given by parameters.

    PKCS#8 is SEQUENCE { INTEGER 0 or 1, SEQUENCE { OID, parameters }, OCTET STRING, ... } (RFC 5958,
    section 2).
    """
    body = _read_value(octets, 0x30)
    version_octets = body[:3]
    if version_octets not in {b"\x02\x01\x00", b"\x02\x01\x01"}:
        raise ImportFailed
    algorithm = _read_value(body[3:], 0x30)
    if is_curve_named:
        oid_octets = 2 + algorithm[1] if len(algorithm) > 1 else 0
        if algorithm[:1] != b"\x06" or algorithm[oid_octets : oid_octets + 1] != b"\x06":
            raise ImportFailed


def _read_value(octets: bytes, tag: int) -> bytes:
    """Give the content of the first DER value, and what follows it is left to the parser proper."""
    if len(octets) < 2 or octets[0] != tag:
        raise ImportFailed
    length, start = octets[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 2:
            raise ImportFailed
        start += count
        length = int.from_bytes(octets[2:start], "big")
    return octets[start : start + length]
