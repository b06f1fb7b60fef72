"""Writing the record sections of a response: compression and truncation.

The records are written for a message whose question stands at octet 12, but not the question itself: names
are compared without regard to case, so the same octets fit behind the question in any spelling.
"""

from struct import Struct
from typing import NamedTuple

from signerd.dns import rdatatype as rt
from signerd.dns.ede import ExtendedError
from signerd.dns.query import CLASS_IN, HEADER_OCTETS
from signerd.dns.rdata import COMPRESSIBLE_TYPES, find_names
from signerd.dns.rrset import RRset

AA = 0x04  # bits of the third octet of the header (RFC 1035, section 4.1.1)
TC = 0x02

_FIXED = Struct(">HHI").pack  # type, class, TTL
_LENGTH = Struct(">H").pack
_POINTER = Struct(">H").pack
MAX_TARGET = 0x3FFF  # a pointer has 14 bits for the offset
_DEPTH_SHIFT = 14
_MAX_DEPTH = 6  # a name may lead through so many pointers to its end; some readers give up after 16
_NAME_ONLY_TYPES = frozenset({rt.NS, rt.CNAME, rt.PTR})
QUESTION_REST = 4  # type and class of the question


class Answer(NamedTuple):
    """A response without header, question and OPT: the part that does not depend on who asks.

    Attributes:
        rcode: Response code, below 16.
        flags: AA and TC.
        counts: Records in the answer and authority sections, each as two octets.
        additional_count: Records in the additional section, OPT not counted.
        records: The three sections.
        error: What to add if the client speaks EDNS.
    """

    rcode: int
    flags: int = 0
    counts: bytes = bytes(4)
    additional_count: int = 0
    records: bytes = b""
    error: ExtendedError | None = None


class SectionWriter:
    """Writes RRsets with compressed names, within a limit."""

    def __init__(self, question_name: bytes, limit: int, *, octets_before: int = 0) -> None:
        """Prepare for the records behind a question.

        Args:
            question_name: Lower-cased; or an end of it, when the same records answer all questions that have
                this end and are as long.
            limit: Octets of the message, header and question included.
            octets_before: What the question's name has before that end.
        """
        self._out = bytearray()
        first = HEADER_OCTETS + octets_before
        self._base = first + len(question_name) + QUESTION_REST
        self._room = limit - self._base
        # Lower-cased name to its offset in the message, and above that how many pointers end it.
        self._targets = targets = dict[bytes, int]()
        position = 0
        while length := question_name[position]:
            targets[question_name[position:]] = first + position
            position += 1 + length

    def put(self, rrset: RRset, *, with_signatures: bool, rdclass: int = CLASS_IN) -> int:
        """Write a whole RRset.

        Returns:
            How many records were written; 0 if they do not fit, and then nothing is written.
        """
        out = self._out
        start = len(out)
        owner, rdatatype, ttl, rdatas, signatures = rrset
        fixed = _FIXED(rdatatype, rdclass, ttl)
        target = self._targets.get(owner)
        if target is None:
            offset = self._base + start
            self._put_name(owner)
        else:
            offset = target & MAX_TARGET
            out += _POINTER(0xC000 | offset)
        # The first owner name is there now; the other records point to it.
        reference = _POINTER(0xC000 | offset) if offset <= MAX_TARGET and owner != b"\x00" else owner
        is_first = True
        if rdatatype not in COMPRESSIBLE_TYPES:
            for rdata in rdatas:
                if is_first:
                    is_first = False
                else:
                    out += reference
                out += fixed
                out += _LENGTH(len(rdata))
                out += rdata
        else:
            for rdata in rdatas:
                if is_first:
                    is_first = False
                else:
                    out += reference
                out += fixed
                self._put_compressed(rdatatype, rdata)
        count = len(rdatas)
        if with_signatures and signatures:
            fixed = _FIXED(rt.RRSIG, rdclass, ttl)
            for signature in signatures:
                if not is_first:
                    out += reference
                is_first = False
                out += fixed
                out += _LENGTH(len(signature))
                out += signature
            count += len(signatures)
        if len(out) > self._room:
            self._take_back(start)
            return 0
        return count

    def _take_back(self, start: int) -> None:
        del self._out[start:]
        end = self._base + start
        self._targets = {name: place for name, place in self._targets.items() if place & MAX_TARGET < end}

    def _put_name(self, name: bytes) -> None:
        out, targets = self._out, self._targets
        key = name.lower()
        new: list[bytes] = []
        position = 0
        end = 0
        depth = 1
        while length := key[0]:
            target = targets.get(key)
            if target is not None:
                end = 0xC000 | (target & MAX_TARGET)
                depth = (target >> _DEPTH_SHIFT) + 1
                break
            new.append(key)
            position += 1 + length
            key = key[1 + length :]
        if depth <= _MAX_DEPTH:
            here = self._base + len(out)
            for suffix in new:
                if here > MAX_TARGET:
                    break
                targets[suffix] = here | depth << _DEPTH_SHIFT
                here += 1 + suffix[0]
        out += name[:position]
        if end:
            out += _POINTER(end)
        else:
            out.append(0)

    def _put_compressed(self, rdatatype: int, rdata: bytes) -> None:
        out = self._out
        start = len(out)
        out += b"\x00\x00"
        if rdatatype in _NAME_ONLY_TYPES:
            self._put_name(rdata)
        else:
            position = 0
            for first, end in find_names(rdatatype, rdata):
                out += rdata[position:first]
                self._put_name(rdata[first:end])
                position = end
            out += rdata[position:]
        out[start : start + 2] = _LENGTH(len(out) - start - 2)

    def finish(self) -> bytes:
        """Give what was written."""
        return bytes(self._out)
