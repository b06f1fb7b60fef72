import errno
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signerd.dns.name import parse_name
from signerd.dns.rdatatype import NSEC3, SOA
from signerd.dns.rrset import RRset
from signerd.dns.serial import add
from signerd.dns.zone import Zone
from signerd.zones.durable_file import FileOperations
from signerd.zones.publication import JournalLimits, Publication, PublicationReader, clean_removed
from signerd.zones.zone_difference import apply_differences

ORIGIN = parse_name("example.")
HASHED = parse_name("00.example.")
LARGE = JournalLimits(floor_octets=2**20)  # no compaction
EAGER = JournalLimits(floor_octets=0, ratio=0.5)  # one every few versions
NO_JOURNAL = JournalLimits(max_octets=0)


def make_zone(serial: int, values: Iterable[int] = ()) -> Zone:
    """Make a version that differs from any other of another serial or with other values."""
    soa = b"\0\0" + struct.pack("!5I", serial, 1, 2, 3, 4)
    names = {ORIGIN: {SOA: RRset(ORIGIN, SOA, 60, (soa,), (b"\0\6%d" % serial,))}}
    for index, value in enumerate(values):
        owner = parse_name(f"host{index}.example.")
        names[owner] = {16: RRset(owner, 16, 60, (b"value %d" % value,), (b"\0\x10%d" % value,))}
    return Zone(ORIGIN, names, {HASHED: RRset(HASHED, NSEC3, 60, (b"%d" % serial,), (b"\0\x32",))})


def describe(zone: Zone | None) -> object:
    return None if zone is None else (zone.origin, zone.names, zone.nsec3)


def publish_all(publication: Publication, versions: list[Zone]) -> None:
    previous = None
    for version in versions:
        assert publication.publish(version, previous) == ()
        previous = version


def list_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


