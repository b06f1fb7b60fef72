"""The root key and what is derived from it."""

import os
from enum import StrEnum

from signerd_kms.associated_data import ROOT_KEY, encode_fields
from signerd_kms.errors import RootKeyWrong, UnwrapFailed
from signerd_kms.seal import Seal
from signerd_kms.wrapping import LiveKey, WrappedKey, derive

ROOT_KEY_OCTETS = 32


class Label(StrEnum):
    """Purposes of keys derived from the root key; each has its own, so that none gives another."""

    WRAP = "wrap"
    AUDIT_SIGN = "audit-sign"
    TOKEN_PEPPER = "token-pepper"  # noqa: S105  # a label, not a password
    CURSOR = "cursor"
    VALUE_HASH = "value-hash"


class RootKey:
    """The root key in memory; exists only while unsealed."""

    __slots__ = ("_key", "_wrapping", "generation")

    def __init__(self, key: LiveKey, generation: int) -> None:
        self.generation = generation
        self._key = key
        self._wrapping = LiveKey(derive(key.octets, _info(Label.WRAP)), locked=True)

    @property
    def wrapping_key(self) -> LiveKey:
        """The key that wraps key-encryption keys; wiped with the root key."""
        return self._wrapping

    def derive(self, label: Label) -> LiveKey:
        """Derive the key for a purpose other than wrapping: 32 octets, wiped by the caller."""
        assert label is not Label.WRAP  # noqa: S101
        return LiveKey(derive(self._key.octets, _info(label)))

    def wrap(self, seal: Seal, instance: str) -> WrappedKey:
        """Wrap the root key itself under a seal."""
        return seal.wrap(self._key.octets, _associated_data(instance, self.generation, seal.seal_id))

    def close(self) -> None:
        """Wipe it and its wrapping key."""
        self._wrapping.close()
        self._key.close()


def new_root_key() -> RootKey:
    """Make the first generation of a root key."""
    return RootKey(LiveKey(os.urandom(ROOT_KEY_OCTETS), locked=True), 1)


def unseal_root_key(seal: Seal, wrapped: WrappedKey, instance: str, generation: int) -> RootKey:
    """Open the root key of an instance.

    Raises:
        RootKeyWrong: The seal does not open it.
    """
    try:
        key = seal.unwrap(wrapped, _associated_data(instance, generation, seal.seal_id))
    except UnwrapFailed as error:
        raise RootKeyWrong(
            f"seal {seal.seal_id!r} does not open the root key of this database: its key is another one, "
            "or the database was changed"
        ) from error
    return RootKey(key, generation)


def _associated_data(instance: str, generation: int, seal_id: str) -> bytes:
    return encode_fields((ROOT_KEY, instance, generation, seal_id))


def _info(label: Label) -> bytes:
    return f"signerd/{label}".encode()
