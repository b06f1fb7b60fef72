"""The gate for a version that differs little from one that was accepted: judges what changed and around it.

Whatever it cannot decide so is left to the validation of the whole zone. Nobody tells it what changed: either
it compares the version with the one that it accepted, or the version was derived from just that one, and then
`Zone.derive` itself put other objects at some owners and left the rest. Where both versions have the same
object, it was looked at before, and nobody changes the objects of a version.
"""

from base64 import b32hexdecode, b32hexencode
from binascii import Error as BadEncoding
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import compress, islice
from operator import is_not
from typing import Final

from signerd.dns.name import MAX_NAME_OCTETS, Name, format_name, iterate_ancestors
from signerd.dns.rdatatype import CDNSKEY, CDS, DNAME, DNSKEY, NS, NSEC, NSEC3, NSEC3PARAM
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_touched_owners
from signerd.validator.accepted_zone import AcceptedZone, HashOrder, OwnerOrder
from signerd.validator.authority import Authority
from signerd.validator.nsec3_chain import EXTRA, check_nsec3
from signerd.validator.nsec3_chain import Bitmaps as Nsec3Bitmaps
from signerd.validator.nsec_chain import Bitmaps as NsecBitmaps
from signerd.validator.nsec_chain import check_nsec, check_nsec_absence
from signerd.validator.record_form import check_name, check_nsec3_owner, check_soa
from signerd.validator.report import EnoughFindings, FindingCollector, Report
from signerd.validator.signature import SignatureChecker, verify_jobs
from signerd.validator.unsigned_zone import check_absence
from signerd.validator.zone_validation import (
    check_parent,
    check_unsigned,
    find_denial_ttl,
    make_jobs,
    read_keys,
    read_unpublished,
)

MOST_CHANGED: Final = 10_000
"""Owners; with more the whole zone is validated."""

