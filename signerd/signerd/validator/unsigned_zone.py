"""The gate before publication of a zone without DNSSEC: nothing half signed may get through."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from signerd.dns.name import Name
from signerd.dns.rdatatype import CDNSKEY, CDS, DNSKEY, NSEC, NSEC3PARAM
from signerd.dns.zone import Zone
from signerd.validator.record_form import check_form
from signerd.validator.report import EnoughFindings, FindingCollector, Report

_OF_SIGNERS: Sequence[int] = (DNSKEY, CDS, CDNSKEY, NSEC, NSEC3PARAM)  # RRSIG and NSEC3: see `check_form`


def validate_unsigned(zone: Zone, *, previous: Zone | None = None) -> Report:
    """Check the form of a zone that is to be served unsigned, and that nothing of DNSSEC is in it.

    A DS at a delegation is data of the zone and stays allowed.

    Args:
        zone: The version to be published.
        previous: An earlier version that was accepted, signed or not. The serial must be newer.

    Returns:
        The findings. Faults of the zone are never raised.
    """
    findings = FindingCollector()
    with suppress(EnoughFindings):
        check_form(zone, previous, findings)
        check_absence(zone, zone.names, findings)
    return findings.make_report()


def check_absence(zone: Zone, names: Iterable[Name], findings: FindingCollector) -> None:
    """Check that nothing of DNSSEC is at some names, and that there is no NSEC3."""
    for name in names:
        for number, rrset in zone.names[name].items():
            if rrset.signatures:
                findings.add(name, number, "has an RRSIG in a zone that is not signed")
            if number in _OF_SIGNERS:
                findings.add(name, number, "a record of DNSSEC in a zone that is not signed")
    for name, rrset in zone.nsec3.items():
        findings.add(name, rrset.type, "a record of DNSSEC in a zone that is not signed")
