import errno
import struct
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signerd.dns.name import Name, parse_name
from signerd.dns.rdatatype import NSEC3, SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.zones.durable_file import FileOperations
from signerd.zones.journal import (
    CorruptJournal,
    JournalEnd,
    JournalWriter,
    UnsupportedJournal,
    scan_journal,
)
from signerd.zones.zone_difference import JournalMismatch, ZoneDifference, apply_differences, compare_zones

ORIGIN = parse_name("example.")
OWNERS = [parse_name(f"{label}.example.") for label in ("a", "b", "x.a", "*.b")]
HASHED = [parse_name(f"{label}.example.") for label in ("00", "11")]
A, TXT = 1, 16
VALUES = [b"a", b"b", b"c"]


def make_soa(serial: int) -> RRset:
    return RRset(
        ORIGIN, SOA, 60, (b"\0\0" + struct.pack("!5I", serial, 1, 2, 3, 4),), (sign(SOA, b"%d" % serial),)
    )


def sign(rdatatype: int, octets: bytes) -> bytes:
    return struct.pack("!H", rdatatype) + bytes(16) + ORIGIN + octets


def make_zone(serial: int, rrsets: Iterable[RRset] = ()) -> Zone:
    names = {ORIGIN: {SOA: make_soa(serial)}}
    nsec3: dict[Name, RRset] = {}
    for rrset in rrsets:
        if rrset.type == NSEC3:
            nsec3[rrset.owner] = rrset
        else:
            names.setdefault(rrset.owner, {})[rrset.type] = rrset
    return Zone(ORIGIN, names, nsec3)


def make_rrset(owner: str, *rdatas: bytes, ttl: int = 1, signatures: Iterable[bytes] = ()) -> RRset:
    return RRset(
        parse_name(owner), A, ttl, tuple(sorted(rdatas)), tuple(sign(A, octets) for octets in signatures)
    )


PLACES = st.sets(
    st.sampled_from([(owner, rdatatype) for owner in OWNERS for rdatatype in (A, TXT)])
    | st.sampled_from([(owner, NSEC3) for owner in HASHED])
)


@st.composite
def zones(draw: st.DrawFn, serial: int) -> Zone:
    return make_zone(
        serial,
        [
            RRset(
                owner,
                rdatatype,
                draw(st.sampled_from([1, 2])),
                tuple(sorted(draw(st.sets(st.sampled_from(VALUES), min_size=1)))),
                tuple(
                    sign(rdatatype, value) for value in draw(st.lists(st.sampled_from(VALUES), unique=True))
                ),
            )
            for owner, rdatatype in draw(PLACES)
        ],
    )


def describe(zone: Zone) -> object:
    return zone.origin, zone.names, zone.nsec3


def list_records(rrsets: Iterable[RRset]) -> set[object]:
    return {
        (rrset.owner, rrset.type, rrset.ttl, is_signature, rdata)
        for rrset in rrsets
        for is_signature, rdatas in ((False, rrset.rdatas), (True, rrset.signatures))
        for rdata in rdatas
    }


@given(zones(1), zones(2))
@settings(deadline=None)
def test_applying_the_difference_gives_the_new_version(old: Zone, new: Zone) -> None:
    assert describe(apply_differences(old, [compare_zones(old, new)])) == describe(new)


@given(zones(1), zones(2))
@settings(deadline=None)
def test_the_difference_is_record_by_record(old: Zone, new: Zone) -> None:
    difference = compare_zones(old, new)
    removed, added = list_records(difference.removed), list_records(difference.added)
    before, after = list_records(old.iterate_rrsets()), list_records(new.iterate_rrsets())
    assert removed - added == before - after
    assert added - removed == after - before
    assert removed & added <= before & after  # signatures in another order only


@given(zones(1), zones(2), zones(3))
@settings(deadline=None)
def test_several_differences_in_one_go_are_the_same_as_one_by_one(one: Zone, two: Zone, three: Zone) -> None:
    differences = [compare_zones(one, two), compare_zones(two, three)]
    before = describe(make_zone(1, one.iterate_rrsets()))
    assert describe(apply_differences(one, differences)) == describe(three)
    assert describe(one) == before


def test_a_new_signature_costs_two_records_and_shares_the_rest() -> None:
    kept = make_rrset("kept.example.", b"k")
    old = make_zone(1, [kept, make_rrset("a.example.", b"1", b"2", b"3", signatures=[b"old"])])
    new = Zone(ORIGIN, {**old.names, ORIGIN: {SOA: make_soa(2)}}, old.nsec3)
    signed = make_rrset("a.example.", b"1", b"2", b"3", signatures=[b"new"])
    new = Zone(ORIGIN, {**new.names, signed.owner: {A: signed}}, old.nsec3)
    difference = compare_zones(old, new)
    assert difference.removed == (old.soa, signed._replace(rdatas=(), signatures=(sign(A, b"old"),)))
    assert difference.added == (new.soa, signed._replace(rdatas=(), signatures=(sign(A, b"new"),)))
    assert difference.owners == {ORIGIN, signed.owner}
    applied = apply_differences(old, [difference])
    assert applied.names[kept.owner] is old.names[kept.owner]
    assert applied.nsec3 is old.nsec3


