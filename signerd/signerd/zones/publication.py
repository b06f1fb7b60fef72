"""Publication: how a zone's versions get from the control process to the responders, and survive crashes.

A directory for each zone holds snapshots and a journal (published_state.py says which files). One writer, the
control process; any number of readers, which find files by name and never write. When `publish` returns, the
version is on the disk; when it raises or is interrupted at any point, the old version or the new is there.

The writer keeps two snapshots and a journal that begins at the older one, so that the newest version can be
made even when the newest snapshot turns out corrupt; only a journal too long for that begins later.
"""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from signerd.dns.name import format_name
from signerd.dns.serial import Serial, is_newer
from signerd.dns.zone import Zone
from signerd.zones.durable_file import (
    FILE_OPERATIONS,
    FileOperations,
    clean_temporaries,
    make_directories,
    replace_file,
)
from signerd.zones.journal import (
    CHAIN_OCTETS,
    MAX_HEADER_OCTETS,
    CorruptJournal,
    JournalEnd,
    JournalWriter,
    UnsupportedJournal,
    decode_header,
    scan_journal,
    scan_records,
)
from signerd.zones.published_state import (
    CORRUPT_SUFFIX,
    JOURNAL_NAME,
    PublishedState,
    SnapshotFile,
    find_highest_generation,
    list_snapshots,
    read_state,
)
from signerd.zones.record_stream import count_octets
from signerd.zones.snapshot import Progress, write_snapshot
from signerd.zones.zone_difference import ZoneDifference, compare_zones
from signerd.zones.zone_directory import read_zone_directory_name

