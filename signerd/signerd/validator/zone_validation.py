"""The gate before publication: accepts or rejects a signed zone version as a whole."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from signerd.dns.name import Name
from signerd.dns.rdatatype import CDNSKEY, CDS, DNSKEY, NSEC, NSEC3PARAM
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.authority import Authority, classify_names
from signerd.validator.delegation_signer import check_child_ds, check_ds
from signerd.validator.key import UnusableKey, ZoneKey, matches_ds, read_zone_key
from signerd.validator.nsec3_chain import check_nsec3_chain
from signerd.validator.nsec_chain import check_nsec_chain
from signerd.validator.record_form import check_form
from signerd.validator.report import EnoughFindings, FindingCollector, Report
from signerd.validator.signature import Job, SignatureChecker, find_verifying_keys, verify_jobs

KEY_TYPES = (DNSKEY, CDS, CDNSKEY)  # it matters which key signed them, so they are always verified


def validate(
    zone: Zone,
    *,
    ds: Sequence[bytes],
    now: int,
    unpublished: Sequence[bytes] = (),
    previous: Zone | None = None,
    must_be_good_until: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check every signature, the chain of denial records, and the way from the parent.

    Args:
        zone: The version to be published.
        ds: DS RDATA of the trusted KSKs, of digest type 2 or 4; resolvers may know those of one KSK only, so
            each must sign the DNSKEY RRset.
        now: The time to check signatures at, in seconds since 1970.
        unpublished: DNSKEY RDATA of keys that are not in the zone and may have signatures in it: when an
            algorithm comes, its signatures are there before its keys, and when it goes, after them (RFC 6781,
            section 4.1.4).
        previous: An earlier version that was accepted. The serial must be newer, and under the same DNSKEY
            RRset a signature that this version has unchanged, with its RRset, is not verified again: only its
            fields and times are checked.
        must_be_good_until: No signature may expire before; seconds since 1970.
        workers: Threads that verify signatures.
        progress: Called now and then with signatures verified and to verify, in this thread. An exception
            that it raises ends the validation.

    Returns:
        The findings. Faults of the zone are never raised.
    """
    findings = FindingCollector()
    with suppress(EnoughFindings):
        _validate(zone, ds, now, unpublished, previous, must_be_good_until, workers, progress, findings)
    return findings.make_report()


def _validate(
    zone: Zone,
    ds: Sequence[bytes],
    now: int,
    unpublished: Sequence[bytes],
    previous: Zone | None,
    must_be_good_until: int | None,
    workers: int,
    progress: Callable[[int, int], None] | None,
    findings: FindingCollector,
) -> None:
    if not check_form(zone, previous, findings):
        return
    origin, apex = zone.origin, zone.names[zone.origin]
    if (dnskey := apex.get(DNSKEY)) is None:
        findings.add(origin, DNSKEY, "missing DNSKEY: the zone is not signed")
        return
    keys = read_keys(dnskey, findings)
    authority = classify_names(zone)
    check_unsigned(authority, findings)
    checker = SignatureChecker(
        origin,
        keys,
        unpublished=read_unpublished(unpublished),
        now=now,
        must_be_good_until=must_be_good_until,
        findings=findings,
    )
    jobs = make_jobs(authority, zone.nsec3.values(), checker, previous)
    _check_denial(authority, findings)
    check_parent(zone, ds, keys, jobs, findings)
    verify_jobs(jobs, origin, findings, workers=workers, progress=progress)


def read_keys(dnskey: RRset, findings: FindingCollector) -> list[ZoneKey]:
    """Read the keys of a zone."""
    keys: list[ZoneKey] = []
    for rdata in dnskey.rdatas:
        try:
            keys.append(read_zone_key(rdata))
        except UnusableKey as error:
            findings.add(dnskey.owner, DNSKEY, f"unusable key: {error}")
    if all(key.is_revoked for key in keys):
        findings.add(dnskey.owner, DNSKEY, "no key that may sign the zone")
    return keys