# What is at the apex and holds for the whole zone.
_OF_WHOLE_ZONE = (DNSKEY, CDS, CDNSKEY, NSEC3PARAM, DNAME)
_NO_TYPES: Mapping[int, RRset] = {}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of it.

    Attributes:
        report: The findings.
        accepted: To go on from, if there are none.
    """

    report: Report
    accepted: AcceptedZone | None


def validate_change(
    zone: Zone,
    accepted: AcceptedZone,
    *,
    ds: Sequence[bytes],
    now: int,
    unpublished: Sequence[bytes] = (),
    must_be_good_until: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Judgement | None:
    """Check a signed version by what differs from the one before; accepts if and only if `validate` would.

    Args:
        zone: The version to be published.
        accepted: The version before it.
        ds: As for `validate`, as are all that follow.
        now: Seconds since 1970.
        unpublished: Likewise.
        must_be_good_until: Seconds since 1970.
        workers: Threads.
        progress: Called now and then.

    Returns:
        None if it takes a validation of the whole zone.
    """
    change = _compare(zone, accepted)
    if change is None or tuple(ds) != accepted.ds or not _has_same_frame(zone, accepted.zone):
        return None
    if tuple(unpublished) != accepted.unpublished:
        return None
    if not accepted.lifetimes.are_valid(now, must_be_good_until):
        return None
    findings = FindingCollector()
    hashes: HashOrder | None = None
    with suppress(EnoughFindings):
        if _check_form(change, findings):
            authority = _classify(change)
            check_unsigned(authority, findings)
            keys = read_keys(zone.names[zone.origin][DNSKEY], findings)
            checker = SignatureChecker(
                zone.origin,
                keys,
                unpublished=read_unpublished(unpublished),
                now=now,
                must_be_good_until=must_be_good_until,
                findings=findings,
            )
            hashes = _check_denial(change, authority, findings)
            nsec3 = [rrset for owner in change.nsec3 if (rrset := zone.nsec3.get(owner)) is not None]
            jobs = make_jobs(authority, nsec3, checker, accepted.zone)
            check_parent(zone, ds, keys, jobs, findings)
            verify_jobs(jobs, zone.origin, findings, workers=workers, progress=progress)
    return _judge(change, findings, hashes)


def validate_unsigned_change(zone: Zone, accepted: AcceptedZone) -> Judgement | None:
    """Check a version without DNSSEC in the same way; accepts if and only if `validate_unsigned` would."""
    change = _compare(zone, accepted)
    if change is None or accepted.ds or DNSKEY in accepted.zone.names[zone.origin]:
        return None
    findings = FindingCollector()
    with suppress(EnoughFindings):
        _check_form(change, findings)
        check_absence(zone, [name for name in change.names if name in zone.names], findings)
    return _judge(change, findings, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """How a version differs from an accepted one.

    Attributes:
        zone: The version.
        accepted: The one before.
        names: Owners with other data, or none now, or none before.
        nsec3: Owners of NSEC3 likewise.
        owners: The new order of names.
    """

    zone: Zone
    accepted: AcceptedZone
    names: set[Name]
    nsec3: set[Name]
    owners: OwnerOrder


def _compare(zone: Zone, accepted: AcceptedZone) -> _Change | None:
    before = accepted.zone
    if zone.origin != before.origin or zone.origin not in zone.names:
        return None
    touched = find_touched_owners(before, zone)
    if touched is None:
        names = _find_other_objects(before.names, zone.names)
        nsec3 = _find_other_objects(before.nsec3, zone.nsec3)
    else:
        names = _keep_other_objects(touched.names, before.names, zone.names)
        nsec3 = _keep_other_objects(touched.nsec3, before.nsec3, zone.nsec3)
    if len(names) + len(nsec3) > MOST_CHANGED:
        return None
    if any(name in zone.names and not zone.names[name] for name in names):
        return None  # a name without data: no version has one
    return _Change(zone, accepted, names, nsec3, accepted.owners.update(zone, names))


def _find_other_objects(before: Mapping[Name, object], after: Mapping[Name, object]) -> set[Name]:
    """Give the owners at which there is another object than before, nothing now, or nothing before."""
    if len(after) >= len(before) and not any(map(is_not, before, after)):
        # The same owners first, side by side: no need to look each of them up.
        differing = map(is_not, after.values(), before.values())
        return {*compress(after, differing), *islice(after, len(before), None)}
    found = set(compress(after, map(is_not, map(before.get, after), after.values())))
    if len(after) - len(found - before.keys()) < len(before):
        found |= before.keys() - after.keys()
    return found


def _keep_other_objects(
    owners: Iterable[Name], before: Mapping[Name, object], after: Mapping[Name, object]
) -> set[Name]:
    return {owner for owner in owners if before.get(owner) is not after.get(owner)}


def _has_same_frame(zone: Zone, before: Zone) -> bool:
    """Say if keys, kind and parameters of the chain are the same, and what TTL its records must have."""
    apex, old_apex = zone.names[zone.origin], before.names[before.origin]
    for number in _OF_WHOLE_ZONE:
        rrset, old = apex.get(number), old_apex.get(number)
        if rrset is not old and (rrset is None or old is None or rrset[:4] != old[:4]):
            return False
    return (
        DNSKEY in apex
        and check_soa(zone, None, FindingCollector())
        and find_denial_ttl(zone) == find_denial_ttl(before)
        and bool(zone.nsec3) == bool(before.nsec3)
        and (NSEC in apex) == (NSEC in old_apex)
    )


def _check_form(change: _Change, findings: FindingCollector) -> bool:
    zone = change.zone
    is_checkable = check_soa(zone, change.accepted.zone, findings)
    for name in change.names:
        if (types := zone.names.get(name)) is not None:
            is_checkable &= check_name(zone.origin, name, types, findings)
    for owner in change.nsec3:
        if (rrset := zone.nsec3.get(owner)) is not None:
            is_checkable &= check_nsec3_owner(owner, rrset, findings)
    return is_checkable


def _classify(change: _Change) -> Authority:
    """Sort the names that changed, those that a cut or DNAME hides or shows now, and the apex."""
    owners, before = change.owners, change.accepted.owners
    affected = {*change.names, change.zone.origin}
    for name in change.names:
        if owners.is_barrier(name) != before.is_barrier(name):
            affected.update(owners.list_descendants(name))
    return _classify_names(owners, affected)


def _classify_names(owners: OwnerOrder, names: Iterable[Name]) -> Authority:
    zone = owners.zone
    authority = Authority(zone, [], set(), set())
    for name in names:
        if (types := zone.names.get(name)) is None:
            continue
        if owners.is_occluded(name):
            authority.occluded.add(name)
            continue
        authority.names.append(name)
        if NS in types and name != zone.origin:
            authority.delegations.add(name)
    return authority


def _check_denial(change: _Change, authority: Authority, findings: FindingCollector) -> HashOrder | None:
    zone = change.zone
    if change.accepted.hashes is None:
        _check_nsec(change, authority, findings)
        return None
    nsec_owner = next((name for name in authority.names if NSEC in zone.names[name]), None)
    if nsec_owner is not None:
        findings.add(nsec_owner, NSEC, "both NSEC and NSEC3 in the zone")
    return _check_nsec3(change, authority, change.accepted.hashes, findings)


def _check_nsec(change: _Change, authority: Authority, findings: FindingCollector) -> None:
    """Check the NSEC of the names, and of each one before a name that came or went."""
    owners, before = change.owners, change.accepted.owners
    names = set(authority.names)
    for name in (*authority.names, *authority.occluded, *change.names):
        was = name in before.zone.names and not before.is_occluded(name)
        is_now = name in owners.zone.names and not owners.is_occluded(name)
        if was != is_now:
            names.add(owners.find_previous(name))
    whole = _classify_names(owners, names)
    ttl, bitmaps = find_denial_ttl(change.zone), NsecBitmaps()
    for name in whole.names:
        check_nsec(whole, name, owners.find_next(name), ttl, bitmaps, findings)
    check_nsec_absence(authority, findings)


def _check_nsec3(
    change: _Change, authority: Authority, before: HashOrder, findings: FindingCollector
) -> HashOrder:
    """Check the NSEC3 of the names, of all that came, went or changed, and of each one before these."""
    zone, owners = change.zone, change.owners
    hashes = before.branch()
    parameters = before.parameters
    touched = {*authority.names, *authority.occluded, *change.names}
    touched.update([ancestor for name in touched for ancestor in iterate_ancestors(name, zone.origin)])
    expected: dict[bytes, Name] = {}  # what is to be looked at
    moved: list[bytes] = []
    added: list[tuple[bytes, Name]] = []
    for name in touched:
        digest = parameters.hash_name(name)
        was = before.find_name(digest) == name
        is_now = owners.is_in_chain(name)
        if is_now:
            expected[digest] = name
        if was != is_now:
            moved.append(digest)
            if was:
                hashes.remove(digest)
            else:
                added.append((digest, name))
    for digest, name in added:
        if (other := hashes.find_name(digest)) is not None:
            findings.add(name, NSEC3, f"has the same hash as {format_name(other)}")
        else:
            hashes.add(digest, name)
    for digest in moved:
        previous, name = hashes.find_previous(digest)
        expected[previous] = name
    for owner in change.nsec3:
        digest_found = _read_digest(owner, zone.origin)
        found = None if digest_found is None else hashes.find_name(digest_found)
        if digest_found is not None and found is not None:
            expected[digest_found] = found
        elif owner in zone.nsec3:
            findings.add(owner, NSEC3, EXTRA)
    whole = _classify_names(owners, expected.values())
    ttl, bitmaps = find_denial_ttl(zone), Nsec3Bitmaps()
    for digest, name in expected.items():
        owner = Name(b"\x20" + b32hexencode(digest).lower() + zone.origin)
        check_nsec3(whole, owner, name, hashes.find_next(digest), parameters, ttl, bitmaps, findings)
    if len(zone.nsec3) != len(hashes):
        reason = f"{len(zone.nsec3)} NSEC3 records instead of {len(hashes)}"
        findings.add(zone.origin, NSEC3, reason)
    return hashes


def _read_digest(owner: Name, origin: Name) -> bytes | None:
    """Read the hash out of a hashed owner name; None if it is none of the zone."""
    if owner[:1] != b"\x20" or owner[33:] != origin or len(owner) > MAX_NAME_OCTETS:
        return None
    try:
        return b32hexdecode(owner[1:33].upper())
    except BadEncoding:
        return None


def _judge(change: _Change, findings: FindingCollector, hashes: HashOrder | None) -> Judgement:
    report = findings.make_report()
    if not report.is_accepted:
        return Judgement(report, None)
    zone, accepted = change.zone, change.accepted
    before = accepted.zone
    gone = [rrset for name in change.names for rrset in before.names.get(name, _NO_TYPES).values()]
    gone += [before.nsec3[owner] for owner in change.nsec3 if owner in before.nsec3]
    come = [rrset for name in change.names for rrset in zone.names.get(name, _NO_TYPES).values()]
    come += [zone.nsec3[owner] for owner in change.nsec3 if owner in zone.nsec3]
    lifetimes = accepted.lifetimes.update(gone, come)
    return Judgement(
        report,
        replace(accepted, zone=zone, owners=change.owners, hashes=hashes, lifetimes=lifetimes),
    )
