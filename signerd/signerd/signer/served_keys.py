"""What the key timetable wants to know of the zone version that is served."""

from collections.abc import Mapping
from dataclasses import dataclass

from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.dnssec.ds import DELETE_CDNSKEY
from signerd.dnssec.key import DnsKey
from signerd.dnssec.signature_plan import KEY_SET_TYPES
from signerd.timetable.policy import DenialKind


@dataclass(frozen=True, slots=True)
class ServedKeys:
    """The keys of a zone version and what they signed; the fields of `Facts` of the same names.

    A key of which the timetable has no name is called `key tag N, algorithm M`.
    """

    published: frozenset[str]
    signing: frozenset[str]
    covering: frozenset[int]
    denial: DenialKind | None
    dnskey_ttl: int
    largest_ttl: int
    announced: frozenset[str] = frozenset()


def observe_zone(zone: Zone, names: Mapping[DnsKey, str]) -> ServedKeys:
    """Look at a zone version.

    The whole zone is read, so for a large one this belongs in a worker thread.

    Args:
        zone: Validated, so that each RRset that should have signatures has some.
        names: Of the timetable, for all keys that it knows.
    """
    apex = observe_apex(zone, names)
    signers: set[tuple[int, int]] = set()  # algorithm and key tag, which are unique within a key set
    covering: set[int] | None = None
    seen: set[frozenset[int]] = set()
    largest_ttl = 0
    for _, rdatatype, ttl, _, signatures in zone.iterate_rrsets():
        largest_ttl = max(largest_ttl, ttl)
        if not signatures or rdatatype in KEY_SET_TYPES:
            continue
        signers.update((signature[2], int.from_bytes(signature[16:18])) for signature in signatures)
        algorithms = frozenset(signature[2] for signature in signatures)
        if algorithms not in seen:  # few combinations, many RRsets
            seen.add(algorithms)
            covering = set(algorithms) if covering is None else covering & algorithms
    by_tag = {(key.algorithm, key.key_tag): name for key, name in names.items()}
    return ServedKeys(
        apex.published,
        frozenset(by_tag.get(signer) or _describe(*signer) for signer in signers),
        frozenset(covering or ()),
        apex.denial,
        apex.dnskey_ttl,
        largest_ttl,
        apex.announced,
    )


@dataclass(frozen=True, slots=True)
class ServedApex:
    """What the apex alone says; the fields of `ServedKeys` of the same names."""

    published: frozenset[str]
    denial: DenialKind | None
    dnskey_ttl: int
    announced: frozenset[str]


def observe_apex(zone: Zone, names: Mapping[DnsKey, str]) -> ServedApex:
    """Look at the apex of a zone version, which takes no time; the arguments are those of `observe_zone`."""
    key_set = zone.names[zone.origin].get(rt.DNSKEY)
    published = [DnsKey.from_rdata(rdata) for rdata in key_set[3]] if key_set else []
    if zone.nsec3:
        denial: DenialKind | None = DenialKind.NSEC3
    else:
        denial = DenialKind.NSEC if rt.NSEC in zone.names[zone.origin] else None
    return ServedApex(
        frozenset(names.get(key) or _describe(key.algorithm, key.key_tag) for key in published),
        denial,
        key_set[2] if key_set else 0,
        frozenset(names[key] for key in _list_announced(zone) if key in names),
    )


def _list_announced(zone: Zone) -> list[DnsKey]:
    cdnskey = zone.names[zone.origin].get(rt.CDNSKEY)
    rdatas = () if cdnskey is None else cdnskey[3]
    return [DnsKey.from_rdata(rdata) for rdata in rdatas if rdata != DELETE_CDNSKEY]


def _describe(algorithm: int, key_tag: int) -> str:
    return f"key tag {key_tag}, algorithm {algorithm}"
