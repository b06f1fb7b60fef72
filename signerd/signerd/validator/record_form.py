"""What must hold of a zone's records before signatures and chains are looked at."""

from collections.abc import Mapping

from signerd.dns import rdatatype
from signerd.dns.name import Name, is_subdomain
from signerd.dns.rdatatype import CNAME, DNAME, DS, NS, NSEC, NSEC3, RRSIG, SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import is_newer
from signerd.dns.zone import Zone
from signerd.validator.canonical import MalformedRdata, canonicalise_rdatas
from signerd.validator.report import FindingCollector

_BESIDE_CNAME = frozenset({CNAME, NSEC})  # RFC 2181, section 10.1, and RFC 4034, section 4
_SINGLE = frozenset({SOA, CNAME, DNAME})
_SOA_MINIMUM_OCTETS = 22  # two root names and five numbers


def check_form(zone: Zone, previous: Zone | None, findings: FindingCollector) -> bool:
    """Check the SOA, the serial, exclusive types and duplicates.

    Returns:
        Whether there is a SOA and every owner is in the zone, without which the other checks cannot be made.
    """
    is_checkable = check_soa(zone, previous, findings)
    for name, types in zone.names.items():
        is_checkable &= check_name(zone.origin, name, types, findings)
    for name, rrset in zone.nsec3.items():
        is_checkable &= check_nsec3_owner(name, rrset, findings)
    return is_checkable


def check_name(origin: Name, name: Name, types: Mapping[int, RRset], findings: FindingCollector) -> bool:
    """Check what stands at one name; see `check_form`."""
    is_checkable = True
    if not is_subdomain(name, origin) or name != name.lower():
        findings.add(name, next(iter(types), 0), "not a lower-cased name of the zone")
        is_checkable = False
    if len(types) > 1:
        if CNAME in types and not types.keys() <= _BESIDE_CNAME:
            findings.add(name, CNAME, "other data beside a CNAME")
        if DNAME in types and NS in types and name != origin:
            findings.add(name, DNAME, "DNAME at a delegation (RFC 6672, section 2.3)")
    for number, rrset in types.items():
        if rrset.owner != name or rrset.type != number:
            findings.add(name, number, "filed under a name or type that is not its own")
            is_checkable = False
        elif number == SOA and name != origin:
            findings.add(name, SOA, "SOA elsewhere than at the apex")
        elif number == DS and name == origin:
            findings.add(name, DS, "DS at the apex of its own zone (RFC 4035, section 2.4)")
        elif number in (RRSIG, NSEC3) or rdatatype.is_meta(number):
            findings.add(name, number, "a type that must not be among the data of the zone")
        _check_rdatas(rrset, findings)
    return is_checkable


def check_nsec3_owner(name: Name, rrset: RRset, findings: FindingCollector) -> bool:
    """Check that an NSEC3 RRset is filed under its own name."""
    if rrset.owner == name and rrset.type == NSEC3 and name == name.lower():
        return True
    findings.add(name, rrset.type, "filed as NSEC3 under a name that is not its own")
    return False


def check_soa(zone: Zone, previous: Zone | None, findings: FindingCollector) -> bool:
    """Check the SOA and that the serial is newer than the previous; False if there is no SOA to go by."""
    apex = zone.names.get(zone.origin, {})
    if (soa := apex.get(SOA)) is None or not soa.rdatas:
        findings.add(zone.origin, SOA, "missing SOA at the apex")
        return False
    if NS not in apex:
        findings.add(zone.origin, NS, "missing NS at the apex")
    if min(map(len, soa.rdatas)) < _SOA_MINIMUM_OCTETS:
        findings.add(zone.origin, SOA, "malformed SOA")
        return False
    if previous is not None and not is_newer(zone.serial, previous.serial):
        reason = f"serial {zone.serial} is not newer than {previous.serial} of the previous version"
        findings.add(zone.origin, SOA, reason)
    return True


def _check_rdatas(rrset: RRset, findings: FindingCollector) -> None:
    owner, number, _, rdatas, _ = rrset
    if len(rdatas) == 1:
        return
    if not rdatas:
        findings.add(owner, number, "an RRset without records")
        return
    if number in _SINGLE:
        findings.add(owner, number, f"{len(rdatas)} records where there may be 1")
    try:
        canonical = canonicalise_rdatas(rrset)
    except MalformedRdata as error:
        findings.add(owner, number, f"malformed RDATA: {error}")
        return
    if len(set(canonical)) < len(canonical):
        findings.add(owner, number, "duplicate records in the RRset (RFC 2181, section 5)")
