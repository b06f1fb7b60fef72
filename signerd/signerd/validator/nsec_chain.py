"""Checks a chain of NSEC records against the names of the zone (RFC 4034, section 4)."""

from signerd.dns.name import Name, format_name
from signerd.dns.rdatatype import NSEC, RRSIG
from signerd.validator.authority import Authority
from signerd.validator.bitmap import describe_difference, make_bitmap
from signerd.validator.canonical import MalformedRdata, find_name_end
from signerd.validator.report import FindingCollector


def check_nsec_chain(authority: Authority, ttl: int, findings: FindingCollector) -> None:
    """Compare every NSEC with the one that must be there; whole, closed, in order, none missing, none extra.

    Args:
        authority: The names; the chain runs through `authority.names`.
        ttl: What the TTL of each NSEC must be, in seconds.
        findings: Takes what is wrong.
    """
    names, rrsets = authority.names, authority.zone.names
    bitmaps: dict[frozenset[int], bytes] = {}
    for index, name in enumerate(names):
        types = authority.list_types(name)
        rrset = rrsets[name].get(NSEC)
        if rrset is None:
            findings.add(name, NSEC, "missing NSEC")
            continue
        if not types:
            findings.add(name, NSEC, "extra NSEC: the name has no other data")
        if (bitmap := bitmaps.get(types)) is None:
            bitmap = bitmaps[types] = make_bitmap(types | {RRSIG, NSEC})
        next_name = names[index + 1] if index + 1 < len(names) else names[0]
        if rrset.ttl != ttl:
            findings.add(name, NSEC, f"TTL {rrset.ttl} of the denial record instead of {ttl} (RFC 9077)")
        if len(rrset.rdatas) != 1:
            findings.add(name, NSEC, f"{len(rrset.rdatas)} NSEC records instead of 1")
        elif rrset.rdatas[0] != next_name + bitmap:
            _check_rdata(name, rrset.rdatas[0], next_name, bitmap, findings)
    for name in sorted(authority.occluded):
        if NSEC in rrsets[name]:
            findings.add(name, NSEC, "extra NSEC: the name is below a zone cut or a DNAME")


def _check_rdata(
    name: Name, rdata: bytes, next_name: Name, bitmap: bytes, findings: FindingCollector
) -> None:
    try:
        end = find_name_end(rdata, 0)
    except MalformedRdata as error:
        findings.add(name, NSEC, f"malformed NSEC: {error}")
        return
    if (found := rdata[:end].lower()) != next_name:
        wrong = f"wrong next name: {format_name(found)} instead of {format_name(next_name)}"
        findings.add(name, NSEC, wrong)
    if rdata[end:] != bitmap:
        findings.add(name, NSEC, describe_difference(rdata[end:], bitmap))
