"""Key pairs and signatures: the only module that touches asymmetric private keys."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from signerd_kms.errors import KeyTypeUnsupported, SchemeUnsupported, UnwrapFailed
from signerd_kms.key import KeyType

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SignatureScheme(StrEnum):
    """How a message is signed; each names its hash, the message is given whole."""

    ECDSA_SHA256 = "ecdsa-sha256"  # ASN.1 DER
    ECDSA_SHA384 = "ecdsa-sha384"
    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"  # RSASSA-PKCS1-v1_5, for DNSSEC algorithm 8 (RFC 5702) only
    RSA_PSS_SHA256 = "rsa-pss-sha256"  # MGF1 with the same hash, salt as long as the hash
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    RSA_PSS_SHA512 = "rsa-pss-sha512"


_CURVES: Mapping[KeyType, ec.EllipticCurve] = MappingProxyType(
    {KeyType.ECDSA_P256: ec.SECP256R1(), KeyType.ECDSA_P384: ec.SECP384R1()}
)
_RSA_BITS: Mapping[KeyType, int] = MappingProxyType(
    {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
)
_ECDSA: Mapping[SignatureScheme, hashes.HashAlgorithm] = MappingProxyType(
    {SignatureScheme.ECDSA_SHA256: hashes.SHA256(), SignatureScheme.ECDSA_SHA384: hashes.SHA384()}
)
_RSA: Mapping[SignatureScheme, hashes.HashAlgorithm] = MappingProxyType(
    {
        SignatureScheme.RSA_PKCS1_SHA256: hashes.SHA256(),
        SignatureScheme.RSA_PSS_SHA256: hashes.SHA256(),
        SignatureScheme.RSA_PSS_SHA384: hashes.SHA384(),
        SignatureScheme.RSA_PSS_SHA512: hashes.SHA512(),
    }
)

SIGNING_KEY_TYPES = frozenset(_CURVES) | frozenset(_RSA_BITS)


def check_key_type(key_type: KeyType) -> None:
    """Raise KeyTypeUnsupported unless key pairs of the type can be made and used."""
    if key_type not in SIGNING_KEY_TYPES:
        raise KeyTypeUnsupported(
            f"keys of type {key_type.value} are not supported yet; supported are "
            + ", ".join(sorted(SIGNING_KEY_TYPES))
        )


def check_scheme(key_type: KeyType, scheme: SignatureScheme) -> None:
    """Raise SchemeUnsupported unless keys of the type can sign so."""
    check_key_type(key_type)
    if scheme not in (_ECDSA if key_type in _CURVES else _RSA):
        raise SchemeUnsupported(f"a key of type {key_type.value} cannot sign with {scheme.value}")


def generate(key_type: KeyType) -> PrivateKey:
    """Make a key pair; an RSA one of 4096 bits may take seconds."""
    check_key_type(key_type)
    if (curve := _CURVES.get(key_type)) is not None:
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[key_type])


def encode_private_key(key: PrivateKey) -> bytes:
    """Give PKCS#8 in DER, unencrypted, in a fresh object which the caller wipes."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def encode_public_key(key: PrivateKey) -> bytes:
    """Give the SubjectPublicKeyInfo of the public half in DER."""
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_private_key(octets: bytes, key_type: KeyType, *, validated: bool) -> PrivateKey:
    """Read PKCS#8 in DER.

    Args:
        octets: The encoded key.
        key_type: What it must be.
        validated: True for octets that come authenticated from our own wrapping: checking an RSA key of
            4096 bits again takes half a second. False for new or foreign ones.

    Raises:
        UnwrapFailed: It is a key of another type, or none.
    """
    try:
        key = serialization.load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=validated)
    except ValueError as error:
        raise UnwrapFailed("unwrapped material is no private key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        curve = _CURVES.get(key_type)
        fits = curve is not None and key.curve.name == curve.name
    else:
        fits = isinstance(key, rsa.RSAPrivateKey) and key.key_size == _RSA_BITS.get(key_type)
    if not fits or not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UnwrapFailed(f"unwrapped material is no private key of type {key_type.value}")
    return key


def check_key_pair(octets: bytes, key_type: KeyType) -> None:
    """Read a new private key back with full validation, and sign and verify once with it.

    Raises:
        UnwrapFailed: The key does not do what it should.
    """
    key = load_private_key(octets, key_type, validated=False)
    scheme = SignatureScheme.ECDSA_SHA256 if key_type in _CURVES else SignatureScheme.RSA_PSS_SHA256
    message = b"signerd pairwise consistency test"
    signature = sign(key, message, scheme)
    public = key.public_key()
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        else:
            public.verify(signature, message, _choose_padding(scheme, hashes.SHA256()), hashes.SHA256())
    except InvalidSignature as error:
        raise UnwrapFailed(f"a new key of type {key_type.value} fails its consistency test") from error


def sign(key: PrivateKey, data: bytes, scheme: SignatureScheme) -> bytes:
    """Sign a message. ECDSA gives ASN.1 DER `SEQUENCE(r, s)`, RSA as many octets as the modulus has."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(_ECDSA[scheme]))
    digest = _RSA[scheme]
    return key.sign(data, _choose_padding(scheme, digest), digest)


def _choose_padding(scheme: SignatureScheme, digest: hashes.HashAlgorithm) -> padding.PKCS1v15 | padding.PSS:
    if scheme is SignatureScheme.RSA_PKCS1_SHA256:
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
