"""Files that are either the old or the new one after a crash, never something between.

The order is the usual one: write under a temporary name in the same directory, fsync the file, rename, fsync
the directory. All changes go through a `FileOperations`, so that a test can fail or stop at each of them.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

DIRECTORY_MODE = 0o755  # published zones are public data; responders may run as another user
FILE_MODE = 0o644

_TEMPORARY_PREFIX = "."
_TEMPORARY_SUFFIX = ".new"


class FileOperations:
    """The steps of a durable change, each one call to the operating system (or a loop of one).

    All methods raise OSError as the system gives it.
    """

    def make_directory(self, path: Path) -> None:
        """Make a directory readable by all, whatever the umask; no error if it is there."""
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            path.chmod(DIRECTORY_MODE)

    def open_new(self, path: Path) -> int:
        """Create a file readable by all, whatever the umask, and open it for writing; it must not exist."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        os.fchmod(descriptor, FILE_MODE)
        return descriptor

    def open_existing(self, path: Path) -> int:
        """Open a file for appending."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all the octets."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def truncate(self, descriptor: int, octets: int) -> None:
        """Cut an open file."""
        os.ftruncate(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        """Wait until content and size of an open file are on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or directory another name; a file of that name is replaced."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a file; no error if there is none."""
        path.unlink(missing_ok=True)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


FILE_OPERATIONS = FileOperations()


def replace_file(path: Path, chunks: Iterable[bytes], files: FileOperations = FILE_OPERATIONS) -> int:
    """Write a file durably, in place of the one that is there.

    One writer at a time for each path. After a crash the old file or the new one is there, whole.

    Args:
        path: Its directory must exist.
        chunks: The content; an error raised by it also leaves the old file.
        files: What does the steps.

    Returns:
        The octets written.

    Raises:
        OSError: Nothing has changed and the temporary is gone (or removed by `clean_temporaries` if even that
            failed). The one exception is a failing fsync of the directory, the last step: then the new file
            is in place, but might be the old one again after a loss of power.
    """
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{path.name}{_TEMPORARY_SUFFIX}")
    octets = 0
    files.unlink(temporary)
    try:
        descriptor = files.open_new(temporary)
        try:
            for chunk in chunks:
                files.write(descriptor, chunk)
                octets += len(chunk)
            files.sync(descriptor)
        finally:
            files.close(descriptor)
        files.rename(temporary, path)
    except Exception:
        with contextlib.suppress(OSError):
            files.unlink(temporary)
        raise
    files.sync_directory(path.parent)
    return octets


def make_directories(path: Path, files: FileOperations = FILE_OPERATIONS) -> None:
    """Make a directory and those above it that are missing, durably."""
    if path.is_dir():
        return
    make_directories(path.parent, files)
    files.make_directory(path)
    files.sync_directory(path.parent)


def clean_temporaries(directory: Path, files: FileOperations = FILE_OPERATIONS) -> None:
    """Remove what `replace_file` left in a directory when it was interrupted; for the writer only."""
    for path in directory.glob(f"{_TEMPORARY_PREFIX}*{_TEMPORARY_SUFFIX}"):
        files.unlink(path)
