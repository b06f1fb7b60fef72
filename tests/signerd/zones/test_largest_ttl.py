"""The largest TTL is followed from version to version."""

from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.zone import Zone
from signerd.zones.largest_ttl import LargestTtl, find_largest_ttl
from zone_edits import ORIGIN, Names, edits, make_unsigned, zones


@given(first=zones, changes=st.lists(st.tuples(edits, st.booleans()), max_size=6))
def test_it_is_that_of_all_record_sets_of_each_version(
    first: Names, changes: list[tuple[Names, bool]]
) -> None:
    largest = LargestTtl()
    zone = make_unsigned(first)
    assert largest.find(zone) == find_largest_ttl(zone)
    for change, is_derived in changes:
        apex = {**zone.names[ORIGIN], **change.get(ORIGIN, {})}
        derived = zone.derive({**change, ORIGIN: apex})
        zone = derived if is_derived else Zone(ORIGIN, dict(derived.names))
        assert largest.find(zone) == find_largest_ttl(zone)
        assert largest.find(zone) == find_largest_ttl(zone), "asked twice"
