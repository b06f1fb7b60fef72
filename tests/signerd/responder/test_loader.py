from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from answering import read_zone, to_name
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet
from signerd.responder.loader import Reader, ZoneLoader
from signerd.zones.manifest import MANIFEST_NAME, write_manifest
from signerd.zones.publication import Loaded, Publication, PublicationReader
from signerd.zones.zone_difference import JournalMismatch, ZoneDifference
from signerd.zones.zone_directory import zone_directory_name

ONE, TWO = to_name("one.test"), to_name("two.test")


def make_zone(apex: str, serial: int, *lines: str) -> Zone:
    text = f"$TTL 60\n@ SOA a b {serial} 2 3 4 5\n@ NS a\na A 192.0.2.1\n" + "\n".join(lines) + "\n"
    return read_zone(text, f"{apex}.")


class Recorder:
    def __init__(self, published: Path, open_reader: Callable[[Path], Reader] = PublicationReader) -> None:
        self.sets: list[ZoneSet] = []
        self.changes: list[tuple[Name, int | None]] = []
        self.loader = ZoneLoader(published, self.sets.append, self._note, open_reader)

    def _note(self, apex: Name, index: ZoneIndex | None) -> None:
        self.changes.append((apex, None if index is None else index.zone.serial))

    @property
    def serials(self) -> dict[Name, int | None]:
        zones = self.sets[-1].zones
        return {apex: None if index is None else index.zone.serial for apex, index in zones.items()}


def publish(published: Path, new: Zone, previous: Zone | None = None) -> None:
    Publication(published / zone_directory_name(new.origin)).publish(new, previous)


async def test_zones_of_the_manifest_are_loaded(tmp_path: Path) -> None:
    publish(tmp_path, make_zone("one.test", 1))
    publish(tmp_path, make_zone("three.test", 1))
    write_manifest(tmp_path, [ONE, TWO])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    assert recorder.serials == {ONE: 1, TWO: None}
    assert recorder.changes == [(ONE, 1)]


async def test_without_a_manifest_there_are_no_zones(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "missing")
    await recorder.loader.refresh()
    assert recorder.loader.zones.zones == {}


async def test_changes_are_followed(tmp_path: Path) -> None:
    first = make_zone("one.test", 1)
    publish(tmp_path, first)
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    second = make_zone("one.test", 2, "www.deep A 192.0.2.9")
    publish(tmp_path, second, first)
    await recorder.loader.refresh_zone(ONE)
    assert recorder.serials == {ONE: 2}
    index = recorder.sets[-1].zones[ONE]
    assert index is not None
    assert index.zone.names == second.names
    assert index.exists(to_name("deep.one.test"))
    before = len(recorder.sets)
    await recorder.loader.refresh_zone(ONE)
    assert len(recorder.sets) == before  # nothing new, nothing replaced


async def test_zones_come_and_go_with_the_manifest(tmp_path: Path) -> None:
    for name in ("one.test", "two.test"):
        publish(tmp_path, make_zone(name, 5))
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    write_manifest(tmp_path, [TWO])
    await recorder.loader.refresh_manifest()
    assert recorder.serials == {TWO: 5}
    assert recorder.changes == [(ONE, 5), (ONE, None), (TWO, 5)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 9, "zones": []}'])
async def test_bad_manifest_changes_nothing(tmp_path: Path, content: str) -> None:
    publish(tmp_path, make_zone("one.test", 1))
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    (tmp_path / MANIFEST_NAME).write_text(content)
    await recorder.loader.refresh()
    assert recorder.serials == {ONE: 1}


async def test_corrupt_zone_keeps_its_version_and_the_others_go_on(tmp_path: Path) -> None:
    one, two = make_zone("one.test", 1), make_zone("two.test", 1)
    publish(tmp_path, one)
    publish(tmp_path, two)
    write_manifest(tmp_path, [ONE, TWO])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    for file in (tmp_path / "one.test").iterdir():
        file.write_bytes(b"rubbish")
    publish(tmp_path, make_zone("two.test", 2), two)
    await recorder.loader.refresh()
    assert recorder.serials == {ONE: 1, TWO: 2}


async def test_corrupt_zone_has_no_data_at_the_start(tmp_path: Path) -> None:
    publish(tmp_path, make_zone("one.test", 1))
    for file in (tmp_path / "one.test").iterdir():
        file.write_bytes(b"rubbish")
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    assert recorder.serials == {ONE: None}


class FakeReader:
    """Fails to advance in each way there is, then loads what it was given."""

    def __init__(self, versions: list[Loaded], failure: Exception | None) -> None:
        self.versions = versions
        self.failure = failure

    def load(self) -> Loaded:
        return self.versions.pop(0)

    def advance(self, zone: Zone) -> Sequence[ZoneDifference] | None:
        if self.failure is not None:
            raise self.failure
        return None


@pytest.mark.parametrize(
    ("second", "problems", "failure", "expected"),
    [
        (7, (), None, 7),
        (7, (), JournalMismatch("made up"), 7),
        (7, (), OSError("disk"), 5),  # what is in memory is still good
        (3, ("a newer one is corrupt",), None, 5),
        (3, (), None, 3),  # started afresh on purpose
        (None, ("all is corrupt",), None, 5),
    ],
)
async def test_loading_anew(
    tmp_path: Path, second: int | None, problems: tuple[str, ...], failure: Exception | None, expected: int
) -> None:
    versions = [
        Loaded(make_zone("one.test", 5), (), None),
        Loaded(None if second is None else make_zone("one.test", second), problems, None),
    ]
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path, lambda _: FakeReader(versions, failure))
    loader = recorder.loader
    await loader.refresh_manifest()
    await loader.refresh_zone(ONE)
    index = loader.zones.zones[ONE]
    assert index is not None
    assert index.zone.serial == expected


async def test_zone_that_is_not_configured_is_ignored(tmp_path: Path) -> None:
    write_manifest(tmp_path, [ONE])
    recorder = Recorder(tmp_path)
    await recorder.loader.refresh()
    await recorder.loader.refresh_zone(TWO)
    assert recorder.serials == {ONE: None}
