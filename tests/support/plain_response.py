"""Responses in a form that can be compared: names without compression, sections as sets, no OPT.

Written for speed, as tens of thousands are read in one test, and without code of the server.
"""

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

import dns.rdata
import dns.rdataclass
import dns.rdatatype

_HEADER = Struct(">HHHHHH")
_RECORD = Struct(">HHIH")
AA, TC = 0x0400, 0x0200
OPT, RRSIG = 41, 46
# Octets before the names, and how many names: the types whose names may be compressed (RFC 3597, section 4)
# and SRV, which some servers compress all the same.
_NAMES_IN_RDATA = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1), 33: (6, 1), 39: (0, 1)}


class Record(NamedTuple):
    """A resource record of class IN."""

    owner: bytes  # wire form, lower-cased
    type: int
    ttl: int
    rdata: bytes

    @property
    def covers(self) -> int:
        """Its type, or for an RRSIG the type that it covers."""
        return int.from_bytes(self.rdata[:2]) if self.type == RRSIG else self.type

    def __str__(self) -> str:
        """Write it as in a master file."""
        rdatatype = dns.rdatatype.RdataType.make(self.type)
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, rdatatype, self.rdata, 0, len(self.rdata))
        text = str(rdata) if self.type != RRSIG else " ".join(str(rdata).split()[:-1])
        owner = ".".join(label.decode("latin-1") for label in split_labels(self.owner))
        return f"{owner}. {self.ttl} {dns.rdatatype.to_text(rdatatype)} {text}"


Records = frozenset[Record]


@dataclass(frozen=True, slots=True)
class PlainResponse:
    """What a server said.

    Attributes:
        rcode: With the upper bits of OPT.
        flags: AA, TC, RD, RA, AD and CD as they stand in the header.
        question: As it came.
        opt: UDP size, version and flags of OPT; None without one.
    """

    rcode: int
    flags: int
    question: bytes
    answer: Records
    authority: Records
    additional: Records
    opt: tuple[int, int, int] | None

    @property
    def is_authoritative(self) -> bool:
        """The AA flag."""
        return bool(self.flags & AA)

    @property
    def is_truncated(self) -> bool:
        """The TC flag."""
        return bool(self.flags & TC)

    def __str__(self) -> str:
        """Write all of it, for a person to read."""
        lines = [f"rcode {self.rcode} flags {self.flags:04x} opt {self.opt}"]
        for name, section in (
            ("answer", self.answer),
            ("authority", self.authority),
            ("additional", self.additional),
        ):
            lines += [f"  {name}: {record}" for record in sorted(section)]
        return "\n".join(lines)


def split_labels(name: bytes) -> list[bytes]:
    """Take a name in wire form apart."""
    labels: list[bytes] = []
    while length := name[0]:
        labels.append(name[1 : 1 + length])
        name = name[1 + length :]
    return labels


def read_response(message: bytes) -> PlainResponse:
    """Read a whole message.

    Raises:
        IndexError, struct.error: It is not well-formed.
        ValueError: There are octets after the last record, or a record twice.
    """
    _, flags, questions, *counts = _HEADER.unpack_from(message)
    position = _HEADER.size
    for _ in range(questions):
        position = read_name(message, position)[1] + 4
    question = message[_HEADER.size : position]
    rcode, opt = flags & 15, None
    sections: list[Records] = []
    for count in counts:
        records: set[Record] = set()
        for _ in range(count):
            owner, position = read_name(message, position)
            rdatatype, rdclass, ttl, length = _RECORD.unpack_from(message, position)
            position += _RECORD.size + length
            if rdatatype == OPT:
                rcode |= ttl >> 24 << 4
                opt = rdclass, ttl >> 16 & 255, ttl & 0xFFFF
                continue
            record = Record(
                owner.lower(), rdatatype, ttl, _read_rdata(message, rdatatype, position - length, position)
            )
            if record in records:
                raise ValueError(f"twice in one section: {record}")
            records.add(record)
        sections.append(frozenset(records))
    if position != len(message):
        raise ValueError(f"{len(message) - position} octets after the last record")
    return PlainResponse(rcode, flags & 0x07F0, question, sections[0], sections[1], sections[2], opt)


def _read_rdata(message: bytes, rdatatype: int, start: int, end: int) -> bytes:
    before, names = _NAMES_IN_RDATA.get(rdatatype, (0, 0))
    rdata, position = message[start : start + before], start + before
    for _ in range(names):
        name, position = read_name(message, position)
        rdata += name
    return rdata + message[position:end]


def read_name(message: bytes, position: int) -> tuple[bytes, int]:
    """Give a name and the position after it."""
    start = position
    while (length := message[position]) and length < 0xC0:
        position += 1 + length
    name = message[start:position]
    if not length:
        return name + b"\0", position + 1
    target = (length & 0x3F) << 8 | message[position + 1]
    if target >= start:
        raise ValueError("a pointer that does not point back")
    return name + read_name(message, target)[0], position + 2
