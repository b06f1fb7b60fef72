"""Durations, sizes and addresses as people write them in the configuration."""

import ipaddress
import re
from typing import Final

from signerd.control.listen_address import ListenAddress

MAX_SECONDS: Final = 2**31 - 1  # RRSIG times are compared in serial arithmetic (RFC 4034, 3.1.5)
_MAX_DIGITS: Final = 12  # keeps int() and the products below small
_UNIT_SECONDS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:[0-9]+[wdhms])+")
_DURATION_PART = re.compile(r"([0-9]+)([wdhms])")
_SIZE = re.compile(r"([0-9]+) ?(k|K|M|G)?(?:iB|B)?")
_SIZE_UNITS: Final = {None: 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_duration(value: object) -> int:
    """Read a duration: `14d`, `1h30m`, `90s`, or a number of seconds.

    Returns:
        Seconds, 0 to 2**31 - 1.

    Raises:
        ValueError: It is not a duration, names a unit twice or out of order, or is too long.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isascii() and value.isdecimal():
        seconds = int(value)
    elif isinstance(value, str) and len(value) <= 5 * _MAX_DIGITS and _DURATION.fullmatch(value):
        parts = _DURATION_PART.findall(value)
        units = [unit for _, unit in parts]
        if units != [unit for unit in _UNIT_SECONDS if unit in units]:
            raise ValueError(f"{value!r} must name each unit once, the largest first: w, d, h, m, s")
        seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    else:
        raise ValueError(f"{value!r} is no duration; write for example 14d, 1h30m or a number of seconds")
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{value!r} is out of range; 0s to {format_duration(MAX_SECONDS)} are allowed")
    return seconds


def parse_interval(value: object) -> float:
    """Read a duration that may be shorter than a second: also `200ms`, or a number such as 0.5.

    Raises:
        ValueError: It is not such a duration.
    """
    if isinstance(value, float):
        if not 0 <= value <= MAX_SECONDS:  # also refuses not-a-number
            raise ValueError(f"{value!r} is out of range; 0s to {format_duration(MAX_SECONDS)} are allowed")
        return value
    if isinstance(value, str) and value.endswith("ms"):
        digits = value.removesuffix("ms")
        if digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS:
            return int(digits) / 1000
    return float(parse_duration(value))


def format_duration(seconds: float) -> str:
    """Print a duration in the form that `parse_duration` reads."""
    if seconds != int(seconds):
        return f"{round(seconds * 1000)}ms"
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in _UNIT_SECONDS.items():
        if unit != "w" and rest >= length:  # days are easier to compare than weeks
            parts.append(f"{rest // length}{unit}")
            rest %= length
    return "".join(parts) or "0s"


def parse_size(value: object) -> int:
    """Read a size in octets: a number, or one with k, M or G for powers of 1024 (`64M`, `64 MiB`).

    Raises:
        ValueError: It is not a size.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and len(value) <= _MAX_DIGITS + 4 and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError(f"{value!r} is no size; write a number of octets, or for example 64k, 16M, 1G")


def parse_listen_address(value: object) -> ListenAddress:
    """Read `address@port` with a numeric IPv4 or IPv6 address; port 0 means any free one.

    Raises:
        ValueError: It is not of that form.
    """
    if isinstance(value, ListenAddress):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no address; write address@port, for example 127.0.0.1@5300")
    host, separator, port = value.rpartition("@")
    if not separator:
        raise ValueError(f"{value!r} has no port; write address@port, for example {value}@5300")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"port {port!r} is not between 0 and 65535")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is no numeric IPv4 or IPv6 address") from None
    return ListenAddress(str(address), int(port))
