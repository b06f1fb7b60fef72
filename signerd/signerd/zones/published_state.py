"""What a zone's publication directory holds: finding its newest good version, and what is wrong there.

Reads only, so that the writer and the responders share it.

    <generation>.<serial>.snapshot   generation: 10 digits, one more for each snapshot
    journal                          differences that lead from one of the snapshots to the newest version
    *.corrupt                        what could not be used, kept for inspection

Generations say which snapshot is the newer; serials do not: after two large steps (RFC 1982, section 3.2) the
newer of two versions can have the "older" serial.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from signerd.dns.name import Name, format_name
from signerd.dns.serial import Serial, is_newer
from signerd.dns.zone import Zone
from signerd.zones.journal import (
    CorruptJournal,
    JournalEnd,
    JournalHeader,
    JournalRecord,
    UnsupportedJournal,
    scan_journal,
)
from signerd.zones.snapshot import CorruptSnapshot, UnsupportedSnapshot, read_snapshot
from signerd.zones.zone_difference import JournalMismatch, apply_differences

JOURNAL_NAME = "journal"
CORRUPT_SUFFIX = ".corrupt"

_SNAPSHOT_NAME = re.compile(r"([0-9]{10})\.(0|[1-9][0-9]{0,9})\.snapshot")
_CORRUPT_SNAPSHOT_NAME = re.compile(_SNAPSHOT_NAME.pattern + re.escape(CORRUPT_SUFFIX))


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A snapshot as its file name describes it."""

    path: Path
    generation: int
    serial: Serial

    @classmethod
    def name(cls, directory: Path, generation: int, serial: Serial) -> "SnapshotFile":
        """Say where a snapshot belongs."""
        return cls(directory / f"{generation:010}.{serial}.snapshot", generation, serial)


def list_snapshots(directory: Path, pattern: re.Pattern[str] = _SNAPSHOT_NAME) -> list[SnapshotFile]:
    """List a zone's snapshots, newest first; none if there is no directory.

    Raises:
        OSError: The directory cannot be read.
    """
    snapshots: list[SnapshotFile] = []
    try:
        for path in directory.iterdir():
            if (match := pattern.fullmatch(path.name)) and int(match[2]) < 2**32:
                snapshots.append(SnapshotFile(path, int(match[1]), Serial(int(match[2]))))
    except FileNotFoundError:
        return []
    return sorted(snapshots, key=lambda snapshot: snapshot.generation, reverse=True)


def find_highest_generation(directory: Path) -> int:
    """Give the highest generation ever used, as far as the directory tells; 0 for none.

    Raises:
        OSError: The directory cannot be read.
    """
    snapshots = list_snapshots(directory)[:1] + list_snapshots(directory, _CORRUPT_SNAPSHOT_NAME)[:1]
    return max((snapshot.generation for snapshot in snapshots), default=0)


@dataclass(slots=True)
class PublishedState:
    """A zone's publication directory as it was found."""

    zone: Zone | None = None
    problems: list[str] = field(default_factory=list[str])
    snapshots: list[SnapshotFile] = field(default_factory=list[SnapshotFile])  # newest first
    corrupt: list[Path] = field(default_factory=list[Path])  # no part of these files can be used
    header: JournalHeader | None = None
    chain: bytes | None = None  # the journal's chain value at this version; None if it does not lead here
    journal_end: int = 0  # the octet of the journal after the last usable record
    journal_state: JournalEnd = JournalEnd.CLEAN
    serials: list[Serial] = field(
        default_factory=list[Serial]
    )  # of the versions passed through, this one last
    lost_serials: list[Serial] = field(default_factory=list[Serial])  # of versions that cannot be used

    @property
    def newest_serial(self) -> Serial | None:
        """The newest serial that was ever published, as far as the directory tells."""
        newest = None if self.zone is None else self.zone.serial
        for serial in self.lost_serials:
            if newest is None or is_newer(serial, newest):
                newest = serial
        return newest


