"""Writing the sections of the most frequent answers: records of one zone whose RDATA is not compressed.

It does for those what `SectionWriter` does for all, in a third of the time. An owner is written as a pointer
to the question, or as its own labels and a pointer to the apex, with which the question's name always ends.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from signerd.dns.denial_chain import Nsec3Chain
from signerd.dns.name import Name
from signerd.dns.query import CLASS_IN, HEADER_OCTETS
from signerd.dns.rdata import COMPRESSIBLE_TYPES
from signerd.dns.rdatatype import RRSIG
from signerd.dns.response import MAX_TARGET, QUESTION_REST, SectionWriter
from signerd.dns.rrset import RRset
from signerd.dns.zone_index import ZoneIndex

_FIXED: Final = Struct(">HHIH").pack  # type, class, TTL, length of the RDATA
_REFERENCES: Final = [(0xC000 | offset).to_bytes(2) for offset in range(MAX_TARGET + 1)]
_QUESTION_REFERENCE = _REFERENCES[HEADER_OCTETS]
_PLENTY = 65535


def write_zone_records(
    index: ZoneIndex,
    name: Name,
    answer: Sequence[RRset],
    authority: Sequence[RRset],
    *,
    with_signatures: bool,
    limit: int,
) -> tuple[bytes, bytes] | None:
    """Write sections behind a question.

    Args:
        index: The zone of all the RRsets.
        name: Of the question, lower-cased; in the zone.
        answer: What to write.
        authority: What to write after that.
        with_signatures: Whether signatures are written.
        limit: Octets of the message.

    Returns:
        The number of records of each section, two octets each, and the records; None if it takes a
        `SectionWriter`: RDATA is to be compressed, not everything fits, or pointers do not reach far enough.
    """
    name_octets, apex_octets = len(name), len(index.apex)
    excess = name_octets - apex_octets
    if name_octets == 1:
        return None  # nothing can point to the root
    # The name of the root zone's apex is shorter than a pointer to it.
    apex_reference = _REFERENCES[HEADER_OCTETS + excess] if apex_octets > 1 else b"\x00"
    offset = HEADER_OCTETS + name_octets + QUESTION_REST
    pieces: list[bytes] = []
    counts = 0
    for rrsets in (answer, authority):
        count = 0
        for rrset in rrsets:
            if offset > MAX_TARGET:
                return None
            owner, rdatatype, ttl, rdatas, signatures = rrset
            if rdatatype in COMPRESSIBLE_TYPES:
                if rrset is not index.negative_soa or pieces:  # its block is made for the first place
                    return None
                records, octets = _write_negative_soa(index, excess, with_signatures=with_signatures)
                pieces.append(octets)
                offset += len(octets)
                count += records
                continue
            if owner == name:
                first = reference = _QUESTION_REFERENCE
            else:
                first = owner[:-apex_octets] + apex_reference
                reference = _REFERENCES[offset] if len(owner) > apex_octets else first
            if len(rdatas) == 1:
                (rdata,) = rdatas
                octets = first + _FIXED(rdatatype, CLASS_IN, ttl, len(rdata)) + rdata
            else:
                record_start = reference + _FIXED(rdatatype, CLASS_IN, ttl, 0)[:-2]
                octets = (
                    first
                    + b"".join([record_start + len(rdata).to_bytes(2) + rdata for rdata in rdatas])[
                        len(reference) :
                    ]
                )
            pieces.append(octets)
            offset += len(octets)
            count += len(rdatas)
            if with_signatures:
                for signature in signatures:
                    octets = reference + _FIXED(RRSIG, CLASS_IN, ttl, len(signature)) + signature
                    pieces.append(octets)
                    offset += len(octets)
                    count += 1
        counts = counts << 16 | count
    return (counts.to_bytes(4), b"".join(pieces)) if offset <= limit else None


class PreparedDenial(NamedTuple):
    """The authority section of a negative answer with NSEC3, but for one RRset of the chain.

    The rest is the same for all names of one length below one closest encloser, and who asks for random names
    asks for such.
    """

    record_count: int
    records: bytes
    rrsets: tuple[RRset, ...] = ()  # of the chain, in `records`


def prepare_name_denial(
    index: ZoneIndex, chain: Nsec3Chain, encloser: Name, name_octets: int
) -> PreparedDenial | None:
    """Write what is common to names that do not exist (RFC 5155, section 7.2.2).

    The RRset that covers the next closer name is left to `complete_denial`.

    Args:
        index: The zone.
        chain: Of the zone.
        encloser: The closest encloser.
        name_octets: Of the question's name.

    Returns:
        None if the encloser has no NSEC3 record, because of opt-out, or pointers do not reach far enough.
    """
    match = chain.find_match(encloser)
    if match is None:
        return None
    no_wildcard = chain.find_cover(Name(b"\x01*" + encloser))
    rrsets = (match,) if no_wildcard is match else (match, no_wildcard)
    prepared = prepare_denial(index, name_octets)
    for rrset in rrsets:
        written = _add(prepared, index, rrset, name_octets)
        if written is None:
            return None
        prepared = PreparedDenial(*written, rrsets)
    return prepared


def prepare_denial(index: ZoneIndex, name_octets: int) -> PreparedDenial:
    """Write the SOA of negative answers for names of one length."""
    return PreparedDenial(*_write_negative_soa(index, name_octets - len(index.apex), with_signatures=True))


def complete_denial(
    prepared: PreparedDenial, index: ZoneIndex, rrset: RRset, name_octets: int, limit: int
) -> tuple[bytes, bytes] | None:
    """Add the RRset that is missing; give the same as `write_zone_records`."""
    if rrset in prepared.rrsets:
        count, records, _ = prepared
    else:
        written = _add(prepared, index, rrset, name_octets)
        if written is None:
            return None
        count, records = written
    octets = HEADER_OCTETS + name_octets + QUESTION_REST + len(records)
    return (count.to_bytes(4), records) if octets <= limit else None


def _add(
    prepared: PreparedDenial, index: ZoneIndex, rrset: RRset, name_octets: int
) -> tuple[int, bytes] | None:
    count, records, _ = prepared
    offset = HEADER_OCTETS + name_octets + QUESTION_REST + len(records)
    if offset > MAX_TARGET:
        return None
    owner, rdatatype, ttl, rdatas, signatures = rrset
    apex_octets = len(index.apex)
    # The name of the root zone's apex is shorter than a pointer to it.
    apex_reference = _REFERENCES[HEADER_OCTETS + name_octets - apex_octets] if apex_octets > 1 else b"\x00"
    reference = owner[:-apex_octets] + apex_reference
    pieces = [records]
    for rdata in rdatas:
        pieces += (reference, _FIXED(rdatatype, CLASS_IN, ttl, len(rdata)), rdata)
        reference = _REFERENCES[offset]
    for signature in signatures:
        pieces += (reference, _FIXED(RRSIG, CLASS_IN, ttl, len(signature)), signature)
    return count + len(rdatas) + len(signatures), b"".join(pieces)


def _write_negative_soa(index: ZoneIndex, excess: int, *, with_signatures: bool) -> tuple[int, bytes]:
    """Write the SOA of a negative answer as the first RRset behind the question."""
    key = excess, with_signatures
    block = index.soa_blocks.get(key)
    if block is None:
        writer = SectionWriter(index.apex, _PLENTY, octets_before=excess)
        count = writer.put(index.negative_soa, with_signatures=with_signatures)
        block = index.soa_blocks[key] = count, writer.finish()
    return block
