"""RRsets: all records of one owner name and type (RFC 9499, section 4; class IN throughout)."""

from typing import NamedTuple

from signerd.dns.name import Name

MAX_TTL = 2**31 - 1  # RFC 2181, section 8


class RRset(NamedTuple):
    """One RRset with the signatures that cover it.

    A named tuple rather than a frozen dataclass: a zone of 100,000 names makes some 200,000 of them, and a
    frozen dataclass costs three times as much to make.
    """

    owner: Name  # lower-cased
    type: int  # never RRSIG: signatures live in the RRset that they cover
    ttl: int  # seconds; also the TTL of the signatures (RFC 4034, section 3)
    rdatas: tuple[bytes, ...]  # uncompressed RDATA, case kept, without duplicates, in the order of the octets
    signatures: tuple[bytes, ...] = ()  # RDATA of the covering RRSIG records
