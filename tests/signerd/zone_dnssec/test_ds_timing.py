"""From when the DS of a key may be at the parent."""

import pytest

from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey
from signerd.zone_dnssec.ds_timing import find_ds_not_before

APEX = parse_name("example.com.")
WWW = parse_name("www.example.com.")
NEW = DnsKey(257, 13, b"\1" * 64)
SAME_ALGORITHM = DnsKey(257, 13, b"\2" * 64)
OTHER_ALGORITHM = DnsKey(257, 8, b"\3" * 64)
NOW = 1_800_000_000


def make_zone(*keys: DnsKey, key_ttl: int = 300, largest_ttl: int = 7200) -> Zone:
    soa = RRset(APEX, rt.SOA, 3600, (b"\0\0" + bytes(20),))
    types = {rt.SOA: soa}
    if keys:
        types[rt.DNSKEY] = RRset(APEX, rt.DNSKEY, key_ttl, tuple(key.rdata for key in keys))
    return Zone(APEX, {APEX: types, WWW: {rt.A: RRset(WWW, rt.A, largest_ttl, (b"\1\2\3\4",))}})


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (None, NOW),
        (make_zone(SAME_ALGORITHM), NOW + 300),
        (make_zone(OTHER_ALGORITHM), NOW + 7200),
        (make_zone(), NOW + 7200),
        (make_zone(OTHER_ALGORITHM, key_ttl=9000), NOW + 9000),
    ],
    ids=["first version", "same algorithm", "new algorithm", "unsigned before", "long-lived keys"],
)
def test_what_was_served_before_has_left_all_caches(previous: Zone | None, expected: int) -> None:
    version = make_zone(NEW, key_ttl=60)
    assert find_ds_not_before(NEW, version, previous, NOW) == expected


def test_a_version_without_the_key_says_nothing() -> None:
    assert find_ds_not_before(NEW, make_zone(SAME_ALGORITHM), make_zone(SAME_ALGORITHM), NOW) is None
    assert find_ds_not_before(NEW, make_zone(), None, NOW) is None
