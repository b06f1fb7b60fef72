"""Merkle tree hash of RFC 6962 (section 2.1), grown leaf by leaf."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

HASH_OCTETS: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def hash_leaf(record: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return hashlib.sha256(b"\x00" + record).digest()


def _hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree as far as it has grown, without its leaves.

    Attributes:
        size: Leaves so far.
        hashes: Roots of the whole subtrees it consists of, the largest first: one for each bit set in size.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def grow(self, leaves: Sequence[bytes]) -> "Frontier":
        """Give the tree with further leaves, each hashed already."""
        size = self.size
        hashes = list(self.hashes)
        for leaf in leaves:
            new = leaf
            bits = size
            while bits & 1:  # two whole subtrees of one size make one of twice the size
                new = _hash_node(hashes.pop(), new)
                bits >>= 1
            hashes.append(new)
            size += 1
        return Frontier(size, tuple(hashes))

    def compute_root(self) -> bytes:
        """Compute the Merkle tree hash."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = _hash_node(left, root)
        return root

    @property
    def octets(self) -> bytes:
        """The form to store; the size is stored beside it."""
        return b"".join(self.hashes)

    @classmethod
    def parse(cls, size: int, octets: bytes) -> Self:
        """Read the stored form.

        Raises:
            ValueError: The size asks for another number of hashes.
        """
        if size < 0 or len(octets) != size.bit_count() * HASH_OCTETS:
            raise ValueError("a stored tree does not have the form its size asks for")
        return cls(size, tuple(octets[at : at + HASH_OCTETS] for at in range(0, len(octets), HASH_OCTETS)))
