"""Checks a chain of NSEC records against the names of the zone (RFC 4034, section 4)."""

from signerd.dns.name import Name, format_name
from signerd.dns.rdatatype import NSEC, RRSIG
from signerd.validator.authority import Authority
from signerd.validator.bitmap import describe_difference, make_bitmap
from signerd.validator.canonical import MalformedRdata, find_name_end
from signerd.validator.report import FindingCollector

Bitmaps = dict[frozenset[int], bytes]


def check_nsec_chain(authority: Authority, ttl: int, findings: FindingCollector) -> None:
    """Compare every NSEC with the one that must be there; whole, closed, in order, none missing, none extra.

    Args:
        authority: The names; the chain runs through `authority.names`.
        ttl: What the TTL of each NSEC must be, in seconds.
        findings: Takes what is wrong.
    """
    names = authority.names
    bitmaps: Bitmaps = {}
    for index, name in enumerate(names):
        next_name = names[index + 1] if index + 1 < len(names) else names[0]
        check_nsec(authority, name, next_name, ttl, bitmaps, findings)
    check_nsec_absence(authority, findings)


def check_nsec_absence(authority: Authority, findings: FindingCollector) -> None:
    """Check that no occluded name has an NSEC."""
    rrsets = authority.zone.names
    for name in sorted(authority.occluded):
        if NSEC in rrsets[name]:
            findings.add(name, NSEC, "extra NSEC: the name is below a zone cut or a DNAME")


def check_nsec(
    authority: Authority,
    name: Name,
    next_name: Name,
    ttl: int,
    bitmaps: Bitmaps,
    findings: FindingCollector,
) -> None:
    """Compare the NSEC of a name with the one that must be there.

    Args:
        authority: The name is one of `authority.names`.
        name: The owner.
        next_name: The one after it in the chain.
        ttl: See `check_nsec_chain`.
        bitmaps: Those made so far, by types.
        findings: Takes what is wrong.
    """
    types = authority.list_types(name)
    rrset = authority.zone.names[name].get(NSEC)
    if rrset is None:
        findings.add(name, NSEC, "missing NSEC")
        return
    if not types:
        findings.add(name, NSEC, "extra NSEC: the name has no other data")
    if (bitmap := bitmaps.get(types)) is None:
        bitmap = bitmaps[types] = make_bitmap(types | {RRSIG, NSEC})
    if rrset.ttl != ttl:
        findings.add(name, NSEC, f"TTL {rrset.ttl} of the denial record instead of {ttl} (RFC 9077)")
    if len(rrset.rdatas) != 1:
        findings.add(name, NSEC, f"{len(rrset.rdatas)} NSEC records instead of 1")
    elif rrset.rdatas[0] != next_name + bitmap:
        _check_rdata(name, rrset.rdatas[0], next_name, bitmap, findings)


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