VERSIONS = [make_zone(serial, [serial, 0, serial // 2, 7, 8, 9]) for serial in range(1, 12)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "published" / "example"


@pytest.mark.parametrize("limits", [LARGE, EAGER, NO_JOURNAL])
def test_a_version_can_be_read_when_it_is_told_of(directory: Path, limits: JournalLimits) -> None:
    publication = Publication(directory, limits)
    told: list[object] = []

    def note() -> None:
        told.append(describe(PublicationReader(directory).load().zone))

    previous = None
    for version in VERSIONS:
        assert publication.publish(version, previous, on_published=note) == ()
        previous = version
    assert told == [describe(version) for version in VERSIONS]


def test_a_version_is_told_of_before_a_snapshot_of_it_is_written(directory: Path) -> None:
    publication = Publication(directory, JournalLimits(floor_octets=0, ratio=0))
    files: list[list[str]] = []
    publish_all(publication, VERSIONS[:1])
    publication.publish(VERSIONS[1], VERSIONS[0], on_published=lambda: files.append(list_files(directory)))
    assert len(files) == 1
    assert len(list_files(directory)) == len(files[0]) + 1, "the new snapshot"


@pytest.mark.parametrize("limits", [LARGE, EAGER, NO_JOURNAL])
def test_each_version_is_found_by_a_new_start_and_by_a_running_reader(
    directory: Path, limits: JournalLimits
) -> None:
    publication = Publication(directory, limits)
    reader = PublicationReader(directory)
    assert publication.load().zone is None
    assert reader.load().zone is None
    served: Zone | None = None
    previous = None
    for version in VERSIONS:
        assert publication.publish(version, previous) == ()
        previous = version
        loaded = Publication(directory, limits).load()
        assert (describe(loaded.zone), loaded.problems) == (describe(version), ())
        assert loaded.newest_serial == version.serial
        differences = None if served is None else reader.advance(served)
        if served is None or differences is None:
            assert served is None or limits is NO_JOURNAL
            served = reader.load().zone
        else:
            served = apply_differences(served, differences)
        assert describe(served) == describe(version)
        assert served is not None
        assert reader.advance(served) == []


def test_a_new_reader_catches_up_across_any_compaction(directory: Path) -> None:
    publication = Publication(directory, EAGER)
    publish_all(publication, VERSIONS[:1])
    for missed in range(1, len(VERSIONS)):
        reader = PublicationReader(directory)
        served = reader.load().zone
        assert served is not None
        publication.publish(VERSIONS[missed], VERSIONS[missed - 1])
        differences = reader.advance(served)
        assert differences is not None
        assert describe(apply_differences(served, differences)) == describe(VERSIONS[missed])


def test_a_reader_too_far_behind_is_told_to_load(directory: Path) -> None:
    publication = Publication(directory, EAGER)
    publish_all(publication, VERSIONS[:1])
    reader = PublicationReader(directory)
    served = reader.load().zone
    assert served is not None
    for old, new in pairwise(VERSIONS):
        publication.publish(new, old)
    assert reader.advance(served) is None
    assert describe(reader.load().zone) == describe(VERSIONS[-1])


def test_two_snapshots_are_kept_and_a_journal_from_the_older_one_on(directory: Path) -> None:
    publish_all(Publication(directory, EAGER), VERSIONS)
    files = list_files(directory)
    assert len(files) == 3
    assert files[2] == "journal"
    newest = directory / files[1]
    newest.write_bytes(newest.read_bytes()[:-1])
    loaded = Publication(directory).load()
    assert describe(loaded.zone) == describe(VERSIONS[-1])
    assert len(loaded.problems) == 1
    assert str(newest) in loaded.problems[0]
    assert f"{newest.name}.corrupt" in list_files(directory)
    assert Publication(directory).load().problems == ()


def test_a_corrupt_snapshot_is_left_alone_by_readers(directory: Path) -> None:
    publish_all(Publication(directory, EAGER), VERSIONS)
    newest = directory / list_files(directory)[1]
    newest.write_bytes(b"")
    before = list_files(directory)
    loaded = PublicationReader(directory).load()
    assert describe(loaded.zone) == describe(VERSIONS[-1])
    assert "corrupt snapshot: cut off after 0 octets" in loaded.problems[0]
    assert list_files(directory) == before


def test_with_all_snapshots_corrupt_nothing_is_served_and_the_serial_is_still_known(directory: Path) -> None:
    publication = Publication(directory, EAGER)
    publish_all(publication, VERSIONS)
    for path in directory.glob("*.snapshot"):
        path.write_bytes(b"x")
    loaded = publication.load()
    assert loaded.zone is None
    assert len(loaded.problems) == 3
    assert loaded.newest_serial == VERSIONS[-1].serial
    again = publication.load()
    assert again.zone is None
    publication.publish(make_zone(100), None)
    assert describe(Publication(directory).load().zone) == describe(make_zone(100))
    assert Publication(directory).load().newest_serial == 100


def test_a_corrupt_journal_is_used_up_to_the_corruption_and_kept_for_inspection(directory: Path) -> None:
    publish_all(Publication(directory, LARGE), VERSIONS)
    journal = directory / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    publication = Publication(directory, LARGE)
    loaded = publication.load()
    assert loaded.zone is not None
    lost_from = loaded.zone.serial
    assert 1 < lost_from < 11
    assert describe(loaded.zone) == describe(VERSIONS[lost_from - 1])
    assert loaded.newest_serial == 11
    assert "corrupt journal" in loaded.problems[0]
    assert (directory / "journal.corrupt").read_bytes() == data
    assert publication.publish(make_zone(12), loaded.zone) == ()
    again = Publication(directory, LARGE).load()
    assert (describe(again.zone), again.problems) == (describe(make_zone(12)), ())


def test_a_reader_does_not_follow_into_a_journal_cut_back_by_a_repair(directory: Path) -> None:
    publish_all(Publication(directory, LARGE), VERSIONS)
    reader = PublicationReader(directory)
    served = reader.load().zone
    assert served is not None
    journal = directory / "journal"
    data = bytearray(journal.read_bytes())
    data[-100] ^= 1
    journal.write_bytes(data)
    assert reader.advance(served) == []
    publication = Publication(directory, LARGE)
    older = publication.load().zone
    assert reader.advance(served) is None
    publication.publish(make_zone(12), older)
    assert reader.advance(served) is None
    assert describe(reader.load().zone) == describe(make_zone(12))


def test_a_torn_tail_is_ignored_by_readers_and_cut_off_by_the_writer(directory: Path) -> None:
    publish_all(Publication(directory, LARGE), VERSIONS[:3])
    journal = directory / "journal"
    whole = journal.read_bytes()
    for octets in (1, 25, 100):
        journal.write_bytes(whole + whole[-200:][:octets] if octets < 20 else whole[: len(whole) - octets])
        torn = journal.read_bytes()
        expected = VERSIONS[2 if octets < 20 else 1]
        assert describe(PublicationReader(directory).load().zone) == describe(expected)
        assert journal.read_bytes() == torn
        loaded = Publication(directory, LARGE).load()
        assert (describe(loaded.zone), loaded.problems) == (describe(expected), ())
        assert len(journal.read_bytes()) < len(torn)


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_give_a_published_version_or_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("damage") / "published" / "example"
    publish_all(Publication(directory, data.draw(st.sampled_from([LARGE, EAGER]))), VERSIONS)
    published = [describe(version) for version in VERSIONS]
    for path in sorted(directory.iterdir()):
        damage = data.draw(st.sampled_from(["none", "cut", "change"]))
        place = data.draw(st.floats(0, 1, exclude_max=True))
        change = data.draw(st.integers(1, 255))
        octets = bytearray(path.read_bytes())
        position = int(len(octets) * place)
        if damage == "cut":
            del octets[position:]
        elif damage == "change":
            octets[position] ^= change
        path.write_bytes(octets)
    read = PublicationReader(directory).load()
    publication = Publication(directory)
    loaded = publication.load()
    assert describe(read.zone) == describe(loaded.zone)
    assert loaded.zone is None or describe(loaded.zone) in published
    assert loaded.zone is not None or loaded.problems
    final = make_zone(100)
    publication.publish(final, loaded.zone)
    assert describe(Publication(directory).load().zone) == describe(final)


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_serials_may_wrap_and_come_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("wrap") / "published" / "example"
    publication = Publication(directory, data.draw(st.sampled_from([LARGE, EAGER, NO_JOURNAL])))
    reader = PublicationReader(directory)
    previous: Zone | None = None
    served: Zone | None = None
    published: list[object] = []
    serial = data.draw(st.sampled_from([1, 2**31, 2**32 - 1]))
    for number in range(data.draw(st.integers(1, 12))):
        version = make_zone(serial, [number])
        published.append(describe(version))
        assert publication.publish(version, previous) == ()
        previous = version
        serial = add(serial, data.draw(st.sampled_from([1, 2, 2**31 - 1])))
        if data.draw(st.booleans()):
            differences = None if served is None else reader.advance(served)
            if served is None or differences is None:
                served = reader.load().zone
            else:
                served = apply_differences(served, differences)
            assert describe(served) == describe(version)
        assert describe(Publication(directory).load().zone) == describe(version)
        snapshots = sorted(directory.glob("*.snapshot"))
        if len(snapshots) == 2:  # falling back must not mix up versions
            kept = snapshots[1].read_bytes()
            snapshots[1].write_bytes(b"")
            found = PublicationReader(directory).load().zone
            assert found is not None
            assert (
                found.names[parse_name("host0.example.")][16].rdatas[0] <= b"value %d" % number or number > 9
            )
            snapshots[1].write_bytes(kept)


def test_only_newer_versions_of_the_same_zone_are_published(directory: Path) -> None:
    publication = Publication(directory)
    publish_all(publication, VERSIONS[:2])
    with pytest.raises(ValueError, match="serial 1 is not newer than 2"):
        publication.publish(VERSIONS[0], VERSIONS[1])
    with pytest.raises(ValueError, match="is not for zone"):
        Publication(directory.with_name("other")).publish(VERSIONS[0], None)
    assert not directory.with_name("other").exists()


def test_files_of_another_zone_are_not_taken_for_this_one(directory: Path) -> None:
    publish_all(Publication(directory), VERSIONS[:2])
    other = directory.with_name("other")
    directory.rename(other)
    loaded = PublicationReader(other).load()
    assert loaded.zone is None
    assert "it holds example. serial 1" in loaded.problems[0]


def test_a_snapshot_of_another_format_version_is_neither_read_nor_moved(directory: Path) -> None:
    publish_all(Publication(directory), VERSIONS[:1])
    path = directory / list_files(directory)[0]
    path.write_bytes(path.read_bytes()[:8] + b"\0\2" + path.read_bytes()[10:])
    loaded = Publication(directory).load()
    assert loaded.zone is None
    assert "format version 2" in loaded.problems[0]
    assert list_files(directory) == [path.name, "journal"]
    assert loaded.newest_serial == 1


def test_published_files_can_be_read_by_responders_of_another_user(directory: Path) -> None:
    publish_all(Publication(directory, EAGER), VERSIONS[:5])
    assert directory.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}


def test_temporaries_of_an_interrupted_writer_are_cleaned_up(directory: Path) -> None:
    publish_all(Publication(directory), VERSIONS[:1])
    (directory / ".journal.new").write_bytes(b"x")
    Publication(directory).load()
    assert not (directory / ".journal.new").exists()


def test_removing_a_zone_leaves_nothing_and_readers_see_it(directory: Path) -> None:
    publication = Publication(directory)
    publish_all(publication, VERSIONS[:2])
    reader = PublicationReader(directory)
    served = reader.load().zone
    assert served is not None
    publication.remove()
    assert list(directory.parent.iterdir()) == []
    assert reader.advance(served) is None
    assert reader.load().zone is None
    publication.remove()
    assert publication.publish(VERSIONS[0], None) == ()
    assert describe(reader.load().zone) == describe(VERSIONS[0])


def test_an_interrupted_removal_is_finished_later(directory: Path) -> None:
    class Interrupted(FileOperations):
        def unlink(self, path: Path) -> None:
            raise OSError(errno.EIO, "unlink")

    publish_all(Publication(directory), VERSIONS[:2])
    with pytest.raises(OSError, match="unlink"):
        Publication(directory, files=Interrupted()).remove()
    assert not directory.exists()
    clean_removed(directory.parent)
    assert list(directory.parent.iterdir()) == []


@pytest.mark.parametrize("limits", [EAGER, NO_JOURNAL])
def test_a_reader_beside_a_busy_writer_only_sees_whole_versions_in_order(
    directory: Path, limits: JournalLimits
) -> None:
    versions = [make_zone(serial, [serial, 0, serial // 2]) for serial in range(1, 151)]
    published = [describe(version) for version in versions]
    publication = Publication(directory, limits)
    publish_all(publication, versions[:1])
    reader = PublicationReader(directory)
    served = reader.load().zone
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(
            lambda: [publication.publish(new, previous) for previous, new in pairwise(versions)]
        )
        is_last = False
        while not is_last:
            is_last = writing.done()
            assert served is not None
            differences = reader.advance(served)
            if differences is None:
                loaded = reader.load()
                assert loaded.problems == ()
                assert loaded.zone is not None
                assert loaded.zone.serial >= served.serial
                served = loaded.zone
            else:
                served = apply_differences(served, differences)
            assert describe(served) == published[served.serial - 1]
        assert set(writing.result()) == {()}
    assert describe(served) == published[-1]