def read_unpublished(rdatas: Sequence[bytes]) -> list[ZoneKey]:
    """Read keys that sign and are not in the zone; one that cannot be read verifies nothing."""
    keys: list[ZoneKey] = []
    for rdata in rdatas:
        with suppress(UnusableKey):
            keys.append(read_zone_key(rdata))
    return keys


def check_unsigned(authority: Authority, findings: FindingCollector) -> None:
    """Check that nothing has signatures that must have none."""
    for rrset, what in authority.iterate_unsigned():
        if rrset.signatures:
            findings.add(rrset.owner, rrset.type, f"has an RRSIG but is {what}")


def make_jobs(
    authority: Authority, nsec3: Iterable[RRset], checker: SignatureChecker, previous: Zone | None
) -> list[Job]:
    """Check the fields of signatures; give those to verify, without what was verified in `previous`.

    Args:
        authority: Its signed RRsets are looked at.
        nsec3: So are these.
        checker: Knows the keys of the zone.
        previous: See `validate`.
    """
    origin = authority.zone.origin
    known = previous.names.get(origin, {}).get(DNSKEY) if previous is not None else None
    if known is None or known.rdatas != authority.zone.names[origin][DNSKEY].rdatas:
        previous = None  # a signature is only as good as the key that verified it
    nothing: dict[int, RRset] = {}
    jobs: list[Job] = []
    for rrset in authority.iterate_signed():
        found = checker.check(rrset)
        if previous is not None and rrset.type not in KEY_TYPES:
            old = previous.names.get(rrset.owner, nothing).get(rrset.type)
            if old is rrset or old == rrset:
                continue
        jobs += found
    for rrset in nsec3:
        found = checker.check(rrset)
        if previous is not None:
            old = previous.nsec3.get(rrset.owner)
            if old is rrset or old == rrset:
                continue
        jobs += found
    return jobs


def find_denial_ttl(zone: Zone) -> int:
    """Give what the TTL of the denial records must be (RFC 9077, section 3)."""
    return min(zone.soa.ttl, int.from_bytes(zone.soa.rdatas[0][-4:]))


def _check_denial(authority: Authority, findings: FindingCollector) -> None:
    zone = authority.zone
    apex = zone.names[zone.origin]
    ttl = find_denial_ttl(zone)
    nsec_owner: Name | None = next((name for name in authority.names if NSEC in zone.names[name]), None)
    if zone.nsec3:
        if nsec_owner is not None:
            findings.add(nsec_owner, NSEC, "both NSEC and NSEC3 in the zone")
        check_nsec3_chain(authority, ttl, findings)
    elif nsec_owner is not None:
        if NSEC3PARAM in apex:
            findings.add(zone.origin, NSEC3PARAM, "NSEC3PARAM in a zone with NSEC")
        check_nsec_chain(authority, ttl, findings)
    else:
        findings.add(zone.origin, NSEC, "neither NSEC nor NSEC3 in the zone")


def check_parent(
    zone: Zone, ds: Sequence[bytes], keys: Sequence[ZoneKey], jobs: Sequence[Job], findings: FindingCollector
) -> None:
    """Check the way from the parent; `jobs` must have all those of the key RRsets."""
    origin, apex = zone.origin, zone.names[zone.origin]
    usable = {key.rdata for key in keys if not key.is_revoked}
    at_apex = [job for job in jobs if job.rrset.owner == origin]
    signers = {
        number: usable
        & find_verifying_keys([job for job in at_apex if job.rrset is apex.get(number)], origin)
        for number in KEY_TYPES
    }
    check_ds(origin, ds, signers[DNSKEY], findings)
    check_child_ds(origin, apex.get(CDS), apex.get(CDNSKEY), usable, signers[DNSKEY], findings)
    for number in (CDS, CDNSKEY):
        trusted = any(matches_ds(origin, key, rdata) for key in signers[number] for rdata in ds)
        if number in apex and not trusted:
            findings.add(origin, number, "not signed by a key that matches a DS (RFC 7344, section 4.1)")
