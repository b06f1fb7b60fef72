"""Unsigned versions made from the one before are what they would be if made anew."""

from hypothesis import given
from hypothesis import strategies as st

from signerd.dns import rdatatype as rt
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone, find_touched_owners
from signerd.zones.unsigned_versions import UnsignedVersions
from zone_edits import ORIGIN, Names, edits, make_unsigned, zones


def make(versions: UnsignedVersions, data: Zone, previous: Zone | None, serial: int) -> Zone:
    return versions.sign(data, previous, Serial(serial), lambda done, total: None).zone


@given(first=zones, changes=st.lists(st.tuples(edits, st.booleans(), st.booleans()), max_size=6))
def test_a_version_is_the_same_however_it_is_made(
    first: Names, changes: list[tuple[Names, bool, bool]]
) -> None:
    versions = UnsignedVersions()
    data = make_unsigned(first)
    published = make(versions, data, None, 100)
    is_next = True  # whether the data is one step away from what is published
    for serial, (change, is_derived, is_published) in enumerate(changes, 101):
        apex = {**data.names[ORIGIN], **change.get(ORIGIN, {})}
        derived = data.derive({**change, ORIGIN: apex})
        data = derived if is_derived else Zone(ORIGIN, dict(derived.names))
        before = dict(published.names)
        version = make(versions, data, published, serial)
        expected = make(UnsignedVersions(), data, None, serial)
        assert (version.names, version.nsec3) == (expected.names, {})
        assert version.serial == serial
        assert published.names == before, "the version before was changed"
        assert (find_touched_owners(published, version) is not None) == (is_derived and is_next)
        is_next = is_published
        if is_published:
            published = version


def test_data_of_another_signer_is_left_out_at_the_apex() -> None:
    versions = UnsignedVersions()
    data = make_unsigned({})
    key = data.soa._replace(type=rt.DNSKEY, rdatas=(bytes(4),))
    published = make(versions, data, None, 1)
    data = data.derive({ORIGIN: {**data.names[ORIGIN], rt.DNSKEY: key}})
    assert rt.DNSKEY not in make(versions, data, published, 2).names[ORIGIN]
