"""The list of zones through corrupt files and a full disk."""

import errno
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import trio

from signerd.dns.name import Name, parse_name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.zones import fleet as fleet_module
from signerd.zones.fleet import FleetOptions, ZoneFleet
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.manifest import MANIFEST_NAME, read_manifest, write_manifest
from signerd.zones.master_file import Limits
from signerd.zones.pipeline import (
    PipelineParts,
    SignedVersion,
    SigningImpossible,
    Stage,
    ZonePipeline,
)
from signerd.zones.publication import Publication
from signerd.zones.serial_policy import SerialPolicy
from signerd.zones.zone_directory import zone_directory_name
from signerd.zones.zone_list import ZoneEntry, list_zones

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"


class StandingClock:
    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


class NoSigner:
    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        return None

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        raise SigningImpossible("there is no key")


class AcceptAll:
    def __call__(
        self, version: SignedVersion, previous: Zone | None, progress: Callable[[int, int], None]
    ) -> list[str]:
        return []

    def check_published(self, zone: Zone) -> list[str]:
        return []


class Announcements:
    """Takes what responders are told; `wait` waits for the next."""

    def __init__(self) -> None:
        self.all: list[dict[str, object]] = []
        self.event = trio.Event()

    async def __call__(self, message: dict[str, object]) -> None:
        self.all.append(message)
        self.event.set()
        self.event = trio.Event()


def make_fleet(
    folder: Path, announce: Announcements, are_all_listed: Callable[[], bool] = lambda: True
) -> ZoneFleet:
    zones, published = folder / "zones", folder / "published"
    zones.mkdir(exist_ok=True)

    def record(zone: Name, stage: Stage, serial: int | None, detail: str) -> None:
        return None

    parts = PipelineParts(
        StandingClock(), zones, folder / "rejected", Limits(), record, lambda text, done, total: None
    )

    async def on_published(keeper: ZoneKeeper) -> None:
        raise AssertionError(f"{keeper.entry.text} cannot be signed")

    def make_keeper(entry: ZoneEntry) -> ZoneKeeper:
        publication = Publication(published / zone_directory_name(entry.name))
        pipeline = ZonePipeline(entry, publication, NoSigner(), AcceptAll(), SerialPolicy.UNIXTIME, parts)
        return ZoneKeeper(pipeline, StandingClock(), trio.CapacityLimiter(2), on_published)

    options = FleetOptions(
        lambda: list_zones(zones, []), "default", published, 0.01, are_all_listed=are_all_listed
    )
    return ZoneFleet(options, make_keeper, announce)


def list_names(folder: Path) -> list[str]:
    return [zone.directory for zone in read_manifest(folder / "published")]


async def test_a_corrupt_list_of_zones_is_made_anew_and_no_published_zone_is_lost(tmp_path: Path) -> None:
    for name in ("gone.test", "kept.test"):
        (tmp_path / "published" / name).mkdir(parents=True)
    (tmp_path / "published" / MANIFEST_NAME).write_bytes(b'{"format": 1, "zo')
    fleet = make_fleet(tmp_path, Announcements())
    (tmp_path / "zones" / "kept.test.zone").write_text(ZONE)
    known = fleet.prepare()
    assert {name: entry.file is None for name, entry in known.items()} == {
        parse_name("gone.test."): True,
        parse_name("kept.test."): False,
    }
    assert list_names(tmp_path) == ["gone.test", "kept.test"]


async def test_a_list_of_zones_corrupted_under_a_running_server_is_written_again(tmp_path: Path) -> None:
    announce = Announcements()
    fleet = make_fleet(tmp_path, announce)
    (tmp_path / "zones" / "one.test.zone").write_text(ZONE)
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, fleet.prepare())
        (tmp_path / "published" / MANIFEST_NAME).write_bytes(b"")
        with trio.fail_after(60):
            await announce.event.wait()
        nursery.cancel_scope.cancel()
    assert list_names(tmp_path) == ["one.test"]


async def test_a_full_disk_neither_stops_the_server_nor_loses_a_new_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full, refused = True, trio.Event()
    loop = trio.lowlevel.current_trio_token()

    def write_on_full_disk(published: Path, names: Iterable[Name]) -> None:
        if is_full:
            trio.from_thread.run_sync(refused.set, trio_token=loop)
            raise OSError(errno.ENOSPC, "No space left on device")
        write_manifest(published, names)

    announce = Announcements()
    fleet = make_fleet(tmp_path, announce)
    known = fleet.prepare()
    monkeypatch.setattr(fleet_module, "write_manifest", write_on_full_disk)
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, known)
        (tmp_path / "zones" / "new.test.zone").write_text(ZONE)
        with trio.fail_after(60):
            await refused.wait()
            assert list_names(tmp_path) == []
            is_full = False
            await announce.event.wait()
        nursery.cancel_scope.cancel()
    assert list_names(tmp_path) == ["new.test"]
    assert announce.all == [{"zones": True}]


async def test_a_start_on_a_full_disk_keeps_the_list_of_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = make_fleet(tmp_path, Announcements())
    (tmp_path / "zones" / "one.test.zone").write_text(ZONE)
    fleet.prepare()

    def refuse(published: Path, names: Iterable[Name]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    announce = Announcements()
    fleet = make_fleet(tmp_path, announce)
    (tmp_path / "zones" / "two.test.zone").write_text(ZONE)
    with monkeypatch.context() as patch:
        patch.setattr(fleet_module, "write_manifest", refuse)
        known = fleet.prepare()
    assert list_names(tmp_path) == ["one.test"]
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, known)
        with trio.fail_after(60):
            await announce.event.wait()
        nursery.cancel_scope.cancel()
    assert list_names(tmp_path) == ["one.test", "two.test"]


async def test_a_zone_is_not_forgotten_while_the_list_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce = Announcements()
    fleet = make_fleet(tmp_path, announce)
    (tmp_path / "published" / "gone.test").mkdir(parents=True)
    write_manifest(tmp_path / "published", [parse_name("gone.test.")])
    name = parse_name("gone.test.")
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, fleet.prepare())

        def refuse(published: Path, names: Iterable[Name]) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(fleet_module, "write_manifest", refuse)
            with pytest.raises(OSError, match="No space"):
                await fleet.forget(name)
        assert name in fleet.keepers
        await fleet.forget(name)
        assert name not in fleet.keepers
        nursery.cancel_scope.cancel()
    assert list_names(tmp_path) == []
    assert not (tmp_path / "published" / "gone.test").exists()


async def test_a_zone_is_not_forgotten_while_it_may_be_one_of_the_database(tmp_path: Path) -> None:
    readable = [False]
    fleet = make_fleet(tmp_path, Announcements(), lambda: readable[-1])
    (tmp_path / "published" / "gone.test").mkdir(parents=True)
    write_manifest(tmp_path / "published", [parse_name("gone.test.")])
    name = parse_name("gone.test.")
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, fleet.prepare())
        with pytest.raises(FileExistsError, match=r"zone gone\.test may be kept in the database"):
            await fleet.forget(name)
        assert (tmp_path / "published" / "gone.test").exists()
        readable.append(True)
        await fleet.forget(name)
        nursery.cancel_scope.cancel()
    assert not (tmp_path / "published" / "gone.test").exists()