BASE = make_zone(1, [make_rrset("a.example.", b"1", b"2", signatures=[b"s"])])


@pytest.mark.parametrize(
    ("removed", "added", "reason"),
    [
        ([make_rrset("b.example.", b"1")], [], "removes b.example. A, which is not there"),
        ([make_rrset("a.example.", b"1", ttl=2)], [], "which is not there"),
        ([make_rrset("a.example.", b"3")], [], "records of a.example. A that are not there"),
        ([make_rrset("a.example.", signatures=[b"t"])], [], "that are not there"),
        ([make_rrset("a.example.", b"1", b"2")], [], "leaves signatures without a.example. A"),
        ([], [make_rrset("a.example.", b"1")], "that are there"),
        ([], [make_rrset("a.example.", signatures=[b"s"])], "that are there"),
        ([], [make_rrset("a.example.", b"3", ttl=2)], "with another TTL"),
    ],
)
def test_a_difference_of_another_version_is_refused(
    removed: list[RRset], added: list[RRset], reason: str
) -> None:
    soa = make_soa(2)
    difference = ZoneDifference(Serial(1), Serial(2), (BASE.soa, *removed), (soa, *added))
    with pytest.raises(JournalMismatch, match=reason):
        apply_differences(BASE, [difference])


def test_serials_must_fit() -> None:
    with pytest.raises(JournalMismatch, match="starts from serial 5, not 1"):
        apply_differences(BASE, [ZoneDifference(Serial(5), Serial(6), (), ())])
    with pytest.raises(JournalMismatch, match="does not lead to serial 2"):
        apply_differences(BASE, [ZoneDifference(Serial(1), Serial(2), (), ())])


VERSIONS = [
    make_zone(serial, [make_rrset("a.example.", b"%d" % serial, signatures=[b"%d" % serial])])
    for serial in range(1, 7)
]


def write_journal(path: Path, versions: list[Zone]) -> JournalWriter:
    writer = JournalWriter.create(path, ORIGIN, versions[0].serial)
    for old, new in pairwise(versions):
        writer.append(compare_zones(old, new))
    return writer


def read_versions(data: bytes, zone: Zone) -> list[object]:
    _, scan = scan_journal(data)
    versions = [describe(zone)]
    for record in scan.records:
        zone = apply_differences(zone, [record.read_difference(data)])
        versions.append(describe(zone))
    return versions


@given(st.data())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_of_versions_comes_back(tmp_path: Path, data: st.DataObject) -> None:
    versions = [data.draw(zones(serial)) for serial in range(1, data.draw(st.integers(2, 5)))]
    write_journal(tmp_path / "journal", versions)
    content = (tmp_path / "journal").read_bytes()
    assert read_versions(content, versions[0]) == [describe(version) for version in versions]


def test_a_cut_at_any_octet_leaves_the_records_before_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    writer = write_journal(path, VERSIONS[:4])
    data = path.read_bytes()
    header, whole = scan_journal(data)
    assert whole.end == writer.end == len(data)
    for octets in range(header.octets, len(data)):
        _, scan = scan_journal(data[:octets])
        ends = [header.octets, *(record.end for record in whole.records)]
        assert scan.end == max(end for end in ends if end <= octets)
        assert scan.state is (JournalEnd.CLEAN if octets in ends else JournalEnd.TORN)
        assert not scan.lost_serials
    for octets in range(header.octets):
        with pytest.raises(CorruptJournal):
            scan_journal(data[:octets])


def test_zeros_at_the_end_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_journal(path, VERSIONS[:2])
    _, scan = scan_journal(path.read_bytes() + bytes(4096))
    assert (scan.state, len(scan.records)) == (JournalEnd.TORN, 1)


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_octet_ends_the_usable_part_and_is_told(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "journal"
    writer = write_journal(path, VERSIONS[:5])
    octets = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(octets) - 1))
    octets[position] ^= data.draw(st.integers(1, 255))
    try:
        header, scan = scan_journal(bytes(octets))
    except (CorruptJournal, UnsupportedJournal):
        assert position < scan_journal(path.read_bytes())[0].octets
        return
    hit = next(
        i for i, record in enumerate(scan_journal(path.read_bytes())[1].records) if position < record.end
    )
    assert (scan.state, len(scan.records)) == (JournalEnd.CORRUPT, hit)
    assert f"after serial {VERSIONS[hit].serial}" in scan.reason
    assert set(scan.lost_serials) <= set(writer.serials[hit + 1 :])
    assert header.base_serial == 1


