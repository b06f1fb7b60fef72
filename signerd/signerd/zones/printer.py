"""Zones printed as master files."""

from collections.abc import Iterator

from signerd.dns import rdatatype as rt
from signerd.dns.name import format_name, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.rdata_printer import format_rdata


def write_master_file(zone: Zone) -> Iterator[str]:
    """Print a zone, signed or not, one record a line: absolute names, SOA first, names in canonical order.

    Each RRset is followed by its signatures; NSEC3 records come last. No case is changed in RDATA, and every
    octet comes back when the text is read.

    Yields:
        The lines of one RRset, each with its line end.
    """
    yield from _format_rrset(zone.soa)
    for owner in sorted(zone.names, key=make_sort_key):
        for rdatatype, rrset in sorted(zone.names[owner].items()):
            if rdatatype != rt.SOA:
                yield from _format_rrset(rrset)
    for _, rrset in sorted(zone.nsec3.items()):
        yield from _format_rrset(rrset)


def _format_rrset(rrset: RRset) -> Iterator[str]:
    owner = f"{format_name(rrset.owner)} {rrset.ttl} IN "
    start = f"{owner}{_format_known_type(rrset.type)} "
    lines = [f"{start}{format_rdata(rrset.type, rdata)}\n" for rdata in rrset.rdatas]
    lines += [f"{owner}RRSIG {format_rdata(rt.RRSIG, rdata)}\n" for rdata in rrset.signatures]
    yield "".join(lines)


def _format_known_type(rdatatype: int) -> str:
    """Print types of long standing by name and others by number, which every reader knows (RFC 3597)."""
    return f"TYPE{rdatatype}" if rdatatype in (rt.NULL, rt.NXT) else rt.format_type(rdatatype)
