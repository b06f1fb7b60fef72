"""Type bit maps of NSEC and NSEC3 (RFC 4034, section 4.1.2)."""

from collections.abc import Collection

from signerd.dns.rdatatype import format_type


def make_bitmap(types: Collection[int]) -> bytes:
    """Write the only right bit map for a set of types."""
    windows: dict[int, bytearray] = {}
    for number in sorted(types):
        octets = windows.setdefault(number >> 8, bytearray())
        index = (number & 0xFF) >> 3
        octets.extend(bytes(index + 1 - len(octets)))  # ascending: no octet at the end stays zero
        octets[index] |= 0x80 >> (number & 7)
    return b"".join(bytes((window, len(octets))) + octets for window, octets in windows.items())


def read_bitmap(bitmap: bytes) -> set[int]:
    """Read a bit map for a message, as far as it goes."""
    types: set[int] = set()
    position = 0
    while position + 2 <= len(bitmap):
        window, size = bitmap[position], bitmap[position + 1]
        for index, octet in enumerate(bitmap[position + 2 : position + 2 + size]):
            types.update(window << 8 | index << 3 | bit for bit in range(8) if octet & 0x80 >> bit)
        position += 2 + size
    return types


def describe_difference(found: bytes, expected: bytes) -> str:
    """Say what is wrong with a bit map."""
    is_there, should = read_bitmap(found), read_bitmap(expected)
    parts: list[str] = []
    if missing := should - is_there:
        parts.append("lacks " + " ".join(map(format_type, sorted(missing))))
    if extra := is_there - should:
        parts.append("has " + " ".join(map(format_type, sorted(extra))) + " too many")
    return "wrong type bit map: " + (" and ".join(parts) or f"badly encoded ({found.hex()})")
