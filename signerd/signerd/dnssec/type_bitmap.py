"""Type bitmaps of NSEC and NSEC3 records (RFC 4034, section 4.1.2)."""

from collections.abc import Iterable


def encode_bitmap(types: Iterable[int]) -> bytes:
    """Encode types as window blocks: window number, octets, bits from the left; empty for no types."""
    windows: dict[int, bytearray] = {}
    for rdatatype in sorted(types):
        octet = (rdatatype & 0xFF) >> 3
        bits = windows.setdefault(rdatatype >> 8, bytearray())
        bits.extend(bytes(octet + 1 - len(bits)))
        bits[octet] |= 0x80 >> (rdatatype & 7)
    return b"".join(bytes((window, len(bits))) + bits for window, bits in windows.items())


class BitmapCache:
    """Encodes bitmaps once for each combination of types: a zone has many names and few combinations."""

    __slots__ = ("_added", "_known")

    def __init__(self, *added: int) -> None:
        """Make a cache.

        Args:
            added: Types that every bitmap has besides those asked for.
        """
        self._added = added
        self._known: dict[tuple[int, ...], bytes] = {}

    def encode(self, types: Iterable[int]) -> bytes:
        """Encode types and the added ones."""
        key = tuple(types)
        bitmap = self._known.get(key)
        if bitmap is None:
            bitmap = self._known[key] = encode_bitmap({*key, *self._added})
        return bitmap
