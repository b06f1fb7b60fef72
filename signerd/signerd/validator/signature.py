"""RRSIG records: their fields against the RRset they cover, and verification in batches."""

import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

from signerd.dns.name import Name, count_labels, is_wildcard
from signerd.dns.rdatatype import DNSKEY
from signerd.dns.rrset import RRset
from signerd.validator.canonical import MalformedRdata, make_signed_data
from signerd.validator.key import ZoneKey
from signerd.validator.report import FindingCollector

BATCH = 500  # signatures; short enough that progress moves and a cancelled validation ends soon

_FIXED = struct.Struct("!HBBIIIH")  # RFC 4034, section 3.1, up to the signer's name
_HALF = 2**31
_MASK = 2**32 - 1


class Job(NamedTuple):
    """A signature to verify: with one of the keys, which have the same algorithm and key tag."""

    rrset: RRset
    signature: bytes
    keys: tuple[ZoneKey, ...]


class SignatureChecker:
    """Checks the fields of RRSIG records and turns those without fault into jobs.

    Args:
        origin: The apex, which must be the signer's name.
        keys: The keys of the zone.
        unpublished: Keys that are not in the zone and may sign in it, but not its keys.
        now: Seconds since 1970.
        must_be_good_until: Seconds since 1970; no signature may expire before.
        findings: Takes what is wrong.
    """

    def __init__(
        self,
        origin: Name,
        keys: Sequence[ZoneKey],
        *,
        unpublished: Sequence[ZoneKey] = (),
        now: int,
        must_be_good_until: int | None,
        findings: FindingCollector,
    ) -> None:
        self._origin = origin
        self._signature_at = 18 + len(origin)
        self._now = now & _MASK
        self._until = None if must_be_good_until is None else must_be_good_until & _MASK
        self._findings = findings
        by_tag: defaultdict[tuple[int, int], list[ZoneKey]] = defaultdict(list)
        for key in keys:
            by_tag[key.algorithm, key.tag].append(key)
        self._all_keys = {ident: tuple(found) for ident, found in by_tag.items()}
        for key in unpublished:
            by_tag[key.algorithm, key.tag].append(key)
        # RFC 5011, section 2.1: a revoked key signs nothing but the DNSKEY RRset.
        self._keys = {
            ident: good
            for ident, found in by_tag.items()
            if (good := tuple(key for key in found if not key.is_revoked))
        }
        self._algorithms = sorted({key.algorithm for key in keys if not key.is_revoked})
        self._times: dict[tuple[int, int], str | None] = {}

    def check(self, rrset: RRset) -> list[Job]:
        """Check the fields of an RRset's signatures, and that there is one of each algorithm of the zone."""
        owner, rdatatype, ttl, _, signatures = rrset
        jobs: list[Job] = []
        usable = self._all_keys if rdatatype == DNSKEY else self._keys
        labels = count_labels(owner) - is_wildcard(owner)
        seen: dict[tuple[int, int], int] = {}
        if len(signatures) > 1 and len(set(signatures)) < len(signatures):
            self._findings.add(owner, rdatatype, "duplicate RRSIG: the same record twice")
        for signature in signatures:
            if len(signature) <= self._signature_at:
                self._findings.add(owner, rdatatype, f"RRSIG of {len(signature)} octets is too short")
                continue
            covered, algorithm, signed_labels, signed_ttl, expiration, inception, tag = _FIXED.unpack_from(
                signature
            )
            ident = algorithm, tag
            reason: str | None = None
            if covered != rdatatype:
                reason = f"stray RRSIG: it covers type {covered}"
            elif signature[18 : self._signature_at].lower() != self._origin:
                reason = "wrong signer name: not the apex"
            elif signed_labels != labels:
                reason = f"wrong labels field {signed_labels} instead of {labels}"
            elif signed_ttl != ttl:
                reason = f"wrong original TTL {signed_ttl} instead of {ttl}"
            elif (keys := usable.get(ident)) is None:
                reason = "no DNSKEY of the zone may verify it"
            else:
                seen[ident] = seen.get(ident, 0) + 1
                if seen[ident] > len(keys):
                    reason = "duplicate RRSIG: more than one by the same key"
                else:
                    times = expiration, inception
                    if times not in self._times:
                        self._times[times] = self._check_times(expiration, inception)
                    reason = self._times[times]
                jobs.append(Job(rrset, signature, keys))
            if reason is not None:
                self._findings.add(owner, rdatatype, f"RRSIG by key {tag} algorithm {algorithm}: {reason}")
        for algorithm in self._algorithms:  # RFC 4035, section 2.2
            for ident in seen:
                if ident[0] == algorithm:
                    break
            else:
                self._findings.add(owner, rdatatype, f"missing RRSIG: none of algorithm {algorithm}")
        return jobs

    def _check_times(self, expiration: int, inception: int) -> str | None:
        # RFC 4034, section 3.1.5: serial number arithmetic.
        if (self._now - inception) & _MASK >= _HALF:
            return f"not yet valid: inception {inception} is after {self._now}"
        if (expiration - self._now) & _MASK >= _HALF:
            return f"expired: expiration {expiration} is before {self._now}"
        if self._until is not None and (expiration - self._until) & _MASK >= _HALF:
            return f"expires too soon: expiration {expiration} is before {self._until}"
        return None


