"""SOA serial numbers (RFC 1982), 32 bits."""

from typing import NewType

Serial = NewType("Serial", int)

_MODULUS = 2**32
_HALF = 2**31


def add(serial: int, increment: int) -> Serial:
    """Add to a serial, wrapping at 2**32 (RFC 1982, section 3.1).

    Args:
        serial: 0 to 2**32 - 1.
        increment: 0 to 2**31 - 1; more has no defined meaning.

    Raises:
        ValueError: The increment is out of range.
    """
    if not 0 <= increment < _HALF:
        raise ValueError(f"increment {increment} is not between 0 and 2**31 - 1")
    return Serial((serial + increment) % _MODULUS)


def is_newer(serial: int, than: int) -> bool:
    """Say if a serial is greater than another (RFC 1982, section 3.2).

    Section 3.2 leaves a distance of 2**31 undefined; here neither of the two is then newer.
    """
    return 0 < (serial - than) % _MODULUS < _HALF
