"""Notices that files changed on disk, once they have settled."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Fingerprint(NamedTuple):
    """What `stat` says of a file; an editor that writes or replaces it changes at least one of these."""

    device: int
    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


def take_fingerprints(files: Iterable[Path]) -> dict[Path, Fingerprint | None]:
    """Look at files; None stands for one that is not there or cannot be looked at."""
    fingerprints: dict[Path, Fingerprint | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            fingerprints[file] = None
        else:
            fingerprints[file] = Fingerprint(
                status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            )
    return fingerprints


class FileWatch:
    """Compares what files look like with what they looked like when they were last read.

    A file that is being written changes from one look to the next: it is reported only when two looks in a
    row agree, so that half a file is seldom read (and if it is, the next look reports it again).
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self._read: dict[Path, Fingerprint | None] = {}
        self._seen: dict[Path, Fingerprint | None] = {}

    def mark_read(self, fingerprints: Mapping[Path, Fingerprint | None]) -> None:
        """Remember what the files looked like just before they were read."""
        self._read.update(fingerprints)

    def observe(self, fingerprints: Mapping[Path, Fingerprint | None]) -> set[Path]:
        """Take in one look; give the files that changed since they were read and have settled."""
        settled = {
            file
            for file, fingerprint in fingerprints.items()
            if file in self._seen and self._seen[file] == fingerprint
        }
        self._seen = dict(fingerprints)
        return {file for file in settled if file not in self._read or self._read[file] != fingerprints[file]}
