"""Keys of services: wrapped by the KMS, stored by the service."""

import struct
from dataclasses import dataclass
from typing import Self

from signerd_kms.errors import UnwrapFailed
from signerd_kms.wrapping import KEY_CHECK_OCTETS, WrappedKey

_FORMAT = 1
_HEADER = struct.Struct(f">BI{KEY_CHECK_OCTETS}s")  # format, KEK generation, key check value


@dataclass(frozen=True, slots=True)
class WrappedServiceKey:
    """A service's key under the key-encryption key of its organisation and region.

    Attributes:
        kek_generation: Which key-encryption key wraps it.
        wrapped: The wrapped key.
    """

    kek_generation: int
    wrapped: WrappedKey

    @property
    def octets(self) -> bytes:
        """The form to store: format (1 octet), KEK generation (4), key check value (16), wrapped key."""
        return _HEADER.pack(_FORMAT, self.kek_generation, self.wrapped.key_check) + self.wrapped.octets

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read the stored form.

        Raises:
            UnwrapFailed: It is no such form.
        """
        if len(octets) <= _HEADER.size or octets[0] != _FORMAT:
            raise UnwrapFailed("a wrapped service key has an unknown form")
        _, generation, key_check = _HEADER.unpack_from(octets)
        return cls(generation, WrappedKey(octets[_HEADER.size :], key_check))
