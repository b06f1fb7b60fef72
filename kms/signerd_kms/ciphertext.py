"""The inside of ciphertexts: suite (1 octet), key tag (8), nonce (12, AEAD only), ciphertext and tag."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from signerd_kms.associated_data import CIPHERTEXT, encode_fields
from signerd_kms.key import KeyIdentity, KeyType
from signerd_kms.versioned_text import MalformedText, VersionedOctets, parse_versioned

KEY_TAG_OCTETS = 8
NONCE_OCTETS = 12
TAG_OCTETS = 16
MAX_PLAINTEXT = 65_535  # octets
MAX_ASSOCIATED_DATA = 8 << 10  # octets
_HEADER_OCTETS = 1 + KEY_TAG_OCTETS
MAX_CIPHERTEXT = _HEADER_OCTETS + NONCE_OCTETS + MAX_PLAINTEXT + TAG_OCTETS


class Suite(IntEnum):
    """How a ciphertext was made."""

    AES_GCM = 1  # nonce of 96 bits; the key's type says how long the key is
    CHACHA20_POLY1305 = 2
    RSA_OAEP_SHA256 = 16  # empty label, MGF1 with the same hash


SUITES: Mapping[KeyType, Suite] = MappingProxyType(
    {
        KeyType.AES128_GCM96: Suite.AES_GCM,
        KeyType.AES256_GCM96: Suite.AES_GCM,
        KeyType.CHACHA20_POLY1305: Suite.CHACHA20_POLY1305,
        KeyType.RSA_2048: Suite.RSA_OAEP_SHA256,
        KeyType.RSA_3072: Suite.RSA_OAEP_SHA256,
        KeyType.RSA_4096: Suite.RSA_OAEP_SHA256,
    }
)


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A ciphertext taken apart.

    Attributes:
        version: Of the key.
        suite: How it was made.
        nonce: Empty for RSA.
        body: Ciphertext and tag.
    """

    version: int
    suite: Suite
    nonce: bytes
    body: bytes

    def encode(self, identity: KeyIdentity) -> VersionedOctets:
        """Put it together for a key."""
        return VersionedOctets(
            self.version, bytes((self.suite,)) + make_key_tag(identity) + self.nonce + self.body
        )


def parse_ciphertext(text: str, identity: KeyIdentity, suite: Suite) -> Ciphertext:
    """Take the ciphertext of a key apart.

    Raises:
        MalformedText: It is no ciphertext, or not of this key or of keys of its type.
    """
    parsed = parse_versioned(text, max_octets=MAX_CIPHERTEXT)
    octets = parsed.octets
    if octets[:_HEADER_OCTETS] != bytes((suite,)) + make_key_tag(identity):
        raise MalformedText
    nonce_octets = 0 if suite is Suite.RSA_OAEP_SHA256 else NONCE_OCTETS
    nonce = octets[_HEADER_OCTETS : _HEADER_OCTETS + nonce_octets]
    body = octets[_HEADER_OCTETS + nonce_octets :]
    if len(nonce) != nonce_octets or len(body) < TAG_OCTETS:
        raise MalformedText
    return Ciphertext(parsed.version, suite, nonce, body)


def make_key_tag(identity: KeyIdentity) -> bytes:
    """Give the mark of a key in its ciphertexts: it finds mix-ups early, and proves nothing."""
    return hashlib.sha256(identity.encode()).digest()[:KEY_TAG_OCTETS]


def encode_associated_data(
    identity: KeyIdentity, version: int, suite: Suite, associated_data: bytes | None
) -> bytes:
    """Give what a ciphertext is bound to. The label keeps it apart from everything the KMS wraps inside."""
    fields: list[bytes | str | int | bool] = [CIPHERTEXT, identity, version, int(suite)]
    if associated_data is not None:
        fields.append(associated_data)
    return encode_fields(fields)
