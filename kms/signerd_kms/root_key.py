"""The root key and what is derived from it."""

import hmac
import os
from enum import StrEnum

from signerd_kms.associated_data import DERIVED_KEY, ROOT_KEY, encode_fields
from signerd_kms.errors import RootKeyWrong, SealFailed, UnwrapFailed
from signerd_kms.seal import Seal
from signerd_kms.wrapping import LiveKey, WrappedKey, derive, unwrap, wrap

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

    __slots__ = ("_carried", "_key", "_wrapping", "generation")

    def __init__(self, key: LiveKey, generation: int) -> None:
        self.generation = generation
        self._key = key
        self._carried: dict[Label, LiveKey] = {}
        self._wrapping = LiveKey(derive(key.octets, _info(Label.WRAP)), locked=True)

    @property
    def wrapping_key(self) -> LiveKey:
        """The key that wraps key-encryption keys; wiped with the root key."""
        return self._wrapping

    def derive(self, label: Label) -> LiveKey:
        """Derive the key for a purpose other than wrapping: 32 octets, wiped by the caller.

        After a rotation it is the one that the first generation gave: tokens and signatures must stay good.
        """
        assert label is not Label.WRAP  # noqa: S101
        if (carried := self._carried.get(label)) is not None:
            return LiveKey(memoryview(carried.octets).tobytes())
        return LiveKey(derive(self._key.octets, _info(label)))

    def carry(self, label: Label, key: LiveKey) -> None:
        """Take over what an earlier generation gave for a purpose."""
        self._carried[label] = key

    def wrap_derived(self, label: Label, key: LiveKey, instance: str) -> WrappedKey:
        """Wrap what an earlier generation gave for a purpose, to be stored."""
        return wrap(self._wrapping, key.octets, _derived_associated_data(instance, self.generation, label))

    def unwrap_derived(self, label: Label, wrapped: WrappedKey, instance: str) -> LiveKey:
        """Undo `wrap_derived`.

        Raises:
            UnwrapFailed: It was changed.
        """
        associated_data = _derived_associated_data(instance, self.generation, label)
        return unwrap(self._wrapping, wrapped, associated_data, locked=True)

    def wrap(self, seal: Seal, instance: str) -> WrappedKey:
        """Wrap the root key itself under a seal, and prove that the seal opens what it made.

        Raises:
            SealFailed: It does not, or gives another key.
        """
        wrapped = seal.wrap(self._key.octets, _associated_data(instance, self.generation, seal.seal_id))
        self.verify(seal, wrapped, instance)
        return wrapped

    def verify(self, seal: Seal, wrapped: WrappedKey, instance: str) -> None:
        """Have a seal open a wrapped root key, and compare it with this one.

        Raises:
            SealFailed: It does not open it, or gives another key.
        """
        try:
            with seal.unwrap(wrapped, _associated_data(instance, self.generation, seal.seal_id)) as opened:
                is_same = hmac.compare_digest(opened.octets, self._key.octets)
        except UnwrapFailed as error:
            raise SealFailed(f"seal {seal.seal_id!r} does not open the root key: {error}") from error
        if not is_same:
            raise SealFailed(f"seal {seal.seal_id!r} gives another root key than it wrapped")

    def close(self) -> None:
        """Wipe it, its wrapping key and what it carries."""
        for carried in self._carried.values():
            carried.close()
        self._carried.clear()
        self._wrapping.close()
        self._key.close()


def new_root_key(generation: int = 1) -> RootKey:
    """Make a generation of a root key."""
    return RootKey(LiveKey(os.urandom(ROOT_KEY_OCTETS), locked=True), generation)


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
            f"or the database was changed ({error})"
        ) from error
    return RootKey(key, generation)


def _associated_data(instance: str, generation: int, seal_id: str) -> bytes:
    return encode_fields((ROOT_KEY, instance, generation, seal_id))


def _derived_associated_data(instance: str, generation: int, label: Label) -> bytes:
    return encode_fields((DERIVED_KEY, instance, generation, label))


def _info(label: Label) -> bytes:
    return f"signerd/{label}".encode()