_KEPT_SNAPSHOTS = 2
_REMOVED_PREFIX = ".removed."
_LOAD_ATTEMPTS = 10  # a reader starts again when the writer replaced files meanwhile; this bounds it


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """When a new snapshot is due.

    Attributes:
        ratio: Of the snapshot's length; when the journal records after it are longer, the next is written.
        floor_octets: No snapshot for less than this, however small the zone.
        max_octets: Longest journal after a snapshot; a longer difference is not put into the journal at all.
    """

    ratio: float = 0.5
    floor_octets: int = 2**16
    max_octets: int = 2**26


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found in a zone's directory.

    Attributes:
        zone: The newest good version, None if there is none.
        problems: What was wrong, each naming the file.
        newest_serial: The newest serial ever published as far as can be seen; newer than the zone's when
            versions were lost to corruption. The next version must be newer than this one.
    """

    zone: Zone | None
    problems: tuple[str, ...]
    newest_serial: Serial | None


class Publication:
    """The writer of one zone's directory. Not for use by two threads at a time."""

    def __init__(
        self, directory: Path, limits: JournalLimits | None = None, files: FileOperations = FILE_OPERATIONS
    ) -> None:
        """Do nothing yet.

        Args:
            directory: Named by `zone_directory_name`; made by the first `publish`.
            limits: When snapshots are written.
            files: What does the steps of durable changes.
        """
        self._directory = directory
        self._origin = read_zone_directory_name(directory.name)
        self.limits = limits or JournalLimits()
        self._files = files
        self._journal: JournalWriter | None = None  # None: look at the file before the next use
        self._generation = 0  # of the last snapshot, though it may have failed
        self._leftover: Path | None = None  # a snapshot that must go before anything else is published

    def load(self) -> Loaded:
        """Find the newest good version and repair the directory: what is corrupt is moved aside.

        Raises:
            OSError: The directory cannot be read. A failing repair is a problem in the result instead.
        """
        self._journal = self._leftover = None
        state = read_state(self._directory, self._origin)
        if self._directory.is_dir():
            try:
                self._repair(state)
            except OSError as error:
                state.problems.append(f"{self._directory}: cannot be repaired: {error}")
        return Loaded(state.zone, tuple(state.problems), state.newest_serial)

    def _repair(self, state: PublishedState) -> None:
        files, directory = self._files, self._directory
        clean_temporaries(directory, files)
        for path in state.corrupt:
            files.rename(path, _find_free_name(path))
        journal = directory / JOURNAL_NAME
        if state.header is not None and state.journal_state is not JournalEnd.CLEAN:
            if state.journal_state is JournalEnd.CORRUPT:
                replace_file(_find_free_name(journal), [journal.read_bytes()], files)
            descriptor = files.open_existing(journal)
            try:
                files.truncate(descriptor, state.journal_end)
                files.sync(descriptor)
            finally:
                files.close(descriptor)
        if state.corrupt:
            files.sync_directory(directory)

    def publish(
        self,
        new: Zone,
        previous: Zone | None,
        progress: Progress | None = None,
        on_published: Callable[[], None] = lambda: None,
    ) -> tuple[str, ...]:
        """Make a version the published one; it is on the disk when this returns.

        Args:
            new: The next version.
            previous: The version that `load` gave or that was published last, None if there is none.
            progress: Called while a snapshot is written, with KiB written and to write.
            on_published: Called as soon as readers may be told of the version: it is on the disk, and what is
                left to do is only to write again what is there already, in fewer octets.

        Returns:
            What went wrong without touching the version: the tidying up, tried again next time.

        Raises:
            OSError: The previous version is still the published one. (Should the disk refuse even to take the
                attempt back, readers that load anew before the next `publish`, and a restart, may find the
                new one.)
            ValueError: The zone's name is not the directory's, or the serial is not newer than the previous.
        """
        if new.origin != self._origin:
            raise ValueError(f"{self._directory} is not for zone {format_name(new.origin)}")
        if previous is not None and not is_newer(new.serial, previous.serial):
            raise ValueError(f"serial {new.serial} is not newer than {previous.serial}")
        make_directories(self._directory, self._files)
        if self._leftover is not None:
            self._withdraw(self._leftover)
        if previous is None:
            problems = self._start_afresh(new, progress)
            on_published()
            return problems
        difference = compare_zones(previous, new)
        octets = sum(map(count_octets, difference.removed + difference.added))
        journal = self._prepare_journal(new, previous)
        if journal is None or octets > self.limits.max_octets:
            problems = self._publish_snapshot(new, progress)
            on_published()
            return problems
        try:
            journal.append(difference)
        except CorruptJournal as error:
            problems = (str(error), *self._publish_snapshot(new, progress))
            on_published()
            return problems
        on_published()
        try:
            self._compact(new, journal, progress)
        except (OSError, CorruptJournal) as error:
            self._journal = None
            return (f"{self._directory}: cannot be compacted: {error}",)
        return ()

    def _start_afresh(self, new: Zone, progress: Progress | None) -> tuple[str, ...]:
        journal = self._directory / JOURNAL_NAME
        if journal.exists():  # its serials may come again, and must not be taken for the new versions
            self._files.rename(journal, _find_free_name(journal))
            self._files.sync_directory(self._directory)
        return self._publish_snapshot(new, progress)

    def _publish_snapshot(self, new: Zone, progress: Progress | None) -> tuple[str, ...]:
        """Publish without a journal record: readers and secondaries have to take the whole zone."""
        self._journal = None
        snapshot = self._name_snapshot(new)
        try:
            write_snapshot(snapshot.path, new, self._files, progress)
        except OSError:
            with contextlib.suppress(OSError):  # else the next publish does it
                self._withdraw(snapshot.path)
            raise
        try:
            self._start_journal(new.serial)
            self._prune_snapshots()
        except OSError as error:
            return (f"{self._directory}: cannot be tidied up: {error}",)
        return ()

    def _prepare_journal(self, new: Zone, previous: Zone) -> JournalWriter | None:
        """Give a journal whose last version is the previous one and to which the next can be added.

        Without an attempt that was not announced: it is cut off. None if only a snapshot will do.
        """
        journal = self._journal
        path = self._directory / JOURNAL_NAME
        try:
            if journal is None:
                journal = JournalWriter.open(path, self._origin, self._files)
            journal.trim()
        except FileNotFoundError:
            journal = None
        except (CorruptJournal, UnsupportedJournal):
            self._files.rename(path, _find_free_name(path))
            self._files.sync_directory(self._directory)
            journal = None
        snapshots = list_snapshots(self._directory)
        if journal is None or journal.last_serial != previous.serial:
            # No journal leads to the previous version, so it is a snapshot.
            if not snapshots or snapshots[0].serial != previous.serial:
                return None
            journal = self._start_journal(previous.serial)
        if journal.has_version(new.serial) or any(new.serial == snapshot.serial for snapshot in snapshots):
            # The serial went round once. Let no file be left in which it means another version.
            if snapshots[0].serial != previous.serial:
                snapshot = self._name_snapshot(previous)
                write_snapshot(snapshot.path, previous, self._files)
            self._prune_snapshots(keep=1)
            journal = self._start_journal(previous.serial)
        self._journal = journal
        return journal

    def _start_journal(self, serial: Serial) -> JournalWriter:
        self._journal = None
        path = self._directory / JOURNAL_NAME
        self._journal = JournalWriter.create(path, self._origin, serial, self._files)
        return self._journal

    def _compact(self, new: Zone, journal: JournalWriter, progress: Progress | None) -> None:
        """Write a snapshot if the journal is long, and drop what no longer serves anyone."""
        newest = next(iter(list_snapshots(self._directory)), None)
        limits = self.limits
        is_connected = newest is not None and journal.has_version(newest.serial)
        if newest is not None and is_connected:
            allowed = max(limits.floor_octets, int(limits.ratio * newest.path.stat().st_size))
            if journal.count_octets_since(newest.serial) <= min(allowed, limits.max_octets):
                return
        write_snapshot(self._name_snapshot(new).path, new, self._files, progress)
        if (
            newest is not None
            and is_connected
            and journal.count_octets_since(newest.serial) <= limits.max_octets
        ):
            journal.drop_before(newest.serial)
        else:
            journal.drop_before(journal.find_base(limits.max_octets))
        self._prune_snapshots()

    def _name_snapshot(self, zone: Zone) -> SnapshotFile:
        # A generation is never used twice: a reader may have seen a snapshot that was withdrawn.
        self._generation = max(self._generation, find_highest_generation(self._directory)) + 1
        return SnapshotFile.name(self._directory, self._generation, zone.serial)

    def _prune_snapshots(self, keep: int = _KEPT_SNAPSHOTS) -> None:
        old = list_snapshots(self._directory)[keep:]
        for snapshot in old:
            self._files.unlink(snapshot.path)
        if old:
            self._files.sync_directory(self._directory)

    def _withdraw(self, path: Path) -> None:
        """Remove a snapshot whose version is not to be published, though it may be in place."""
        self._leftover = path
        self._files.unlink(path)
        self._files.sync_directory(self._directory)
        self._leftover = None

    def remove(self) -> None:
        """Remove the zone's directory durably; no error if there is none.

        Raises:
            OSError: The directory is still there, or renamed and for `clean_removed` to finish.
        """
        self._journal = self._leftover = None
        name = hashlib.sha256(self._directory.name.encode()).hexdigest()[:32]
        removed = self._directory.with_name(f"{_REMOVED_PREFIX}{name}")
        if removed.exists():
            _delete_directory(removed, self._files)
        if self._directory.exists():
            self._files.rename(self._directory, removed)
            self._files.sync_directory(removed.parent)
            _delete_directory(removed, self._files)


