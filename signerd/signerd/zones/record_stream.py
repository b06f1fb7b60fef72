"""RRsets as a stream of records in wire form: the body of snapshots and of journal records.

Each record is, uncompressed (RFC 1035, section 3.2.1): owner name, type, class (IN), TTL, RDLENGTH, RDATA.
The records of an RRset follow each other, then the RRSIG records that cover it. A group of RRSIG records
without a record of the type they cover stands for signatures alone (journals only).
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from struct import error as struct_error
from typing import ClassVar

from signerd.dns.name import MAX_NAME_OCTETS, Name
from signerd.dns.rdatatype import RRSIG
from signerd.dns.rrset import RRset

CHUNK_OCTETS = 2**18  # about this much is joined before it is hashed and written

_CLASS_IN = 1
_FIXED = Struct("!HHIH")  # type, class, TTL, RDLENGTH
_FIXED_OCTETS = _FIXED.size


class BadPublishedData(Exception):
    """Base of the errors in the published form of zones."""

    code: ClassVar[str] = "zones.bad_published_data"


class BadRecordStream(BadPublishedData):
    """Octets are not a stream of records."""

    code = "zones.bad_record_stream"


def count_octets(rrset: RRset) -> int:
    """Say how long an RRset is in the stream, signatures included."""
    owner, _, _, rdatas, signatures = rrset
    head = len(owner) + _FIXED_OCTETS
    return head * (len(rdatas) + len(signatures)) + sum(map(len, rdatas)) + sum(map(len, signatures))


def encode_rrsets(rrsets: Iterable[RRset]) -> Iterator[bytes]:
    """Give the stream in chunks."""
    pack = _FIXED.pack
    parts: list[bytes] = []
    octets = 0
    for owner, rdatatype, ttl, rdatas, signatures in rrsets:
        for rdata in rdatas:
            size = len(rdata)
            parts += (owner, pack(rdatatype, _CLASS_IN, ttl, size), rdata)
            octets += size
        for rdata in signatures:
            size = len(rdata)
            parts += (owner, pack(RRSIG, _CLASS_IN, ttl, size), rdata)
            octets += size
        if octets >= CHUNK_OCTETS:
            yield b"".join(parts)
            parts.clear()
            octets = 0
    yield b"".join(parts)


def decode_rrsets(data: bytes, start: int, end: int) -> Iterator[RRset]:
    """Read the stream in `data[start:end]`, in its order.

    What a checksum cannot show is not checked again: that names and RDATA are well-formed.

    Raises:
        BadRecordStream: It does not end where it should, or a class is not IN.
    """
    unpack = _FIXED.unpack_from
    owner = b""
    group_type = group_ttl = -1
    rdatas: list[bytes] = []
    signatures: list[bytes] = []
    position = start
    try:
        while position < end:
            # A name ends in the root label, so no name is the beginning of another: a prefix is equality.
            name_end = position + len(owner)
            is_same = name_end > position and data[position:name_end] == owner
            if not is_same:
                name_end = position
                while length := data[name_end]:
                    name_end += 1 + length
                name_end += 1
            rdatatype, rdataclass, ttl, octets = unpack(data, name_end)
            rdata_start = name_end + _FIXED_OCTETS
            rdata = data[rdata_start : rdata_start + octets]
            is_signature = rdatatype == RRSIG
            if is_signature:
                rdatatype = rdata[0] << 8 | rdata[1]  # the type covered (RFC 4034, section 3.1.1)
            if rdataclass != _CLASS_IN or name_end - position > MAX_NAME_OCTETS:
                raise BadRecordStream(f"bad record at octet {position}")
            if (
                not is_same
                or rdatatype != group_type
                or ttl != group_ttl
                or (signatures and not is_signature)  # another group of the same owner and type
            ):
                if group_type >= 0:
                    yield RRset(Name(owner), group_type, group_ttl, tuple(rdatas), tuple(signatures))
                    rdatas = []
                    signatures = []
                if not is_same:
                    owner = data[position:name_end]
                group_type = rdatatype
                group_ttl = ttl
            if is_signature:
                signatures.append(rdata)
            else:
                rdatas.append(rdata)
            position = rdata_start + octets
    except (IndexError, struct_error) as error:
        raise BadRecordStream(f"record at octet {position} is cut off") from error
    if position != end:
        raise BadRecordStream(f"the last record ends at octet {position}, not {end}")
    if group_type >= 0:
        yield RRset(Name(owner), group_type, group_ttl, tuple(rdatas), tuple(signatures))
