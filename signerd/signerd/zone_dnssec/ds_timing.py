"""From when the DS of a key may be given to the parent: not before every cache has the key or fetches it."""

from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey
from signerd.zones.largest_ttl import find_largest_ttl

_ALGORITHM_AT = 3  # in DNSKEY RDATA (RFC 4034, section 2.1)


def find_ds_not_before(key: DnsKey, version: Zone, previous: Zone | None, at: int) -> int | None:
    """Say from when the DS of a KSK may be at the parent.

    Until the DNSKEY RRset of before has left the caches, a DS may lead to a key that is not in it (RFC 7583,
    section 3.3.1). A new algorithm, and the first one, must also sign all data in caches before a DS names it
    (RFC 6781, section 4.1.4): validators may ask for its signatures wherever they find none.

    Args:
        key: The KSK.
        version: Of the zone, published now.
        previous: The version before; None if there was none, then no cache has anything.
        at: When, epoch seconds.

    Returns:
        Epoch seconds; None if the version is without the key.
    """
    if not has_key(version, key):
        return None
    if previous is None:
        return at
    algorithms = {rdata[_ALGORITHM_AT] for rdata in _list_keys(previous)}
    if key.algorithm in algorithms:
        return at + previous.names[previous.origin][rt.DNSKEY].ttl
    return at + find_largest_ttl(previous)


def has_key(version: Zone, key: DnsKey) -> bool:
    """Say if a version has a key in its DNSKEY RRset."""
    return key.rdata in _list_keys(version)


def _list_keys(zone: Zone) -> tuple[bytes, ...]:
    keys = zone.names[zone.origin].get(rt.DNSKEY)
    return () if keys is None else keys.rdatas