def clean_removed(published: Path, files: FileOperations = FILE_OPERATIONS) -> None:
    """Finish removals that were interrupted; for the writer only.

    Raises:
        OSError: A directory cannot be removed.
    """
    for path in published.glob(f"{_REMOVED_PREFIX}*"):
        _delete_directory(path, files)


def _delete_directory(directory: Path, files: FileOperations) -> None:
    for path in sorted(directory.iterdir()):
        files.unlink(path)
    files.remove_directory(directory)


class PublicationReader:
    """A responder's view of one zone's directory. Writes nothing; not for use by two threads at a time."""

    def __init__(self, directory: Path) -> None:
        """Do nothing yet.

        Args:
            directory: Named by `zone_directory_name`; it need not exist.
        """
        self._directory = directory
        self._origin = read_zone_directory_name(directory.name)
        self._generation = 0
        self._serials: list[Serial] = []  # passed through since the newest snapshot known
        self._header = b""
        self._position = 0
        self._chain: bytes | None = None

    def load(self) -> Loaded:
        """Find the newest good version.

        Raises:
            OSError: The directory cannot be read.
        """
        state: PublishedState | None = None
        for _ in range(_LOAD_ATTEMPTS):
            try:
                state = read_state(self._directory, self._origin)
            except FileNotFoundError:
                continue
            if list_snapshots(self._directory)[:1] == state.snapshots[:1]:
                break
        if state is None:
            return Loaded(None, (f"{self._directory}: changes faster than it can be read",), None)
        self._generation = max((snapshot.generation for snapshot in state.snapshots), default=0)
        self._serials = state.serials
        self._header = b"" if state.header is None else state.header.encode()
        self._chain = state.chain
        self._position = state.journal_end
        return Loaded(state.zone, tuple(state.problems), state.newest_serial)

    def advance(self, zone: Zone) -> list[ZoneDifference] | None:
        """Read what was published since.

        Args:
            zone: What `load` gave, with all that `advance` gave since applied.

        Returns:
            The differences to apply, oldest first; none if there is nothing new, or nothing that can be read.
            None if they do not tell how to get to the newest version: load anew.

        Raises:
            OSError: The directory or the journal cannot be read. The version at hand is still good.
        """
        if not self._serials or zone.serial != self._serials[-1]:
            return None
        # Snapshots are listed first: the journal record of a snapshot seen here is then seen below.
        snapshots = list_snapshots(self._directory)
        if self._chain is None and all(snapshot.generation != self._generation for snapshot in snapshots):
            return None  # the version was in that snapshot alone, which may have been withdrawn
        differences = self._read_journal(self._serials[-1])
        if differences is None:
            return None
        self._serials += [difference.new_serial for difference in differences]
        if snapshots and snapshots[0].generation > self._generation:
            if snapshots[0].serial not in self._serials:
                return None
            self._generation = snapshots[0].generation
            del self._serials[: self._serials.index(snapshots[0].serial)]
        return differences

    def _read_journal(self, serial: Serial) -> list[ZoneDifference] | None:
        try:
            with (self._directory / JOURNAL_NAME).open("rb") as file:
                header = decode_header(file.read(MAX_HEADER_OCTETS))
                offset = max(self._position - CHAIN_OCTETS, 0)
                file.seek(offset)
                data = file.read()
                encoded = header.encode()
                if self._chain is not None and encoded == self._header:
                    is_at_base = self._position == header.octets
                    if is_at_base or data[:CHAIN_OCTETS] == self._chain:
                        return self._take(
                            data[self._position - offset :], self._position, serial, self._chain
                        )
                file.seek(0)
                data = file.read()
        except FileNotFoundError:
            return None if self._header else []
        except (CorruptJournal, UnsupportedJournal):
            return []
        return self._find_place(data, serial)

    def _find_place(self, data: bytes, serial: Serial) -> list[ZoneDifference] | None:
        """Go on in a journal that was rewritten, if this version is in it."""
        header, scan = scan_journal(data)
        places = [(header.octets, header.base_serial, header.chain)]
        places += [(record.end, record.new_serial, record.chain) for record in scan.records]
        for position, place_serial, chain in places:
            if chain == self._chain or (self._chain is None and place_serial == serial):
                self._header = header.encode()
                return self._take(data[position:], position, place_serial, chain)
        return None if scan.state is JournalEnd.CLEAN else []

    def _take(self, data: bytes, offset: int, serial: Serial, chain: bytes) -> list[ZoneDifference]:
        scan = scan_records(data, offset, serial, chain)
        differences = [record.read_difference(data, offset) for record in scan.records]
        self._position = scan.end
        self._chain = scan.records[-1].chain if scan.records else chain
        return differences


def _find_free_name(path: Path) -> Path:
    """Find a name for a file that is moved aside."""
    free = path.with_name(path.name + CORRUPT_SUFFIX)
    number = 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}{CORRUPT_SUFFIX}")
    return free
