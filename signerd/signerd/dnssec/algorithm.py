"""DNSSEC algorithms: what they are called, their key and signature fields.

RSASHA256 (RFC 5702), ECDSAP256SHA256 and ECDSAP384SHA384 (RFC 6605).
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

RSASHA256: Final = 8
ECDSAP256SHA256: Final = 13
ECDSAP384SHA384: Final = 14

MNEMONICS: Final = {
    RSASHA256: "RSASHA256",
    ECDSAP256SHA256: "ECDSAP256SHA256",
    ECDSAP384SHA384: "ECDSAP384SHA384",
}

KEY_TYPE_ALGORITHMS: Final = {
    "ecdsa-p256": ECDSAP256SHA256,
    "ecdsa-p384": ECDSAP384SHA384,
    "rsa-2048": RSASHA256,
    "rsa-3072": RSASHA256,
    "rsa-4096": RSASHA256,
}
"""Key types of the KMS that can sign a zone."""

ECDSA_FIELD_OCTETS: Final = {ECDSAP256SHA256: 32, ECDSAP384SHA384: 48}
"""Octets of each of r and s, x and y (RFC 6605, section 4)."""

_CURVES: Final = {"secp256r1": ECDSAP256SHA256, "secp384r1": ECDSAP384SHA384}
_MAX_RSA_BITS = 4096  # RFC 5702, section 2


class UnsupportedKey(ValueError):
    """The key cannot sign a zone: its kind, curve or size has no DNSSEC algorithm here."""

    code = "dnssec.unsupported_key"


class BadSignature(ValueError):
    """What a signing key returned is no signature of its algorithm."""

    code = "dnssec.bad_signature"


def encode_public_key(spki: bytes) -> tuple[int, bytes]:
    """Turn a public key into the fields of a DNSKEY record.

    Args:
        spki: SubjectPublicKeyInfo, DER (RFC 5280, section 4.1.2.7).

    Returns:
        Algorithm number and public key field: exponent length, exponent and modulus (RFC 3110, section 2),
        or x | y without the leading octet 4 (RFC 6605, section 4).

    Raises:
        UnsupportedKey: No algorithm here fits the key.
    """
    key = load_der_public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = _CURVES.get(key.curve.name)
        if algorithm is None:
            raise UnsupportedKey(f"curve {key.curve.name} has no DNSSEC algorithm here")
        octets = ECDSA_FIELD_OCTETS[algorithm]
        point = key.public_numbers()
        return algorithm, point.x.to_bytes(octets) + point.y.to_bytes(octets)
    if isinstance(key, rsa.RSAPublicKey):
        if not 1024 <= key.key_size <= _MAX_RSA_BITS:
            raise UnsupportedKey(f"RSA key of {key.key_size} bits; 1024 to {_MAX_RSA_BITS} are allowed")
        numbers = key.public_numbers()
        exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
        # RFC 3110 section 2: one octet of length, or a zero octet and two octets above 255.
        length = bytes((len(exponent),)) if len(exponent) < 256 else b"\x00" + len(exponent).to_bytes(2)
        return RSASHA256, length + exponent + modulus
    raise UnsupportedKey(f"{type(key).__name__} has no DNSSEC algorithm here")


def convert_ecdsa_signature(der: bytes, field_octets: int) -> bytes:
    """Turn an ECDSA signature into its DNSSEC form r | s (RFC 6605, section 4).

    Written out because the general decoder takes longer than all the rest of making an RRSIG around it.

    Args:
        der: ECDSA-Sig-Value (RFC 3279, section 2.2.3) of a curve of at most 384 bits, so that all lengths
            fit one octet.
        field_octets: Length of r and s in the result; 32 or 48.

    Raises:
        BadSignature: Not the DER form of two positive integers of that size.
    """
    try:
        r_end = 4 + der[3]
        r, s = der[4:r_end], der[r_end + 2 :]
        if (
            der[0] != 0x30
            or der[1] != len(der) - 2
            or der[2] != 2
            or der[r_end] != 2
            or der[r_end + 1] != len(s)
            or (r[0] | s[0]) & 0x80  # negative
            or len(r) > field_octets + (not r[0])
            or len(s) > field_octets + (not s[0])
        ):
            raise BadSignature(
                f"{len(der)} octets are not a DER signature with {field_octets}-octet integers"
            )
    except IndexError as error:
        raise BadSignature(f"{len(der)} octets are not a DER signature") from error
    # An integer has a leading zero octet when its highest bit is set, and is short when r or s happens to be.
    return r[-field_octets:].rjust(field_octets, b"\x00") + s[-field_octets:].rjust(field_octets, b"\x00")
