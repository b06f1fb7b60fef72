"""Semantic checks: what is an error, what a warning, and what neither."""

from pathlib import Path

import pytest

from signerd.dns.name import parse_name
from signerd.zones.checks import check_zone, find_soa_expire
from signerd.zones.largest_ttl import find_largest_ttl
from signerd.zones.master_file import LoadedFile, load_master_file
from zone_generator import generate_zone

ORIGIN = parse_name("example.")
SOA = "$TTL 300\n@ SOA ns host 1 2h 15m 2w 5m\n"
HEAD = SOA + "@ NS ns\nns A 192.0.2.1\n"


def load(folder: Path, text: str) -> LoadedFile:
    (folder / "z.zone").write_text(text)
    loaded = load_master_file(folder / "z.zone", ORIGIN, directory=folder)
    assert loaded.zone is not None, loaded.notices
    return loaded


def check(folder: Path, text: str) -> list[str]:
    loaded = load(folder, text)
    assert loaded.zone is not None
    notices = check_zone(loaded.zone, loaded.positions.find)
    return [f"{notice.line}: {notice.severity}: {notice.reason}" for notice in notices]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a CNAME b\na A 10.0.0.1", "5: error: a.example. CNAME: CNAME and other data, A"),
        ("a CNAME b\na CNAME c", "5: error: a.example. CNAME: 2 CNAME records"),
        ("a CNAME A", "5: warning: a.example. CNAME: the alias points to itself"),
        ("a DNAME b\na DNAME c", "5: error: a.example. DNAME: 2 DNAME records"),
        ("a DNAME b\na NS x.net.", "5: error: a.example. DNAME: DNAME and NS below the apex"),
        ("a DS 1 13 2 " + "00" * 32, "5: error: a.example. DS: DS without NS"),
        ("@ DS 1 13 2 " + "00" * 32, "5: error: example. DS: DS at the apex"),
        ("*.a DNAME b", "5: warning: *.a.example. DNAME: DNAME at a wildcard"),
        ("*.a NS x.net.", "5: warning: *.a.example. NS: NS at a wildcard"),
        ("a NS ns.a", "5: warning: a.example. NS: no glue: ns.a.example. has no address here"),
        ("a NS x.net.\nb.a TXT x", "6: warning: b.a.example. TXT: below a zone cut, so TXT is occluded"),
        ("a NS x.net.\na TXT x", "6: warning: a.example. TXT: at a zone cut, so TXT is occluded"),
        ("a DNAME x.net.\nb.a A 10.0.0.1", "6: warning: b.a.example. A: below a DNAME, so A is occluded"),
        ("@ MX 1 m", "5: warning: example. MX: m.example. has no address"),
        ("@ MX 1 m\nm CNAME ns", "5: warning: example. MX: m.example. is an alias"),
        ("@ MX 1 m.d\nd DNAME x.net.", "5: warning: example. MX: m.d.example. is below a DNAME"),
        ("a NS nothing", "5: warning: a.example. NS: nothing.example. has no address"),
    ],
)
def test_mistakes_are_found(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = check(tmp_path, HEAD + text + "\n")
    assert found.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "a NS ns.a\nns.a A 10.0.0.1\na DS 1 13 2 " + "00" * 32,
        "a NS ns.elsewhere.test.\n@ MX 0 .\n_x._tcp SRV 0 0 0 .",
        "@ MX 1 m.w\n*.w A 10.0.0.1",
        "d DNAME x.net.\nd TXT beside",
        "a.b.c A 10.0.0.1\n*.b TXT x",
        "@ MX 1 m.a\na NS x.net.",
    ],
)
def test_sound_zones_pass(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, HEAD + text + "\n") == []


def test_an_apex_without_ns_is_an_error(tmp_path: Path) -> None:
    (found,) = check(tmp_path, SOA)
    assert found.startswith("2: error: example. SOA: the apex has no NS records")


def test_an_rrset_that_no_message_can_hold_is_an_error(tmp_path: Path) -> None:
    (found,) = check(tmp_path, HEAD + f"$GENERATE 1-300 big TXT {'x' * 240}-$\n")
    assert found.startswith("5: error: big.example. TXT: 300 records of")


def test_doubtful_soa_times_are_warnings(tmp_path: Path) -> None:
    found = check(tmp_path, "$TTL 300\n@ SOA ns host 1 1h 2h 3h 2d\n@ NS ns\nns A 192.0.2.1\n")
    assert ["EXPIRE" in found[0], "RETRY" in found[1], "MINIMUM" in found[2]] == [True] * 3
    assert len(found) == 3


def test_made_up_zones_have_no_errors(tmp_path: Path) -> None:
    assert not [
        line for line in check(tmp_path, generate_zone("example.", 400, 2).text) if " error: " in line
    ]


def test_largest_ttl_and_expire_are_found(tmp_path: Path) -> None:
    zone = load(tmp_path, HEAD + "a 1d A 10.0.0.1\n").zone
    assert zone is not None
    assert find_largest_ttl(zone) == 86_400
    assert find_soa_expire(zone) == 14 * 86_400
