"""A seal that a person opens: a key derived from a passphrase with Argon2id (RFC 9106)."""

import os
import struct
import threading
import unicodedata
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw

from signerd_kms.associated_data import encode_fields
from signerd_kms.errors import InvalidRequest, SealNotReady, UnwrapFailed
from signerd_kms.wrapping import LiveKey, WrappedKey, unwrap, wrap

SUITE_PASSPHRASE = 3  # then the header below, then a wrapped key of suite 1
MIN_PASSPHRASE_CHARACTERS = 12
MAX_PASSPHRASE_OCTETS = 1024
SALT_OCTETS = 16
_DERIVED_OCTETS = 32
_HEADER = struct.Struct(f">BIIB{SALT_OCTETS}s")  # suite, memory in KiB, passes, lanes, salt

MAX_MEMORY_KIB = 1 << 20  # 1 GiB: a planted cost must not take all memory
MAX_PASSES = 16
MAX_LANES = 4

_deriving = threading.Lock()  # one derivation at a time bounds the memory


@dataclass(frozen=True, slots=True)
class ArgonCost:
    """What a derivation costs; about a second with the defaults.

    Attributes:
        memory_kib: Memory in KiB.
        passes: Over the memory.
        lanes: That could run in parallel.
    """

    memory_kib: int = 256 << 10
    passes: int = 3
    lanes: int = 1

    def __post_init__(self) -> None:
        if not (
            1 <= self.lanes <= MAX_LANES
            and 8 * self.lanes <= self.memory_kib <= MAX_MEMORY_KIB
            and 1 <= self.passes <= MAX_PASSES
        ):
            raise UnwrapFailed(
                f"the Argon2 parameters stored beside the root key are not believed: {self.memory_kib} KiB, "
                f"{self.passes} passes, {self.lanes} lanes"
            )


DEFAULT_COST = ArgonCost()


def normalise_passphrase(passphrase: str) -> LiveKey:
    """Give the octets of a passphrase, the same however the keyboard composed its letters (NFC).

    Raises:
        InvalidRequest: It is empty or too long.
    """
    octets = unicodedata.normalize("NFC", passphrase).encode()
    if not 0 < len(octets) <= MAX_PASSPHRASE_OCTETS:
        raise InvalidRequest(f"a passphrase has 1 to {MAX_PASSPHRASE_OCTETS} octets")
    return LiveKey(octets)


class PassphraseSeal:
    """A seal that works only between `give` and `forget`."""

    kind = "passphrase"

    def __init__(self, *, seal_id: str = "passphrase", cost: ArgonCost = DEFAULT_COST) -> None:
        self._seal_id = seal_id
        self._cost = cost
        self._passphrase: LiveKey | None = None
        self._is_long_enough = False

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        return self._seal_id

    def give(self, passphrase: str) -> None:
        """Take the passphrase for the operations that follow; the caller calls `forget` after them."""
        self.forget()
        self._passphrase = normalise_passphrase(passphrase)
        self._is_long_enough = len(unicodedata.normalize("NFC", passphrase)) >= MIN_PASSPHRASE_CHARACTERS

    def forget(self) -> None:
        """Wipe the passphrase."""
        passphrase, self._passphrase = self._passphrase, None
        if passphrase is not None:
            passphrase.close()

    def prepare(self) -> None:
        """Refuse to begin without a passphrase, or with a short one."""
        self._require()
        if not self._is_long_enough:
            raise InvalidRequest(f"a new passphrase has at least {MIN_PASSPHRASE_CHARACTERS} characters")

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key under a fresh salt."""
        self.prepare()
        cost, salt = self._cost, os.urandom(SALT_OCTETS)
        header = _HEADER.pack(SUITE_PASSPHRASE, cost.memory_kib, cost.passes, cost.lanes, salt)
        with self._derive(cost, salt) as key:
            inner = wrap(key, secret, encode_fields((associated_data, header)))
        return WrappedKey(header + inner.octets, inner.key_check)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key, at the cost that is stored beside it, if that is believable."""
        octets = wrapped.octets
        if len(octets) <= _HEADER.size or octets[0] != SUITE_PASSPHRASE:
            raise UnwrapFailed("the root key was not wrapped by a seal of this kind")
        _, memory_kib, passes, lanes, salt = _HEADER.unpack_from(octets)
        cost = ArgonCost(memory_kib, passes, lanes)
        inner = WrappedKey(octets[_HEADER.size :], wrapped.key_check)
        with self._derive(cost, salt) as key:
            try:
                return unwrap(
                    key, inner, encode_fields((associated_data, octets[: _HEADER.size])), locked=True
                )
            except UnwrapFailed as error:
                raise UnwrapFailed("the passphrase is wrong, or what it opens was changed") from error

    def _require(self) -> LiveKey:
        if self._passphrase is None:
            raise SealNotReady(f"seal {self._seal_id!r} waits for its passphrase: run `signerd unseal`")
        return self._passphrase

    def _derive(self, cost: ArgonCost, salt: bytes) -> LiveKey:
        passphrase = self._require()
        with _deriving:
            derived = hash_secret_raw(
                secret=passphrase.octets,
                salt=salt,
                time_cost=cost.passes,
                memory_cost=cost.memory_kib,
                parallelism=cost.lanes,
                hash_len=_DERIVED_OCTETS,
                type=Type.ID,
            )
        return LiveKey(derived)