def verify_jobs(
    jobs: Sequence[Job],
    origin: Name,
    findings: FindingCollector,
    *,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Verify signatures, with more than one worker in threads: verification releases the GIL.

    `progress` is called in the caller's thread with signatures done and in all; what it raises ends the work.
    """
    total, done = len(jobs), 0
    # By key, so that the numbers that belong to it stay in the processor's cache.
    ordered = sorted(jobs, key=lambda job: job.signature[16:18]) if workers > 1 else jobs
    batches = [ordered[start : start + BATCH] for start in range(0, total, BATCH)]
    if workers > 1 and len(batches) > 1:
        executor = ThreadPoolExecutor(workers, thread_name_prefix="validator")
        outcomes = executor.map(find_bad_signatures, batches, repeat(origin))
    else:
        executor = None
        outcomes = (find_bad_signatures(batch, origin) for batch in batches)
    try:
        for batch, bad in zip(batches, outcomes, strict=True):
            for job, reason in bad:
                tag = int.from_bytes(job.signature[16:18])
                text = f"RRSIG by key {tag} algorithm {job.signature[2]}: {reason}"
                findings.add(job.rrset.owner, job.rrset.type, text)
            done += len(batch)
            if progress is not None:
                progress(done, total)
    finally:
        if executor is not None:
            executor.shutdown(cancel_futures=True)


def find_bad_signatures(jobs: Sequence[Job], origin: Name) -> list[tuple[Job, str]]:
    """Verify signatures one after the other and give those that fail, with the reason."""
    bad: list[tuple[Job, str]] = []
    signature_at = 18 + len(origin)
    for job in jobs:
        rrset, signature, keys = job
        try:
            data = make_signed_data(rrset, signature, origin)
        except MalformedRdata as error:
            bad.append((job, f"the RRset has no canonical form: {error}"))
            continue
        octets = signature[signature_at:]
        if not keys[0].verify(octets, data) and not any(key.verify(octets, data) for key in keys[1:]):
            bad.append((job, "bad signature: does not verify"))
    return bad


def find_verifying_keys(jobs: Sequence[Job], origin: Name) -> set[bytes]:
    """Give the DNSKEY RDATA of every key that made one of the signatures."""
    signature_at = 18 + len(origin)
    return {
        key.rdata
        for rrset, signature, keys in jobs
        for key in keys
        if key.verify(signature[signature_at:], make_signed_data(rrset, signature, origin))
    }
