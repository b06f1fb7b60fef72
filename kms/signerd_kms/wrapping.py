"""Wrapped keys, which are stored, and live keys, which are not. The two share no base on purpose."""

import hashlib
import hmac
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signerd_kms import xaes
from signerd_kms.errors import UnwrapFailed
from signerd_kms.memory import lock, wipe

SUITE_XAES_256_GCM = 1
KEY_CHECK_OCTETS = 16


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key as it is stored.

    Attributes:
        octets: Suite (1 octet), nonce, ciphertext, tag.
        key_check: The first 16 octets of HMAC-SHA256 over the associated data, keyed from the wrapped key.
            GCM does not commit to the key: this does, and it finds mix-ups at a restore.
    """

    octets: bytes
    key_check: bytes


class LiveKey:
    """Secret octets in use. Wiped when closed; no `==`, repr or pickling, so it gets into no log or file."""

    __slots__ = ("_octets",)
    __hash__ = None  # type: ignore[assignment]  # hashing would need ==, which is not constant-time

    def __init__(self, octets: bytes, *, locked: bool = False) -> None:
        """Take over octets that nobody else holds: they are overwritten at the end."""
        self._octets: bytes | None = octets
        if locked:
            lock(octets)

    @property
    def octets(self) -> bytes:
        """The secret; do not keep it past the life of this object."""
        if self._octets is None:
            raise ValueError("the live key is closed")
        return self._octets

    def release(self) -> bytes:
        """Hand the secret over: whoever takes it wipes it, and this is closed."""
        octets, self._octets = self.octets, None
        return octets

    def close(self) -> None:
        """Wipe the secret. Closing again does nothing."""
        octets, self._octets = self._octets, None
        if octets is not None:
            wipe(octets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_octets"):
            self.close()

    def __eq__(self, other: object) -> bool:
        raise TypeError("live keys are not compared")

    def __repr__(self) -> str:
        return "<LiveKey>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("live keys are not serialised")


def wrap(wrapping_key: LiveKey, secret: bytes, associated_data: bytes) -> WrappedKey:
    """Encrypt a key under another, bound to associated data."""
    octets = bytes((SUITE_XAES_256_GCM,)) + xaes.seal(wrapping_key.octets, secret, associated_data)
    return WrappedKey(octets, compute_key_check(secret, associated_data))


def unwrap(
    wrapping_key: LiveKey, wrapped: WrappedKey, associated_data: bytes, *, locked: bool = False
) -> LiveKey:
    """Undo `wrap` and compare the key check value before the key can be used.

    Raises:
        UnwrapFailed: Anything is not as it was when the key was wrapped.
    """
    if not wrapped.octets or wrapped.octets[0] != SUITE_XAES_256_GCM:
        raise UnwrapFailed("a wrapped key is of an unknown suite")
    live = LiveKey(xaes.open_sealed(wrapping_key.octets, wrapped.octets[1:], associated_data), locked=locked)
    if not matches_key_check(live, wrapped, associated_data):
        live.close()
        raise UnwrapFailed("the key check value of a wrapped key does not match")
    return live


def compute_key_check(secret: bytes, associated_data: bytes) -> bytes:
    """Compute the key check value of a key: 16 octets that tell keys apart and nothing else of them."""
    check_key = derive(secret, b"kcv")
    try:
        return hmac.digest(check_key, associated_data, hashlib.sha256)[:KEY_CHECK_OCTETS]
    finally:
        wipe(check_key)


def matches_key_check(live: LiveKey, wrapped: WrappedKey, associated_data: bytes) -> bool:
    """Compare a key with the key check value stored beside its wrapped form, in constant time."""
    return hmac.compare_digest(compute_key_check(live.octets, associated_data), wrapped.key_check)


def derive(secret: bytes, label: bytes) -> bytes:
    """Derive 32 octets with HKDF-SHA256 (RFC 5869); the label is the info, there is no salt."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(secret)
