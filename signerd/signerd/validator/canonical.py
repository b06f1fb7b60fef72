"""Canonical form and order (RFC 4034, section 6), and the octets that a signature covers."""

from typing import NewType

from signerd.dns import rdatatype
from signerd.dns.name import Name, read_labels
from signerd.dns.rrset import RRset

OrderKey = NewType("OrderKey", tuple[bytes, ...])
"""Labels from the root down: tuples of them compare in canonical order (RFC 4034, section 6.1)."""

_CLASS_IN = b"\x00\x01"

# RFC 4034, section 6.2, step 3, as corrected by RFC 6840, section 5.1: NSEC keeps its case, HINFO has none.
# A6 is left out: it is historic (RFC 6563).
_ONLY_NAMES = frozenset(
    {
        rdatatype.NS,
        rdatatype.MD,
        rdatatype.MF,
        rdatatype.CNAME,
        rdatatype.MB,
        rdatatype.MG,
        rdatatype.MR,
        rdatatype.PTR,
        rdatatype.MINFO,
        rdatatype.RP,
        rdatatype.DNAME,
    }
)
# type: (octets before the first name, number of names)
_NAMES_AT = {
    rdatatype.SOA: (0, 2),
    rdatatype.MX: (2, 1),
    rdatatype.AFSDB: (2, 1),
    rdatatype.RT: (2, 1),
    rdatatype.KX: (2, 1),
    rdatatype.PX: (2, 2),
    rdatatype.SRV: (6, 1),
    rdatatype.NXT: (0, 1),
    rdatatype.SIG: (18, 1),
    rdatatype.RRSIG: (18, 1),
}
_WITH_NAMES = _ONLY_NAMES | _NAMES_AT.keys() | {rdatatype.NAPTR}


class MalformedRdata(ValueError):
    """The RDATA ends too early or holds what is no uncompressed name."""


def make_order_key(name: bytes) -> OrderKey:
    """Split a lower-cased name for comparison; a descendant's key begins with its ancestor's."""
    return OrderKey(tuple(reversed(read_labels(name))))


def find_name_end(rdata: bytes, start: int) -> int:
    """Find the octet after an uncompressed name.

    Raises:
        MalformedRdata: There is no whole name.
    """
    position = start
    try:
        while length := rdata[position]:
            if length > 63:
                raise MalformedRdata(f"octet {length} at {position} begins no label")
            position += 1 + length
    except IndexError:
        raise MalformedRdata(f"the name at {start} has no end") from None
    return position + 1


def canonicalise_rdata(type_covered: int, rdata: bytes) -> bytes:
    """Lower the case of the names in RDATA of the types of RFC 4034, section 6.2.

    Raises:
        MalformedRdata: A name that the type must hold is not there.
    """
    if type_covered not in _WITH_NAMES:
        return rdata
    folded = rdata.lower()
    if folded == rdata or type_covered in _ONLY_NAMES:  # length octets are below "A"
        return folded
    if (layout := _NAMES_AT.get(type_covered)) is not None:
        start, count = layout
    else:
        start, count = _find_naptr_name(rdata), 1
    end = start
    for _ in range(count):
        end = find_name_end(rdata, end)
    return rdata[:start] + folded[start:end] + rdata[end:]


def _find_naptr_name(rdata: bytes) -> int:
    position = 4  # order, preference, three character strings, name (RFC 3403, section 4.1)
    try:
        for _ in range(3):
            position += 1 + rdata[position]
    except IndexError:
        raise MalformedRdata("ends before its name") from None
    return position


def canonicalise_rdatas(rrset: RRset) -> list[bytes]:
    """Give the RDATA of an RRset in canonical form and order (RFC 4034, section 6.3), duplicates kept.

    Raises:
        MalformedRdata: See `canonicalise_rdata`.
    """
    _, type_covered, _, rdatas, _ = rrset
    if type_covered in _WITH_NAMES:
        canonical = [canonicalise_rdata(type_covered, rdata) for rdata in rdatas]
    else:
        canonical = list(rdatas)
    if len(canonical) > 1:
        canonical.sort()
    return canonical


def make_signed_data(rrset: RRset, signature: bytes, signer: Name) -> bytes:
    """Build the octets that a signature covers (RFC 4034, section 3.1.8.1).

    Args:
        rrset: With the owner name as in the zone; a wildcard is signed as it stands.
        signature: The whole RRSIG RDATA; its labels field and original TTL must be right already.
        signer: The signer's name, lower-cased.
    """
    owner, type_covered, _, rdatas, _ = rrset
    head = owner + type_covered.to_bytes(2) + _CLASS_IN + signature[4:8]
    if len(rdatas) == 1:
        rdata = rdatas[0]
        if type_covered in _WITH_NAMES:
            rdata = canonicalise_rdata(type_covered, rdata)
        return b"".join((signature[:18], signer, head, len(rdata).to_bytes(2), rdata))
    parts = [signature[:18], signer]
    for rdata in canonicalise_rdatas(rrset):
        parts += (head, len(rdata).to_bytes(2), rdata)
    return b"".join(parts)
