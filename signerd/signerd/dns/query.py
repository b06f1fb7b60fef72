"""Queries as they come from the network: parsed once, strictly, without raising."""

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from signerd.dns import rcode as rc
from signerd.dns import rdatatype as rt
from signerd.dns.edns import BadEdns, Edns, read_edns
from signerd.dns.name import MAX_NAME_OCTETS, ROOT, Name

HEADER_OCTETS = 12
OPCODE_QUERY = 0
OPCODE_NOTIFY = 4
OPCODE_UPDATE = 5
CLASS_IN = 1
CLASS_CH = 3

_COUNTS: Final = Struct(">HHHH")
_RECORD = Struct(">HHIH")  # type, class, TTL, length of the RDATA
_QUESTION_ALONE = b"\x00\x01\x00\x00\x00\x00\x00\x00"
_ONE_ADDITIONAL = b"\x00\x01\x00\x00\x00\x00\x00\x01"
_PLAIN_OPT_OCTETS = 11
_QR = 0x80
_POINTER = 0xC0


class Query(NamedTuple):
    """A query, or as much of one as is needed to refuse it.

    `rcode` is NOERROR when the query is well-formed; otherwise it is what to answer. `question` is then empty
    if it could not be read, and `name`, `type` and `rdclass` mean nothing.
    """

    flags: tuple[int, int]  # third and fourth octet of the header
    rcode: int
    question: bytes = b""  # octets of the question section as they came
    name: Name = ROOT  # lower-cased
    type: int = 0
    rdclass: int = 0
    edns: Edns | None = None
    tsig: bytes | None = None  # the TSIG record (RFC 8945) with an uncompressed owner, if there is one

    @property
    def opcode(self) -> int:
        """The kind of request (RFC 1035, section 4.1.1)."""
        return self.flags[0] >> 3 & 15


class _Malformed(Exception):
    pass


def parse_query(packet: bytes) -> Query | None:
    """Parse a request.

    Args:
        packet: A whole DNS message, without the length prefix of TCP.

    Returns:
        None for what must not be answered: less than a header, or a response (answering those could make two
        servers talk to each other for ever).
    """
    length = len(packet)
    if length < HEADER_OCTETS:
        return None
    high = packet[2]
    if high & _QR:
        return None
    flags = high, packet[3]
    opcode = high >> 3 & 15
    if opcode and opcode not in (OPCODE_NOTIFY, OPCODE_UPDATE):
        return Query(flags, rc.NOTIMP)
    counts = packet[4:HEADER_OCTETS]
    if counts[:2] != b"\x00\x01":  # RFC 9619, section 4
        return Query(flags, rc.FORMERR)
    position = HEADER_OCTETS
    try:
        while octet := packet[position]:
            if octet > 63:  # a pointer has nothing to point at yet; other label types are obsolete
                return Query(flags, rc.FORMERR)
            position += 1 + octet
    except IndexError:
        return Query(flags, rc.FORMERR)
    end = position + 5
    if end > length or position - HEADER_OCTETS >= MAX_NAME_OCTETS:
        return Query(flags, rc.FORMERR)
    question = packet[HEADER_OCTETS:end]
    name = Name(question[:-4].lower())
    rdatatype = packet[end - 4] << 8 | packet[end - 3]
    rdclass = packet[end - 2] << 8 | packet[end - 1]
    if end == length and counts == _QUESTION_ALONE:
        return Query(flags, rc.NOERROR, question, name, rdatatype, rdclass)
    edns: Edns | None = None
    tsig: bytes | None = None
    problem = rc.NOERROR
    try:
        if counts == _ONE_ADDITIONAL and length - end == _PLAIN_OPT_OCTETS:
            edns, tsig = _read_plain_additional(packet[end:])
        else:
            edns, tsig = _read_records(packet, end, _COUNTS.unpack(counts))
    except _Malformed:
        problem = rc.FORMERR
    # A query has no answer section, and an authority section for IXFR only (RFC 1995, section 3).
    if opcode == OPCODE_QUERY and counts[2:6] != b"\x00\x00\x00\x00":
        _, answers, authorities, _ = _COUNTS.unpack(counts)
        if answers or (authorities and rdatatype != rt.IXFR):
            problem = rc.FORMERR
    return Query(flags, problem, question, name, rdatatype, rdclass, edns, tsig)


@lru_cache(maxsize=256)  # few differ: the ones of some resolver programs
def _read_plain_additional(record: bytes) -> tuple[Edns | None, bytes | None]:
    """Read one additional record that is as short as an OPT record without options."""
    return _read_records(bytes(HEADER_OCTETS) + record, HEADER_OCTETS, (1, 0, 0, 1))


def _read_records(
    packet: bytes, position: int, counts: tuple[int, int, int, int]
) -> tuple[Edns | None, bytes | None]:
    """Read the records after the question and find OPT and TSIG among the additional ones.

    Raises:
        _Malformed: A record is cut off, there are octets after the last, an OPT or TSIG is out of place.
    """
    edns: Edns | None = None
    tsig: bytes | None = None
    _, answers, authorities, additionals = counts
    first_additional = answers + authorities
    total = first_additional + additionals
    # The shortest record has 11 octets, so a count that cannot be true ends this early.
    for number in range(total):
        owner = position
        position = _skip_name(packet, position)
        if position + 10 > len(packet):
            raise _Malformed
        rdatatype, rdclass, ttl, length = _RECORD.unpack_from(packet, position)
        name_end = position
        position += 10 + length
        if position > len(packet):
            raise _Malformed
        if rdatatype == rt.OPT:
            # RFC 6891, section 6.1.1: one at most, among the additional records, owned by the root
            if edns is not None or number < first_additional or packet[owner] or name_end != owner + 1:
                raise _Malformed
            try:
                edns = read_edns(rdclass, ttl, packet[position - length : position])
            except BadEdns as error:
                raise _Malformed from error
        elif rdatatype == rt.TSIG:
            if number != total - 1 or number < first_additional:  # RFC 8945, section 5.2: the last record
                raise _Malformed
            tsig = _expand_name(packet, owner) + packet[name_end:position]
    if position != len(packet):
        raise _Malformed
    return edns, tsig


def _skip_name(packet: bytes, position: int) -> int:
    """Give the position after a name that may be compressed."""
    start = position
    while position < len(packet):
        octet = packet[position]
        if octet >= _POINTER:
            if position + 2 > len(packet):
                break
            target = (octet & 0x3F) << 8 | packet[position + 1]
            if not HEADER_OCTETS <= target < start:  # RFC 1035, section 4.1.4: a prior occurrence
                break
            return position + 2
        if octet > 63:
            break
        position += 1 + octet
        if octet == 0:
            if position - start > MAX_NAME_OCTETS:
                break
            return position
    raise _Malformed


def _expand_name(packet: bytes, position: int) -> bytes:
    """Read a name that may be compressed; each pointer must point before the last one."""
    name = bytearray()
    limit = len(packet)
    while position < limit:
        octet = packet[position]
        if octet >= _POINTER:
            if position + 2 > len(packet):
                break
            limit = position
            position = (octet & 0x3F) << 8 | packet[position + 1]
            if position < HEADER_OCTETS:
                break
        elif octet > 63:
            break
        else:
            name += packet[position : position + 1 + octet]
            position += 1 + octet
            if octet == 0:
                if len(name) > MAX_NAME_OCTETS:
                    break
                return bytes(name)
    raise _Malformed
