import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import ROOT, BadName, join_labels, parse_name
from signerd.zones.zone_directory import read_zone_directory_name, zone_directory_name


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        (".", "@"),
        ("example.com.", "example.com"),
        ("\\@.", "%40"),
        ("a\\.b.example.", "a%2Eb.example"),
        ("a\\/b.", "a%2Fb"),
        ("\\000\\255.", "%00%FF"),
        ("manifest.json.", "%6Danifest.json"),
        ("_x-y.2.0.192.in-addr.arpa.", "_x-y.2.0.192.in-addr.arpa"),
    ],
)
def test_directory_names(name: str, directory: str) -> None:
    assert zone_directory_name(parse_name(name)) == directory
    assert read_zone_directory_name(directory) == parse_name(name)


@given(st.lists(st.binary(min_size=1, max_size=20).map(bytes.lower), max_size=4))
def test_each_zone_has_its_own_directory_beside_the_others(labels: list[bytes]) -> None:
    name = join_labels(labels)
    directory = zone_directory_name(name)
    assert read_zone_directory_name(directory) == name
    assert "/" not in directory
    assert "\0" not in directory
    assert not directory.startswith(".")


def test_the_longest_plain_name_fits() -> None:
    name = join_labels([b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61])
    assert read_zone_directory_name(zone_directory_name(name)) == name


def test_says_when_a_name_is_too_long_for_a_directory() -> None:
    with pytest.raises(BadName, match="too long"):
        zone_directory_name(join_labels([b"\xff" * 63, b"\xff" * 63]))


@pytest.mark.parametrize(
    "directory", ["", "a..b", ".a", "A", "a%2", "a%zz", "%61", "%2e", "é", "manifest.json"]
)
def test_other_directories_are_no_zones(directory: str) -> None:
    with pytest.raises(BadName):
        read_zone_directory_name(directory)


def test_root_and_at_sign_differ() -> None:
    assert zone_directory_name(ROOT) != zone_directory_name(parse_name("\\@."))
