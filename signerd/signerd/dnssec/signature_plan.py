"""Which signatures of a zone stay, and which are to be made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.cut import AUTHORITATIVE_AT_CUT
from signerd.dnssec.expiration import ExpirationSchedule
from signerd.dnssec.key import DnsKey
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.rrsig import RRsetSigner
from signerd.dnssec.signed_zone import AssembledZone

KEY_SET_TYPES: Final = frozenset({rt.DNSKEY, rt.CDS, rt.CDNSKEY})
"""Types that the KSKs sign, at the apex (RFC 4035, section 2.2; RFC 7344, section 4.1)."""

_NO_TYPES: Mapping[int, RRset] = {}
_MASK: Final = 0xFFFFFFFF
_HALF: Final = 2**31


class SignatureJob(NamedTuple):
    """An RRset that needs signatures."""

    rrset: RRset  # without signatures
    expiration: int  # epoch seconds
    keys: tuple[DnsKey, ...]  # each makes one signature
    kept: tuple[bytes, ...]  # signatures of other keys that stay


@dataclass(frozen=True, slots=True, eq=False)
class SigningPlan:
    """A zone version being signed.

    Attributes:
        origin: The apex.
        inception: Of the signatures to be made, epoch seconds.
        key_set_jobs: What the KSKs sign.
        jobs: What the ZSKs sign.
        kept: How many RRsets keep all of their signatures.
        is_current: Nothing is to be signed, and the previous version has the same records: it can stay.
    """

    origin: Name
    inception: int
    key_set_jobs: Sequence[SignatureJob]
    jobs: Sequence[SignatureJob]
    kept: int
    is_current: bool
    _names: dict[Name, Mapping[int, RRset]]
    _nsec3: dict[Name, RRset]

    def complete(self, signed: Iterable[RRset]) -> Zone:
        """Give the signed zone; the plan is used up by it.

        Args:
            signed: The RRset of each job, with its signatures.
        """
        names, nsec3 = self._names, self._nsec3
        count = 0
        for rrset in signed:
            count += 1
            if rrset[1] == rt.NSEC3:
                nsec3[rrset[0]] = rrset
            else:
                # A name with a job has a dictionary of its own, made by plan_signatures.
                names[rrset[0]][rrset[1]] = rrset  # type: ignore[index]
        expected = len(self.jobs) + len(self.key_set_jobs)
        if count != expected:
            raise ValueError(f"{count} RRsets were signed, {expected} were planned")
        return Zone(self.origin, names, nsec3)


def sign_jobs(jobs: Iterable[SignatureJob], signers: Mapping[DnsKey, RRsetSigner]) -> list[RRset]:
    """Make the signatures of some jobs.

    Args:
        jobs: Of one plan.
        signers: For every key that the jobs name.

    Raises:
        KeyError: A key is missing.
    """
    result: list[RRset] = []
    for _, group in groupby(jobs, key=attrgetter("keys")):
        run = list(group)
        rrsets, expirations = [job.rrset for job in run], [job.expiration for job in run]
        made = [signers[key].sign_all(rrsets, expirations) for key in run[0].keys]
        for job, *signatures in zip(run, *made, strict=True):
            rrset = job.rrset
            if job.kept or len(signatures) > 1:
                signatures = sorted((*job.kept, *signatures))
            result.append(RRset(rrset[0], rrset[1], rrset[2], rrset[3], tuple(signatures)))
    return result


class _Role:
    """Decides for the RRsets of one group of keys which signatures stay and which keys must sign."""

    def __init__(self, keys: Sequence[DnsKey], former: Sequence[DnsKey], known: frozenset[bytes]) -> None:
        """Prepare.

        Args:
            keys: Keys that make signatures.
            former: Other keys whose signatures may stay.
            known: DNSKEY RDATA of the previous version. A signature found there was made by one of those,
                so that a new key with the tag of an old one never adopts its signatures.
        """
        self.keys = tuple(keys)
        self._substitutes = [
            (
                key,
                frozenset(
                    _identify(other)
                    for other in (key, *former)
                    if other.algorithm == key.algorithm and other.rdata in known
                ),
            )
            for key in keys
        ]
        self._accepted = frozenset[bytes]().union(*(accepted for _, accepted in self._substitutes))
        self._is_single = len(self.keys) == 1

    def judge(
        self, signatures: tuple[bytes, ...], now: int, margin: int
    ) -> tuple[tuple[bytes, ...], tuple[DnsKey, ...]]:
        """Give the signatures that stay and the keys that must sign."""
        good: dict[bytes, bytes] = {}
        for signature in signatures:
            identity = signature[2:3] + signature[16:18]
            if (
                identity in self._accepted
                and margin < (int.from_bytes(signature[8:12]) - now) & _MASK < _HALF
                and (now - int.from_bytes(signature[12:16])) & _MASK < _HALF
            ):
                good[identity] = signature
        if self._is_single and len(good) == 1:
            return (signatures if len(signatures) == 1 else tuple(good.values())), ()
        kept: list[bytes] = []
        missing: list[DnsKey] = []
        for key, substitutes in self._substitutes:
            own = _identify(key)
            found = own if own in good else next((other for other in substitutes if other in good), None)
            if found is None:
                missing.append(key)
            else:
                kept.append(good.pop(found))
        return tuple(sorted(kept)), (self.keys if len(missing) == len(self.keys) else tuple(missing))


def _identify(key: DnsKey) -> bytes:
    """Give algorithm and key tag: what an RRSIG says of its key, apart from the zone."""
    return bytes((key.algorithm,)) + key.key_tag.to_bytes(2)


def plan_signatures(
    assembled: AssembledZone, previous: Zone | None, keys: KeySet, policy: SigningPolicy, now: int
) -> SigningPlan:
    """Decide which signatures of the previous version stay, and plan the others.

    A signature stays if its RRset has the same records and TTL, its key is still in use, it is not due
    (more than the refresh margin is left) and its inception has passed. Glue, NS at cuts and occluded data
    are never signed (RFC 4035, section 2.2).

    Args:
        assembled: The new version.
        previous: The version with the signatures made so far; None signs everything.
        keys: Who signs.
        policy: Times.
        now: Epoch seconds.
    """
    zone, cuts = assembled.zone, assembled.cuts
    origin, delegations, hidden = zone.origin, cuts.delegations, cuts.hidden
    former_names: Mapping[Name, Mapping[int, RRset]] = {} if previous is None else previous.names
    former_nsec3: Mapping[Name, RRset] = {} if previous is None else previous.nsec3
    former_keys = former_names.get(origin, _NO_TYPES).get(rt.DNSKEY)
    known = frozenset(former_keys.rdatas) if former_keys else frozenset[bytes]()
    ksk_role = _Role(keys.ksks, (), known)
    # A key that signs unpublished is in no DNSKEY RRset; no earlier key of the zone had its tag.
    zsk_role = _Role(keys.zsks, keys.former_zsks, known.union(key.rdata for key in keys.unpublished))
    expire = ExpirationSchedule(origin, policy, now).expire
    margin = policy.refresh_margin_seconds
    key_set_jobs: list[SignatureJob] = []
    jobs: list[SignatureJob] = []
    zsks = zsk_role.keys
    kept_count = 0

    def keep_or_plan(rrset: RRset, old: RRset | None) -> RRset:
        nonlocal kept_count
        is_key_set = rrset[1] in KEY_SET_TYPES and rrset[0] == origin
        kept: tuple[bytes, ...] = ()
        missing = ksk_role.keys if is_key_set else zsks
        if old is not None and old[3] == rrset[3] and old[2] == rrset[2]:
            role = ksk_role if is_key_set else zsk_role
            kept, missing = role.judge(old[4], now, margin)
            if not missing:
                kept_count += 1
                return old if kept is old[4] else RRset(rrset[0], rrset[1], rrset[2], rrset[3], kept)
        job = SignatureJob(rrset, expire(rrset[0], rrset[1]), missing, kept)
        (key_set_jobs if is_key_set else jobs).append(job)
        return rrset

    names: dict[Name, Mapping[int, RRset]] = {}
    is_shared = True  # as long as every name has its previous mapping
    for owner, types in zone.names.items():
        old_types = former_names.get(owner, _NO_TYPES)
        jobs_before = len(jobs) + len(key_set_jobs)
        if owner in hidden:
            draft = dict(types)
        elif owner in delegations:
            draft = {
                number: keep_or_plan(rrset, old_types.get(number))
                if number in AUTHORITATIVE_AT_CUT
                else rrset
                for number, rrset in types.items()
            }
        else:
            draft = {number: keep_or_plan(rrset, old_types.get(number)) for number, rrset in types.items()}
        if len(jobs) + len(key_set_jobs) == jobs_before and draft == old_types:
            names[owner] = old_types
        else:
            names[owner] = draft
            is_shared = False
    nsec3 = {owner: keep_or_plan(rrset, former_nsec3.get(owner)) for owner, rrset in zone.nsec3.items()}
    is_current = (
        previous is not None
        and not jobs
        and not key_set_jobs
        and is_shared
        and len(names) == len(former_names)
        and nsec3 == former_nsec3
    )
    return SigningPlan(
        origin,
        now - policy.inception_offset_seconds,
        key_set_jobs,
        jobs,
        kept_count,
        is_current,
        names,
        nsec3,
    )


def split_jobs(jobs: Sequence[SignatureJob], size: int) -> Iterator[Sequence[SignatureJob]]:
    """Cut jobs into chunks of at most `size`."""
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]