def test_swapped_and_foreign_records_are_noticed(tmp_path: Path) -> None:
    write_journal(tmp_path / "one", VERSIONS[:3])
    write_journal(tmp_path / "two", VERSIONS[:3])
    one, two = (tmp_path / "one").read_bytes(), (tmp_path / "two").read_bytes()
    header, scan = scan_journal(one)
    first, second = scan.records
    swapped = one[: first.start] + one[second.start : second.end] + one[first.start : first.end]
    for data in (swapped, one[: second.start] + two[second.start :]):
        assert scan_journal(data)[1].state is JournalEnd.CORRUPT
    assert header.origin == ORIGIN


class Failing(FileOperations):
    """A disk that is full after some octets; some of them may not come to the disk."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.broken: set[str] = set()

    def write(self, descriptor: int, data: bytes) -> None:
        if self.room is not None:
            super().write(descriptor, data[: self.room])
            raise OSError(errno.ENOSPC, "no space")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if "sync" in self.broken:
            raise OSError(errno.EIO, "sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, octets: int) -> None:
        if "truncate" in self.broken:
            raise OSError(errno.EIO, "truncate")
        super().truncate(descriptor, octets)


@pytest.mark.parametrize("room", [0, 1, 30])
@pytest.mark.parametrize("broken", [set[str](), {"truncate"}, {"sync"}, {"sync", "truncate"}])
def test_a_failed_append_is_taken_back_at_the_latest_by_the_next(
    tmp_path: Path, room: int, broken: set[str]
) -> None:
    path = tmp_path / "journal"
    files = Failing()
    writer = JournalWriter.create(path, ORIGIN, Serial(1), files)
    writer.append(compare_zones(VERSIONS[0], VERSIONS[1]))
    before = path.read_bytes()
    files.room, files.broken = room, broken
    with pytest.raises(OSError, match="no space"):
        writer.append(compare_zones(VERSIONS[1], VERSIONS[2]))
    assert scan_journal(path.read_bytes())[1].end == len(before)
    files.room, files.broken = None, set()
    writer.append(compare_zones(VERSIONS[1], VERSIONS[2]))
    assert read_versions(path.read_bytes(), VERSIONS[0]) == [describe(version) for version in VERSIONS[:3]]


def test_a_record_whose_fsync_failed_does_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    files = Failing()
    writer = JournalWriter.create(path, ORIGIN, Serial(1), files)
    files.broken = {"sync"}
    with pytest.raises(OSError, match="sync"):
        writer.append(compare_zones(VERSIONS[0], VERSIONS[1]))
    assert scan_journal(path.read_bytes())[1].records == []


def test_dropping_old_records_keeps_the_others_and_their_chain_values(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    writer = write_journal(path, VERSIONS[:5])
    chains = [record.chain for record in scan_journal(path.read_bytes())[1].records]
    since = writer.count_octets_since(Serial(3))
    assert writer.find_base(since) == 3
    assert writer.find_base(since - 1) == 4
    assert writer.find_base(0) == 5
    writer.drop_before(Serial(3))
    header, scan = scan_journal(path.read_bytes())
    assert (header.base_serial, header.chain) == (3, chains[1])
    assert [record.chain for record in scan.records] == chains[2:]
    writer.append(compare_zones(VERSIONS[4], VERSIONS[5]))
    assert read_versions(path.read_bytes(), VERSIONS[2]) == [describe(version) for version in VERSIONS[2:6]]
    reopened = JournalWriter.open(path, ORIGIN)
    assert (reopened.serials, reopened.chain, reopened.end) == (writer.serials, writer.chain, writer.end)


def test_a_writer_refuses_what_does_not_follow(tmp_path: Path) -> None:
    writer = write_journal(tmp_path / "journal", VERSIONS[:3])
    with pytest.raises(ValueError, match="5 to 6 cannot follow 3"):
        writer.append(compare_zones(VERSIONS[4], VERSIONS[5]))
    with pytest.raises(ValueError, match="3 to 1 cannot follow 3"):
        writer.append(compare_zones(VERSIONS[2], VERSIONS[0]))


def test_opening_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write_journal(path, VERSIONS[:3])
    with pytest.raises(CorruptJournal, match="journal of example"):
        JournalWriter.open(path, parse_name("other."))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptJournal, match="after serial 2: wrong checksum"):
        JournalWriter.open(path, ORIGIN)
    path.write_bytes(data[:8] + b"\0\2" + data[10:])
    with pytest.raises(UnsupportedJournal, match="format version 2"):
        JournalWriter.open(path, ORIGIN)


def test_a_journal_cut_under_its_writer_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    writer = write_journal(path, VERSIONS[:3])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptJournal, match="were written"):
        writer.append(compare_zones(VERSIONS[2], VERSIONS[3]))
