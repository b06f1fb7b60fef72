"""A zone version made ready to be signed: with keys, parameters, serial and chain, without signatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.cut import Cuts, find_cuts_among
from signerd.dnssec.ds import DELETE_CDNSKEY, DELETE_CDS, make_ds_set
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.nsec import build_nsec_chain
from signerd.dnssec.nsec3 import NameHashes, build_nsec3_chain, make_nsec3param
from signerd.dnssec.policy import Denial, SigningPolicy

SIGNER_TYPES = frozenset({rt.RRSIG, rt.NSEC, rt.NSEC3, rt.NSEC3PARAM, rt.DNSKEY, rt.CDS, rt.CDNSKEY})
"""Types that are the signer's alone: dropped from what an operator wrote."""

ZoneAdditions = Mapping[Name, Mapping[int, RRset]]
"""Data beneath the apex that the server adds, by owner and type: signals to parents (RFC 9615)."""

NO_ADDITIONS: ZoneAdditions = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class AssembledZone:
    """A zone with everything but signatures.

    Attributes:
        zone: All records.
        cuts: Which of its names are delegations or hidden.
    """

    zone: Zone
    cuts: Cuts


def assemble(
    unsigned: Zone,
    *,
    keys: KeySet,
    policy: SigningPolicy,
    serial: int,
    hashes: NameHashes | None = None,
    additions: ZoneAdditions = NO_ADDITIONS,
) -> AssembledZone:
    """Add to a zone what a signed zone has: DNSKEY, CDS and CDNSKEY, NSEC3PARAM, the chain; set the serial.

    Such records that are in the zone already are dropped.

    Args:
        unsigned: As the operator wrote it. It is not changed.
        keys: What is published.
        policy: Kind of chain, TTL of the keys, whether CDS is published.
        serial: For the SOA.
        hashes: Of the zone's last version, to save hashing; not used if its salt or iterations are others.
        additions: What the server adds.

    Raises:
        HashCollision: Two names have the same NSEC3 hash.
    """
    origin = unsigned.origin
    names: dict[Name, Mapping[int, RRset]] = {
        owner: types for owner, types in unsigned.names.items() if SIGNER_TYPES.isdisjoint(types)
    }
    if len(names) != len(unsigned.names):
        for owner, types in unsigned.names.items():
            if owner not in names and (
                kept := {number: rrset for number, rrset in types.items() if number not in SIGNER_TYPES}
            ):
                names[owner] = kept
    for owner, added in additions.items():
        names[owner] = add_types(names.get(owner, {}), added)
    names[origin] = complete_apex(names[origin], keys=keys, policy=policy, serial=serial)
    denial_ttl = find_denial_ttl(unsigned.soa)
    cuts = find_cuts_among(origin, names)
    if policy.denial is Denial.NSEC3:
        if hashes is None or (hashes.salt, hashes.iterations) != (policy.nsec3_salt, policy.nsec3_iterations):
            hashes = NameHashes(salt=policy.nsec3_salt, iterations=policy.nsec3_iterations)
        chain = build_nsec3_chain(origin, names, cuts, denial_ttl, hashes)
        return AssembledZone(Zone(origin, names, chain), cuts)
    for rrset in build_nsec_chain(origin, names, cuts, denial_ttl):
        names[rrset.owner] = {**names[rrset.owner], rt.NSEC: rrset}
    return AssembledZone(Zone(origin, names), cuts)


def add_types(types: Mapping[int, RRset], added: Mapping[int, RRset]) -> Mapping[int, RRset]:
    """Add to the data of a name, unless it is an alias, beside which nothing else may stand."""
    return types if rt.CNAME in types else {**types, **added}


def complete_apex(
    types: Mapping[int, RRset], *, keys: KeySet, policy: SigningPolicy, serial: int
) -> dict[int, RRset]:
    """Add to the apex what a signed zone has there but for NSEC, and set the serial.

    Args:
        types: As the operator wrote them, without those of signers.
        keys: What is published.
        policy: Kind of chain, TTL of the keys, whether CDS is published.
        serial: For the SOA.
    """
    soa = types[rt.SOA]
    origin = soa.owner
    apex = {**types, rt.SOA: set_serial(soa, serial)}
    for rrset in _make_key_rrsets(origin, keys, policy):
        apex[rrset.type] = rrset
    if policy.denial is Denial.NSEC3:
        parameters = make_nsec3param(policy)
        apex[rt.NSEC3PARAM] = RRset(origin, rt.NSEC3PARAM, find_denial_ttl(soa), (parameters,))
    return apex


def find_denial_ttl(soa: RRset) -> int:
    """Give the TTL of NSEC and NSEC3 records: the lesser of SOA TTL and SOA minimum (RFC 9077, section 3)."""
    return min(soa.ttl, int.from_bytes(soa.rdatas[0][-4:]))


def set_serial(soa: RRset, serial: int) -> RRset:
    """Give the SOA RRset with another serial."""
    rdata = soa.rdatas[0]
    return RRset(soa.owner, soa.type, soa.ttl, (rdata[:-20] + serial.to_bytes(4) + rdata[-16:],))


def _make_key_rrsets(origin: Name, keys: KeySet, policy: SigningPolicy) -> list[RRset]:
    ttl = policy.dnskey_ttl
    result = [_make_rrset(origin, rt.DNSKEY, ttl, {key.rdata for key in keys.published})]
    if not policy.publish_cds:
        return result
    if keys.asks_removal:
        cds, cdnskey = {DELETE_CDS}, {DELETE_CDNSKEY}
    else:
        cds = {rdata for key in keys.announced for rdata in make_ds_set(origin, key)}
        cdnskey = {key.rdata for key in keys.announced}
    if cds:
        result.append(_make_rrset(origin, rt.CDS, ttl, cds))
        result.append(_make_rrset(origin, rt.CDNSKEY, ttl, cdnskey))
    return result


def _make_rrset(owner: Name, rdatatype: int, ttl: int, rdatas: set[bytes]) -> RRset:
    return RRset(owner, rdatatype, ttl, tuple(sorted(rdatas)))
