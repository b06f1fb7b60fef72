"""Canonical form and order of records (RFC 4034, section 6)."""

from collections.abc import Iterable
from struct import Struct

from signerd.dns.name import Name, make_sort_key
from signerd.dns.rdata import NAME_LAYOUTS, find_names
from signerd.dns.rrset import RRset

_CLASS_IN = 1
_FIXED_FIELDS = Struct("!HHIH")  # type, class, TTL, RDLENGTH


def canonicalize_rdata(rdatatype: int, rdata: bytes) -> bytes:
    """Give the canonical form of RDATA (RFC 4034, section 6.2, as changed by RFC 6840, section 5.1).

    Names in the RDATA of the listed types are lower-cased; all other octets stay as they are.

    Args:
        rdatatype: Type of the record.
        rdata: Well-formed and uncompressed.
    """
    for start, end in find_names(rdatatype, rdata):
        rdata = rdata[:start] + rdata[start:end].lower() + rdata[end:]
    return rdata


def canonicalize_rdatas(rdatatype: int, rdatas: Iterable[bytes]) -> list[bytes]:
    """Give the RDATA of an RRset in canonical form and order, without duplicates (RFC 4034, section 6.3)."""
    if rdatatype in NAME_LAYOUTS:
        rdatas = (canonicalize_rdata(rdatatype, rdata) for rdata in rdatas)
    return sorted(set(rdatas))


def encode_rrset(rrset: RRset) -> bytes:
    """Give the canonical wire form of all records of an RRset, as it is signed (RFC 4034, section 3.1.8.1).

    Args:
        rrset: With a lower-case owner name, as an `RRset` always has it, and the TTL of the zone file.
    """
    owner, rdatatype, ttl, rdatas, _ = rrset
    if rdatatype in NAME_LAYOUTS:
        rdatas = tuple(canonicalize_rdatas(rdatatype, rdatas))
    # Without names in it the RDATA is in canonical form and order already, as an RRset holds it.
    pack = _FIXED_FIELDS.pack
    if len(rdatas) == 1:
        (rdata,) = rdatas
        return owner + pack(rdatatype, _CLASS_IN, ttl, len(rdata)) + rdata
    return b"".join([owner + pack(rdatatype, _CLASS_IN, ttl, len(rdata)) + rdata for rdata in rdatas])


def sort_names(names: Iterable[Name]) -> list[Name]:
    """Put names in canonical order (RFC 4034, section 6.1)."""
    return sorted(names, key=make_sort_key)
