"""The OPT pseudo-record of EDNS(0) (RFC 6891)."""

from functools import lru_cache
from typing import NamedTuple

from signerd.dns.ede import ExtendedError

NSID = 3  # RFC 5001
EXTENDED_ERROR = 15  # RFC 8914
MIN_UDP_OCTETS = 512  # RFC 6891, section 6.2.3: smaller values mean 512
DEFAULT_UDP_OCTETS = 1232  # passes every IPv6 path in one piece: 1280 less the IPv6 and UDP headers
FIXED_OCTETS = 11  # an OPT record without options

_DO = 0x8000


class Edns(NamedTuple):
    """What the OPT record of a query says."""

    udp_octets: int  # at least 512
    version: int
    wants_dnssec: bool
    wants_nsid: bool
    has_options: bool


class BadEdns(ValueError):
    """The OPT record of a query is not well-formed."""


def read_edns(udp_octets: int, ttl: int, rdata: bytes) -> Edns:
    """Read an OPT record.

    Args:
        udp_octets: The CLASS field.
        ttl: The TTL field: extended RCODE, version, flags.
        rdata: The options.

    Raises:
        BadEdns: An option is longer than the record.
    """
    wants_nsid = False
    position = 0
    while position < len(rdata):
        if position + 4 > len(rdata):
            raise BadEdns("option header cut off")
        code = int.from_bytes(rdata[position : position + 2])
        position += 4 + int.from_bytes(rdata[position + 2 : position + 4])
        if position > len(rdata):
            raise BadEdns("option cut off")
        if code == NSID:
            wants_nsid = True
    return Edns(max(udp_octets, MIN_UDP_OCTETS), ttl >> 16 & 0xFF, bool(ttl & _DO), wants_nsid, bool(rdata))


def write_option(code: int, data: bytes) -> bytes:
    """Encode one option."""
    return code.to_bytes(2) + len(data).to_bytes(2) + data


def write_extended_error(error: ExtendedError) -> bytes:
    """Encode an extended error as an option, without text."""
    return write_option(EXTENDED_ERROR, error.to_bytes(2))


def write_opt(udp_octets: int, rcode: int, *, wants_dnssec: bool, options: bytes = b"") -> bytes:
    """Encode the OPT record of a response.

    Args:
        udp_octets: The largest datagram this server takes.
        rcode: The whole response code; its upper eight bits go here.
        wants_dnssec: The DO bit, copied from the query (RFC 3225, section 3).
        options: Encoded options.
    """
    start = _write_opt_start(udp_octets, rcode >> 4, wants_dnssec)
    return start + len(options).to_bytes(2) + options if options else start + b"\x00\x00"


@lru_cache(maxsize=64)
def _write_opt_start(udp_octets: int, upper_rcode: int, wants_dnssec: bool) -> bytes:
    ttl = upper_rcode << 24 | (_DO if wants_dnssec else 0)
    return b"\x00\x00\x29" + udp_octets.to_bytes(2) + ttl.to_bytes(4)
