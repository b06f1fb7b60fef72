"""Each step of a publication fails once: process killed, power cut, disk full or broken."""

import errno
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from signerd.dns.name import parse_name
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.durable_file import FileOperations
from signerd.zones.publication import JournalLimits, Publication, PublicationReader
from signerd.zones.zone_difference import apply_differences

ORIGIN = parse_name("example.")
LARGE = JournalLimits(floor_octets=2**20)  # no compaction
EAGER = JournalLimits(floor_octets=0, ratio=0.0)  # one with every version
NO_JOURNAL = JournalLimits(max_octets=0)


def make_zone(serial: int, number: int) -> Zone:
    soa = b"\0\0" + struct.pack("!5I", serial, 1, 2, 3, 4)
    txt = RRset(ORIGIN, 16, 60, (b"%d" % number,), (b"\0\x10%d" % number,))
    return Zone(ORIGIN, {ORIGIN: {SOA: RRset(ORIGIN, SOA, 60, (soa,)), 16: txt}})


def describe(zone: Zone | None) -> object:
    return None if zone is None else (zone.origin, zone.names, zone.nsec3)


@dataclass(frozen=True)
class Scenario:
    """Versions published before, with these limits each, and the one whose publication is disturbed."""

    serials: tuple[int, ...]
    limits: tuple[JournalLimits, ...]

    @property
    def versions(self) -> list[Zone]:
        return [make_zone(serial, number) for number, serial in enumerate(self.serials)]

    def prepare(self, directory: Path) -> tuple[Zone | None, Zone, JournalLimits]:
        *earlier, new = self.versions
        previous = None
        for version, limits in zip(earlier, self.limits, strict=False):
            assert Publication(directory, limits).publish(version, previous) == ()
            previous = version
        directory.parent.mkdir(exist_ok=True)
        return previous, new, self.limits[-1]


HALF = 2**31 - 1
SCENARIOS = {
    "first": Scenario((1,), (LARGE,)),
    "append": Scenario((1, 2, 3), (LARGE, LARGE, LARGE)),
    "compact": Scenario((1, 2, 3, 4), (LARGE, EAGER, EAGER, EAGER)),
    "long difference": Scenario((1, 2, 3), (LARGE, LARGE, NO_JOURNAL)),
    "after a long difference": Scenario((1, 2, 3), (LARGE, NO_JOURNAL, LARGE)),
    "serial comes again": Scenario((1, 1 + HALF, 1 + 2 * HALF, 1), (LARGE, LARGE, EAGER, LARGE)),
    "serial of a snapshot comes again": Scenario(
        (1, 1 + HALF, 1 + 2 * HALF, 1), (LARGE, EAGER, LARGE, EAGER)
    ),
    "serial comes again, long difference": Scenario(
        (1, 1 + HALF, 1 + 2 * HALF, 1), (LARGE, LARGE, LARGE, NO_JOURNAL)
    ),
}
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))


class Killed(BaseException):
    """The process is no more: nothing it would do after this happens."""


