"""A zone as its operator wrote it, got back from its signed form."""

from collections.abc import Mapping

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_changed_names

SIGNER_TYPES = frozenset({rt.NSEC, rt.NSEC3PARAM, rt.DNSKEY, rt.CDS, rt.CDNSKEY})
"""Types that the signer adds and that are dropped from a zone file; NSEC3 is kept apart in a Zone."""

_SOA_SERIAL_FROM_END = 20  # an SOA's RDATA ends in five 32-bit numbers, the serial first (RFC 1035, 3.3.13)


def strip_signatures(zone: Zone) -> Zone:
    """Take off everything that the signer added; the serial stays the signed one.

    Used to sign again when the zone file cannot be read: the published zone holds all of its data.
    """
    names: dict[Name, Mapping[int, RRset]] = {}
    for owner, types in zone.names.items():
        kept = {
            rrset.type: RRset(*rrset[:4]) if rrset.signatures else rrset
            for rrset in types.values()
            if rrset.type not in SIGNER_TYPES
        }
        if kept:
            names[owner] = kept
    return Zone(zone.origin, names)


def blank_serial(soa: RRset) -> bytes:
    """Give the SOA's RDATA with the serial zeroed, for comparing."""
    rdata = soa.rdatas[0]
    return rdata[:-_SOA_SERIAL_FROM_END] + bytes(4) + rdata[-_SOA_SERIAL_FROM_END + 4 :]


def has_same_data(one: Zone, other: Zone) -> bool:
    """Say if two unsigned zones differ in nothing but the serial; quick where they share their parts."""
    if one.origin != other.origin or len(one.names) != len(other.names):
        return False
    changed = find_changed_names(one, other)
    if not changed:
        return True
    types, others = one.names[one.origin], other.names[other.origin]
    if changed != [one.origin] or types.keys() != others.keys():
        return False
    for rrset in types.values():
        counterpart = others[rrset.type]
        if rrset == counterpart:
            continue
        if (
            rrset.type != rt.SOA
            or rrset.ttl != counterpart.ttl
            or blank_serial(rrset) != blank_serial(counterpart)
        ):
            return False
    return True