def read_state(directory: Path, origin: Name) -> PublishedState:
    """Find the newest good version: the newest good snapshot and the journal records that follow it.

    Raises:
        FileNotFoundError: A snapshot disappeared meanwhile; try again.
        OSError: The directory cannot be read.
    """
    state = PublishedState(snapshots=list_snapshots(directory))
    generation = 0
    for snapshot in state.snapshots:
        state.zone = _read_snapshot(snapshot, origin, state)
        if state.zone is not None:
            generation = snapshot.generation
            state.serials = [state.zone.serial]
            break
        state.lost_serials.append(snapshot.serial)
    aside = list_snapshots(directory, _CORRUPT_SNAPSHOT_NAME)
    state.lost_serials += [snapshot.serial for snapshot in aside if snapshot.generation > generation]
    _follow_journal(directory / JOURNAL_NAME, origin, state)
    return state


def _read_snapshot(snapshot: SnapshotFile, origin: Name, state: PublishedState) -> Zone | None:
    path = snapshot.path
    try:
        zone = read_snapshot(path)
        if zone.origin != origin or zone.serial != snapshot.serial:
            raise CorruptSnapshot(f"it holds {format_name(zone.origin)} serial {zone.serial}")
    except CorruptSnapshot as error:
        state.problems.append(f"{path}: corrupt snapshot: {error}")
        state.corrupt.append(path)
    except UnsupportedSnapshot as error:
        state.problems.append(f"{path}: snapshot not used: {error}")
    except FileNotFoundError:
        raise
    except OSError as error:
        state.problems.append(f"{path}: snapshot not readable: {error}")
    else:
        return zone
    return None


def _follow_journal(path: Path, origin: Name, state: PublishedState) -> None:
    try:
        data = path.read_bytes()
        header, scan = scan_journal(data)
        if header.origin != origin:
            raise CorruptJournal(f"it is the journal of {format_name(header.origin)}")
    except FileNotFoundError:
        return
    except CorruptJournal as error:
        state.problems.append(f"{path}: corrupt journal: {error}")
        state.corrupt.append(path)
        return
    except UnsupportedJournal as error:
        state.problems.append(f"{path}: journal not used: {error}")
        return
    except OSError as error:
        state.problems.append(f"{path}: journal not readable: {error}")
        return
    state.lost_serials += scan.lost_serials
    if scan.state is JournalEnd.CORRUPT:
        state.problems.append(f"{path}: corrupt journal: {scan.reason}")
    serials = [header.base_serial, *(record.new_serial for record in scan.records)]
    if state.zone is None or (state.corrupt and state.zone.serial not in serials):
        state.problems.append(
            f"{path}: journal of no use: no good snapshot of a version from {serials[0]} on"
        )
        state.lost_serials += serials
        if state.corrupt or not state.snapshots:  # else another release of this program may still use it
            state.corrupt.append(path)
        return
    state.header = header
    state.journal_end = scan.end
    state.journal_state = scan.state
    if state.zone.serial in serials:
        _apply_records(path, data, state.zone, serials.index(state.zone.serial), scan.records, state)
        state.chain = state.chain or header.chain


def _apply_records(
    path: Path, data: bytes, zone: Zone, index: int, records: list[JournalRecord], state: PublishedState
) -> None:
    following = records[index:]
    try:
        state.zone = apply_differences(zone, (record.read_difference(data) for record in following))
        good = len(following)
    except (JournalMismatch, CorruptJournal):
        good = _apply_one_by_one(path, data, zone, following, state)
    if index + good:
        state.chain = records[index + good - 1].chain
    state.serials += [record.new_serial for record in following[:good]]


def _apply_one_by_one(
    path: Path, data: bytes, zone: Zone, records: list[JournalRecord], state: PublishedState
) -> int:
    """Apply records up to the first that does not fit; give the number of those before it."""
    for count, record in enumerate(records):
        try:
            state.zone = zone = apply_differences(zone, [record.read_difference(data)])
        except (JournalMismatch, CorruptJournal) as error:
            state.problems.append(f"{path}: the record at octet {record.start} does not fit: {error}")
            state.journal_end = record.start
            state.journal_state = JournalEnd.CORRUPT
            state.lost_serials += [lost.new_serial for lost in records[count:]]
            return count
    return len(records)