class Disturbed(FileOperations):
    """Calls `strike` before the step of a given number, and in the middle of it if it is a write."""

    def __init__(self, strike: Callable[[int], None]) -> None:
        self._strike = strike
        self.steps = 0
        self.is_over = False

    def _step(self) -> None:
        if not self.is_over:
            self.steps += 1
            self._strike(self.steps)

    def make_directory(self, path: Path) -> None:
        self._step()
        super().make_directory(path)

    def open_new(self, path: Path) -> int:
        self._step()
        return super().open_new(path)

    def open_existing(self, path: Path) -> int:
        self._step()
        return super().open_existing(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._step()
        super().write(descriptor, data[: len(data) // 2])
        self._step()
        super().write(descriptor, data[len(data) // 2 :])

    def truncate(self, descriptor: int, octets: int) -> None:
        self._step()
        super().truncate(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._step()
        super().sync_directory(path)


def make_base(scenario: Scenario, root: Path) -> tuple[Path, Zone | None, Zone, JournalLimits]:
    base = root / "base"
    base.mkdir()
    return base, *scenario.prepare(base / "published" / "example")


def iterate_copies(base: Path) -> Iterator[tuple[int, Path]]:
    """Give the number of the step to disturb and a fresh directory tree to do it in."""
    for number in count(1):
        assert number < 200
        copy = base.with_name(f"copy{number}")
        shutil.copytree(base, copy)
        yield number, copy / "published" / "example"
        shutil.rmtree(copy)


def check_goes_on(directory: Path, scenario: Scenario, *allowed: Zone | None) -> None:
    """A new start finds one of the versions allowed, and can publish after it."""
    seen = PublicationReader(directory).load()
    publication = Publication(directory, scenario.limits[-1])
    loaded = publication.load()
    assert (loaded.problems, seen.problems) == ((), ())
    assert describe(loaded.zone) == describe(seen.zone)
    assert describe(loaded.zone) in [describe(version) for version in allowed]
    following = make_zone(1 if loaded.zone is None else (loaded.zone.serial + 1) % 2**32, 100)
    reader = PublicationReader(directory)
    served = reader.load().zone
    assert publication.publish(following, loaded.zone) == ()
    assert describe(Publication(directory).load().zone) == describe(following)
    differences = None if served is None else reader.advance(served)
    if served is not None and differences is not None:
        assert describe(apply_differences(served, differences)) == describe(following)
    snapshots = sorted(directory.glob("*.snapshot"))
    if len(snapshots) > 1:  # nor does falling back to the older snapshot mix up versions
        snapshots[-1].write_bytes(b"")
        fallback = PublicationReader(directory).load().zone
        assert describe(fallback) in [
            describe(version) for version in (*scenario.versions, *allowed, following)
        ]


@each_scenario
def test_killed_at_any_step_leaves_the_old_or_the_new_version(scenario: Scenario, tmp_path: Path) -> None:
    base, previous, new, limits = make_base(scenario, tmp_path)
    for number, directory in iterate_copies(base):

        def strike(step: int, at: int = number) -> None:
            if step >= at:
                raise Killed

        files = Disturbed(strike)
        try:
            Publication(directory, limits, files).publish(new, previous)
        except Killed:
            check_goes_on(directory, scenario, previous, new)
            continue
        check_goes_on(directory, scenario, new)
        assert files.steps < number
        break


class LosesPower(Disturbed):
    """Knows what would be on the disk: file content as of the last fsync, names as of the directory's.

    Each file gets another hard link as long as this object is in use, so that its inode number stays its own.
    """

    def __init__(self, strike: Callable[[int], None], root: Path, graveyard: Path) -> None:
        super().__init__(strike)
        self._root = root
        self._graveyard = graveyard
        self._content: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int | None]] = {}
        graveyard.mkdir()
        for directory in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            self._names[directory] = self._list(directory)
            for path in directory.iterdir():
                if path.is_file():
                    self._content[path.stat().st_ino] = path.read_bytes()

    def _list(self, directory: Path) -> dict[str, int | None]:
        names: dict[str, int | None] = {}
        for path in directory.iterdir():
            names[path.name] = None
            if path.is_file():
                names[path.name] = inode = path.stat().st_ino
                with suppress(FileExistsError):
                    os.link(path, self._graveyard / str(inode))
        return names

    def open_new(self, path: Path) -> int:
        descriptor = super().open_new(path)
        os.link(path, self._graveyard / str(os.fstat(descriptor).st_ino))
        return descriptor

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        inode = os.fstat(descriptor).st_ino
        self._content[inode] = (self._graveyard / str(inode)).read_bytes()

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._names[path] = self._list(path)

    def lose_power(self, *, names: bool, content: bool) -> None:
        """Bring the tree to what the disk may hold: without names, or content, that were not synced."""
        kept = dict(self._names)
        if not names:
            directories = [self._root, *(path for path in self._root.rglob("*") if path.is_dir())]
            kept = {directory: self._list(directory) for directory in directories}
        now = {path.name: path.read_bytes() for path in self._graveyard.iterdir()}
        shutil.rmtree(self._root)
        self._root.mkdir()
        for directory in sorted(kept):
            if not directory.exists():
                continue  # its name is not on the disk
            for name, inode in kept[directory].items():
                if inode is None:
                    (directory / name).mkdir()
                    continue
                data = now[str(inode)]
                if content:  # the size may have come to the disk before the content
                    data = self._content.get(inode, bytes(len(data)))
                (directory / name).write_bytes(data)


@each_scenario
@pytest.mark.parametrize(("names", "content"), [(True, False), (False, True), (True, True)])
def test_power_cut_at_any_step_leaves_the_old_or_the_new_version(
    scenario: Scenario, tmp_path: Path, names: bool, content: bool
) -> None:
    base, previous, new, limits = make_base(scenario, tmp_path)
    for number, directory in iterate_copies(base):

        def strike(step: int, at: int = number) -> None:
            if step >= at:
                raise Killed

        files = LosesPower(strike, directory.parent.parent, tmp_path / f"graveyard{number}")
        allowed: list[Zone | None] = [new]
        try:
            Publication(directory, limits, files).publish(new, previous)
        except Killed:
            allowed = [previous, new]
        files.lose_power(names=names, content=content)
        check_goes_on(directory, scenario, *allowed)
        shutil.rmtree(tmp_path / f"graveyard{number}")
        if files.steps < number:
            break


@each_scenario
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_step_that_fails_leaves_the_served_version_and_the_writer_goes_on(
    scenario: Scenario, tmp_path: Path, code: int
) -> None:
    base, previous, new, limits = make_base(scenario, tmp_path)
    for number, directory in iterate_copies(base):

        def strike(step: int, at: int = number) -> None:
            if step == at:
                raise OSError(code, "struck")

        files = Disturbed(strike)
        publication = Publication(directory, limits, files)
        reader = PublicationReader(directory)
        served = reader.load().zone
        assert describe(served) == describe(previous)
        retried: Zone | None = new
        with suppress(OSError):
            publication.publish(new, previous)
            retried = None
        files.is_over = True
        if retried is not None:
            assert describe(PublicationReader(directory).load().zone) == describe(previous)
            assert served is None or reader.advance(served) in ([], None)
            retried = make_zone(new.serial, 50)  # the pipeline may come with something else
            assert publication.publish(retried, previous) == ()
        current = retried or new
        assert describe(PublicationReader(directory).load().zone) == describe(current)
        differences = None if served is None else reader.advance(served)
        if served is None or differences is None:
            served = reader.load().zone
        else:
            served = apply_differences(served, differences)
        assert describe(served) == describe(current)
        following = make_zone((new.serial + 1) % 2**32, 51)
        assert publication.publish(following, current) == ()
        assert describe(Publication(directory).load().zone) == describe(following)
        assert not list(directory.glob(".*"))
        if files.steps < number:
            break


class Full(Disturbed):
    """A disk on which, from some step on, nothing can be written; removing and cutting works."""

    def unlink(self, path: Path) -> None:
        FileOperations.unlink(self, path)

    def truncate(self, descriptor: int, octets: int) -> None:
        FileOperations.truncate(self, descriptor, octets)

    def sync(self, descriptor: int) -> None:
        FileOperations.sync(self, descriptor)

    def sync_directory(self, path: Path) -> None:
        FileOperations.sync_directory(self, path)


@each_scenario
def test_a_disk_that_stays_full_keeps_the_served_version_until_there_is_space(
    scenario: Scenario, tmp_path: Path
) -> None:
    base, previous, new, limits = make_base(scenario, tmp_path)
    for number, directory in iterate_copies(base):

        def strike(step: int, at: int = number) -> None:
            if step >= at:
                raise OSError(errno.ENOSPC, "no space left")

        files = Full(strike)
        publication = Publication(directory, limits, files)
        published = previous
        for _ in range(3):
            with suppress(OSError):
                if published is not new:
                    publication.publish(new, previous)
                    published = new
            assert describe(PublicationReader(directory).load().zone) == describe(published)
        files.is_over = True
        if published is not new:
            assert publication.publish(new, previous) == ()
        assert describe(Publication(directory).load().zone) == describe(new)
        if files.steps < number:
            break


@each_scenario
@pytest.mark.parametrize("limits_after", [LARGE, NO_JOURNAL])
def test_a_disk_that_even_refuses_to_take_back_gets_right_again(
    scenario: Scenario, tmp_path: Path, limits_after: JournalLimits
) -> None:
    base, previous, new, limits = make_base(scenario, tmp_path)
    for number, directory in iterate_copies(base):

        def strike(step: int, at: int = number) -> None:
            if step >= at:
                raise OSError(errno.EIO, "struck")

        files = Disturbed(strike)
        publication = Publication(directory, limits, files)
        current: Zone = make_zone(new.serial, 50)
        with suppress(OSError):
            publication.publish(new, previous)
            current = new
        files.is_over = True
        publication.limits = limits_after
        if current is not new:
            reader = PublicationReader(directory)
            seen = reader.load().zone
            assert describe(seen) in [describe(previous), describe(new)]
            assert publication.publish(current, previous) == ()
            if seen is not None and (differences := reader.advance(seen)) is not None:
                assert describe(apply_differences(seen, differences)) == describe(current)
        check_goes_on(directory, Scenario(scenario.serials, (limits_after,)), current)
        if files.steps < number:
            break
