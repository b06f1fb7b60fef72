"""Encrypting and decrypting with a key: encrypt, decrypt, rewrap, data keys."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from signerd_kms.ciphertext import (
    MAX_ASSOCIATED_DATA,
    MAX_PLAINTEXT,
    NONCE_OCTETS,
    SUITES,
    TAG_OCTETS,
    Ciphertext,
    Suite,
    encode_associated_data,
    parse_ciphertext,
)
from signerd_kms.errors import (
    DecryptFailed,
    InvalidRequest,
    KeyVersionNotUsable,
    OperationUnsupported,
    SchemeUnsupported,
)
from signerd_kms.key import Key, Operation
from signerd_kms.key_material import RSA_BITS, AeadKey
from signerd_kms.key_use import Done, OpenKey, Use
from signerd_kms.versioned_text import MalformedText, VersionedOctets

DATA_KEY_OCTETS = (16, 32, 64)
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_OAEP_OVERHEAD = 2 * 32 + 2  # RFC 8017, section 7.1.1


@dataclass(frozen=True, slots=True)
class Encrypt(Use[VersionedOctets]):
    """Encrypt a plaintext.

    Attributes:
        plaintext: 1 to 65,535 octets, less for RSA.
        version: Of the key; None is the newest.
        associated_data: Must be given again to decrypt; up to 8 KiB; not for RSA.
    """

    action: ClassVar[str] = "kms.encrypt"
    operation: ClassVar[Operation | None] = Operation.ENCRYPT
    plaintext: bytes = field(repr=False)
    version: int | None = None
    associated_data: bytes | None = field(default=None, repr=False)

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for, or the newest."""
        return (key.latest_version if self.version is None else self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give the size only."""
        return {"octets": len(self.plaintext)}

    def perform(self, opened: OpenKey) -> Done[VersionedOctets]:
        """Encrypt."""
        (version,) = self.choose_versions(opened.key)
        made = encrypt(opened, version, self.plaintext, self.associated_data)
        return Done(made, version, {})


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What a ciphertext held, and the key version it was made with."""

    plaintext: bytes = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class Decrypt(Use[Decrypted]):
    """Decrypt a ciphertext.

    Attributes:
        ciphertext: As `Encrypt` gave it.
        associated_data: As at encrypting.
    """

    action: ClassVar[str] = "kms.decrypt"
    operation: ClassVar[Operation | None] = Operation.DECRYPT
    ciphertext: str = field(repr=False)
    associated_data: bytes | None = field(default=None, repr=False)

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version in the ciphertext, or one to fail with."""
        return (_read(key, self.ciphertext)[0].version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give nothing: the size of a text that may be anything says nothing."""
        return {}

    def perform(self, opened: OpenKey) -> Done[Decrypted]:
        """Decrypt."""
        opened_text = decrypt(opened, self.ciphertext, self.associated_data)
        return Done(opened_text, opened_text.version, {"octets": len(opened_text.plaintext)})


@dataclass(frozen=True, slots=True)
class Rewrap(Use[VersionedOctets]):
    """Decrypt a ciphertext and encrypt it under the newest version, without giving the plaintext out."""

    action: ClassVar[str] = "kms.rewrap"
    operation: ClassVar[Operation | None] = Operation.DECRYPT
    ciphertext: str = field(repr=False)
    associated_data: bytes | None = field(default=None, repr=False)

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version in the ciphertext and the newest."""
        return (_read(key, self.ciphertext)[0].version, key.latest_version)

    def describe(self) -> Mapping[str, str | int]:
        """Give nothing, as `Decrypt`."""
        return {}

    def perform(self, opened: OpenKey) -> Done[VersionedOctets]:
        """Decrypt and encrypt."""
        old = decrypt(opened, self.ciphertext, self.associated_data)
        version = opened.key.latest_version
        made = encrypt(opened, version, old.plaintext, self.associated_data)
        return Done(made, version, {"fromVersion": old.version})


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key under a key, and in clear if that was asked for."""

    ciphertext: VersionedOctets
    plaintext: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class MakeDataKey(Use[DataKey]):
    """Make a random data key and encrypt it.

    Attributes:
        octets: 16, 32 or 64.
        is_plaintext_wanted: Whether it is also given in clear.
        associated_data: As for `Encrypt`.
        version: As for `Encrypt`.
    """

    action: ClassVar[str] = "kms.datakey"
    operation: ClassVar[Operation | None] = Operation.ENCRYPT
    octets: int = 32
    is_plaintext_wanted: bool = True
    associated_data: bytes | None = field(default=None, repr=False)
    version: int | None = None

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for, or the newest."""
        return (key.latest_version if self.version is None else self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give the size, and whether the key was given in clear."""
        return {"octets": self.octets, "plaintext": "yes" if self.is_plaintext_wanted else "no"}

    def perform(self, opened: OpenKey) -> Done[DataKey]:
        """Make one."""
        if self.octets not in DATA_KEY_OCTETS:
            raise InvalidRequest(f"a data key has 16, 32 or 64 octets, not {self.octets}")
        (version,) = self.choose_versions(opened.key)
        plaintext = os.urandom(self.octets)
        made = encrypt(opened, version, plaintext, self.associated_data)
        return Done(DataKey(made, plaintext if self.is_plaintext_wanted else None), version, {})


def encrypt(
    opened: OpenKey, version: int, plaintext: bytes, associated_data: bytes | None
) -> VersionedOctets:
    """Encrypt with a version of an open key."""
    key = opened.key
    suite = SUITES[key.key_type]
    limit = get_plaintext_limit(key)
    if not 1 <= len(plaintext) <= limit:
        raise InvalidRequest(
            f"a plaintext for {key.key_type.value} keys has 1 to {limit} octets, not {len(plaintext)}"
        )
    _check_associated_data(suite, associated_data)
    material = opened.load(version)
    if isinstance(material, rsa.RSAPrivateKey):
        return Ciphertext(version, suite, b"", material.public_key().encrypt(plaintext, _OAEP)).encode(
            key.identity
        )
    if not isinstance(material, AeadKey):
        raise OperationUnsupported(f"a key of type {key.key_type.value} cannot encrypt")
    opened.spend_message(version)
    nonce = os.urandom(NONCE_OCTETS)
    bound = encode_associated_data(key.identity, version, suite, associated_data)
    return Ciphertext(version, suite, nonce, material.encrypt(nonce, plaintext, bound)).encode(key.identity)


def decrypt(opened: OpenKey, text: str, associated_data: bytes | None) -> Decrypted:
    """Decrypt with an open key. Every failure takes the same steps and gives the same error.

    Raises:
        DecryptFailed: The text is malformed, of another key or an unknown version, or was changed.
    """
    key = opened.key
    ciphertext, is_well_formed = _read(key, text)
    _check_associated_data(ciphertext.suite, associated_data)
    try:
        material = opened.load(ciphertext.version)
    except KeyVersionNotUsable as error:
        raise DecryptFailed from error
    try:
        if isinstance(material, rsa.RSAPrivateKey):
            plaintext = material.decrypt(ciphertext.body, _OAEP)
        else:
            assert isinstance(material, AeadKey)  # noqa: S101  # the operation was checked against the type
            bound = encode_associated_data(
                key.identity, ciphertext.version, ciphertext.suite, associated_data
            )
            plaintext = material.decrypt(ciphertext.nonce, ciphertext.body, bound)
    except (InvalidTag, ValueError):  # without its cause, which would tell one failure from another
        raise DecryptFailed from None
    if not is_well_formed:
        raise DecryptFailed
    return Decrypted(plaintext, ciphertext.version)


def get_plaintext_limit(key: Key) -> int:
    """Give the longest plaintext of a key, in octets."""
    bits = RSA_BITS.get(key.key_type)
    return MAX_PLAINTEXT if bits is None else bits // 8 - _OAEP_OVERHEAD


def _read(key: Key, text: str) -> tuple[Ciphertext, bool]:
    """Take a ciphertext apart, or give one that fails later, in the steps of any other failure."""
    suite = SUITES.get(key.key_type)
    if suite is None:  # the key cannot decrypt, which is found out before anything is loaded
        return Ciphertext(key.latest_version, Suite.AES_GCM, b"", b""), False
    try:
        parsed = parse_ciphertext(text, key.identity, suite)
    except MalformedText:
        parsed = None
    if parsed is not None and key.min_decryption_version <= parsed.version <= key.latest_version:
        return parsed, True
    if suite is Suite.RSA_OAEP_SHA256:
        return Ciphertext(key.latest_version, suite, b"", bytes(RSA_BITS[key.key_type] // 8)), False
    return Ciphertext(key.latest_version, suite, bytes(NONCE_OCTETS), bytes(TAG_OCTETS)), False


def _check_associated_data(suite: Suite, associated_data: bytes | None) -> None:
    if associated_data is None:
        return
    if suite is Suite.RSA_OAEP_SHA256:
        raise SchemeUnsupported("RSA keys take no associated data")
    if not 1 <= len(associated_data) <= MAX_ASSOCIATED_DATA:
        raise InvalidRequest(
            f"associated data has 1 to {MAX_ASSOCIATED_DATA} octets, not {len(associated_data)}"
        )
