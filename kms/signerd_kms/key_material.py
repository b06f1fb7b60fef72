"""Key material: made, encoded, and loaded into something that can work.

The secret form is the raw octets of symmetric and HMAC keys, and PKCS#8 in DER of private keys.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from signerd_kms.ciphertext import NONCE_OCTETS
from signerd_kms.errors import UnwrapFailed
from signerd_kms.key import KeyType
from signerd_kms.wrapping import LiveKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
RSA_EXPONENT = 65537

CURVES: Mapping[KeyType, ec.EllipticCurve] = MappingProxyType(
    {
        KeyType.ECDSA_P256: ec.SECP256R1(),
        KeyType.ECDSA_P384: ec.SECP384R1(),
        KeyType.ECDSA_P521: ec.SECP521R1(),
    }
)
RSA_BITS: Mapping[KeyType, int] = MappingProxyType(
    {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
)
AEAD_OCTETS: Mapping[KeyType, int] = MappingProxyType(
    {KeyType.AES128_GCM96: 16, KeyType.AES256_GCM96: 32, KeyType.CHACHA20_POLY1305: 32}
)
MAC_OCTETS: Mapping[KeyType, int] = MappingProxyType(
    {KeyType.HMAC: 32, KeyType.HMAC_SHA256: 32, KeyType.HMAC_SHA512: 64}
)


class AeadKey:
    """A symmetric key ready to encrypt. No repr of the key, no pickling."""

    __slots__ = ("_cipher",)

    def __init__(self, cipher: AESGCM | ChaCha20Poly1305) -> None:
        self._cipher = cipher

    def encrypt(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Encrypt; gives ciphertext and tag."""
        assert len(nonce) == NONCE_OCTETS  # noqa: S101  # the library takes other lengths
        return self._cipher.encrypt(nonce, plaintext, associated_data)

    def decrypt(self, nonce: bytes, body: bytes, associated_data: bytes) -> bytes:
        """Undo `encrypt`.

        Raises:
            cryptography.exceptions.InvalidTag: Anything is not as it was.
        """
        assert len(nonce) == NONCE_OCTETS  # noqa: S101
        return self._cipher.decrypt(nonce, body, associated_data)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys in use are not serialised")


class MacKey:
    """An HMAC key ready to use; wiped when the last holder drops it."""

    __slots__ = ("_key",)

    def __init__(self, key: LiveKey) -> None:
        self._key = key

    @property
    def octets(self) -> bytes:
        """The secret; do not keep it past the life of this object."""
        return self._key.octets

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys in use are not serialised")


Material = AeadKey | MacKey | PrivateKey


def generate_material(key_type: KeyType) -> bytes:
    """Make key material in its secret form, a fresh object which the caller wipes.

    An RSA key of 4096 bits may take seconds.
    """
    if (octets := AEAD_OCTETS.get(key_type) or MAC_OCTETS.get(key_type)) is not None:
        return os.urandom(octets)
    if (curve := CURVES.get(key_type)) is not None:
        return encode_private_key(ec.generate_private_key(curve))
    if key_type is KeyType.ED25519:
        return encode_private_key(ed25519.Ed25519PrivateKey.generate())
    return encode_private_key(
        rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=RSA_BITS[key_type])
    )


def encode_private_key(key: PrivateKey) -> bytes:
    """Give PKCS#8 in DER, unencrypted, in a fresh object which the caller wipes."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def encode_public_key(material: Material) -> bytes | None:
    """Give the SubjectPublicKeyInfo of a private key in DER; None for symmetric and HMAC keys."""
    if isinstance(material, AeadKey | MacKey):
        return None
    return material.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_material(octets: bytes, key_type: KeyType, *, validated: bool) -> Material:
    """Load the secret form. The caller may wipe it afterwards.

    Args:
        octets: The secret form.
        key_type: What it must be.
        validated: True for octets that come authenticated from our own wrapping: checking an RSA key of
            4096 bits again takes half a second. False for new or foreign ones.

    Raises:
        UnwrapFailed: It is a key of another type, or none.
    """
    if (length := AEAD_OCTETS.get(key_type)) is not None:
        _check_length(octets, length, key_type)
        is_chacha = key_type is KeyType.CHACHA20_POLY1305
        return AeadKey(ChaCha20Poly1305(octets) if is_chacha else AESGCM(octets))
    if (length := MAC_OCTETS.get(key_type)) is not None:
        _check_length(octets, length, key_type)
        return MacKey(LiveKey(bytes(bytearray(octets))))  # a copy of its own: the caller wipes the other
    return _load_private_key(octets, key_type, validated=validated)


def _check_length(octets: bytes, length: int, key_type: KeyType) -> None:
    if len(octets) != length:
        raise UnwrapFailed(f"unwrapped material is no key of type {key_type.value}")


def _load_private_key(octets: bytes, key_type: KeyType, *, validated: bool) -> PrivateKey:
    try:
        key = serialization.load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=validated)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise UnwrapFailed("unwrapped material is no private key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        curve = CURVES.get(key_type)
        fits = curve is not None and key.curve.name == curve.name
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        fits = key_type is KeyType.ED25519
    else:
        fits = (
            isinstance(key, rsa.RSAPrivateKey)
            and key.key_size == RSA_BITS.get(key_type)
            and key.public_key().public_numbers().e == RSA_EXPONENT
        )
    if not fits or not isinstance(
        key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise UnwrapFailed(f"unwrapped material is no private key of type {key_type.value}")
    return key
