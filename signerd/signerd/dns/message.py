"""Whole responses: header, question, sections and OPT put together."""

from struct import Struct
from typing import Final

from signerd.dns.edns import write_opt
from signerd.dns.query import Query
from signerd.dns.response import Answer

_START: Final = Struct(">BBH4sH").pack  # a header behind the ID; two counts are packed already
_QR = 0x80
_OPCODE_AND_RD = 0x79  # of the third octet: copied from the query (RFC 1035, section 4.1.1)
_BAD_KEY = b"\x00\x11"
_CD = 0x10  # of the fourth: copied (RFC 4035, section 3.1.6)


def assemble_response(
    query: Query, answer: Answer, *, udp_octets: int, options: bytes = b"", tsig: bytes = b""
) -> bytes:
    """Put a response together, without the two octets of its ID.

    Args:
        query: What is answered; its question is echoed octet by octet.
        answer: Made for this question.
        udp_octets: The largest datagram this server takes; said in OPT.
        options: EDNS options for the response; only used if the query had OPT.
        tsig: A TSIG record, put last.
    """
    high, low = query.flags
    edns = query.edns
    rcode = answer.rcode
    additional = answer.additional_count
    opt = b""
    if edns is not None:
        opt = write_opt(udp_octets, rcode, wants_dnssec=edns.wants_dnssec, options=options)
        additional += 1
    question = query.question
    if tsig:
        additional += 1
    start = _START(
        _QR | (high & _OPCODE_AND_RD) | answer.flags,
        (low & _CD) | (rcode & 15),
        1 if question else 0,
        answer.counts,
        additional,
    )
    return start + question + answer.records + opt + tsig


def make_bare_response(packet: bytes, rcode: int) -> bytes:
    """Make a response of nothing but a header, with the ID, for when no more can be said.

    Args:
        packet: The query, at least a header.
        rcode: Below 16.
    """
    return packet[:2] + bytes((_QR | (packet[2] & _OPCODE_AND_RD), (packet[3] & _CD) | rcode)) + bytes(8)


def write_bad_key(tsig: bytes) -> bytes | None:
    """Make the TSIG record that says that a key is not known here (RFC 8945, section 5.2.1).

    Args:
        tsig: The record of the query, with an uncompressed owner.

    Returns:
        The record, unsigned as it must be; None if the query's is not well-formed.
    """
    position = 0
    try:
        while octet := tsig[position]:
            position += 1 + octet
        rdata = position + 11
        end = rdata
        while octet := tsig[end]:
            if octet > 63:
                return None
            end += 1 + octet
        end += 1
        mac_octets = int.from_bytes(tsig[end + 8 : end + 10])
        original_id = tsig[end + 10 + mac_octets : end + 12 + mac_octets]
        if len(tsig) < end + 16 + mac_octets:
            return None
    except IndexError:
        return None
    data = tsig[rdata : end + 8] + b"\x00\x00" + original_id + _BAD_KEY + b"\x00\x00"
    return tsig[: rdata - 2] + len(data).to_bytes(2) + data
