"""The root of a Merkle tree (RFC 6962, section 2.1): one hash that binds a list."""

import hashlib
from collections.abc import Sequence


def compute_root(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over a list of at least one octet string.

    The tree has the shape of RFC 6962; a leaf is SHA-256(0x00 || octets), a node SHA-256(0x01 || both).
    """
    assert leaves  # noqa: S101
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:  # pairing from the left, an odd one moves up: the same tree as splitting at 2**k
        paired = [
            hashlib.sha256(b"\x01" + level[place] + level[place + 1]).digest()
            for place in range(0, len(level) - 1, 2)
        ]
        level = paired + level[len(level) & ~1 :]
    return level[0]
