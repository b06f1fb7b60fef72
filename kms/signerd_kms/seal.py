"""Seals: what opens the root key. Here the file seal, the default."""

import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from signerd_kms.errors import RootKeyMissing, RootKeyRefused
from signerd_kms.wrapping import LiveKey, WrappedKey, unwrap, wrap

SEAL_KEY_OCTETS = 32


class Seal(Protocol):
    """Wraps and unwraps the root key, maybe inside a device that gives no key away."""

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        ...

    def prepare(self) -> None:
        """Make the seal's own key if there is none. Called only for a database without wrapped keys."""
        ...

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key."""
        ...

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key, into memory that is locked if the system allows it."""
        ...


class FileSeal:
    """A seal whose key is a file of 32 random octets, readable by its owner only."""

    def __init__(self, path: Path, *, seal_id: str = "file") -> None:
        self._path = path
        self._seal_id = seal_id

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        return self._seal_id

    def prepare(self) -> None:
        """Make the file if it is not there, whole or not at all, and on disk before this returns.

        A file that is there is kept: a start that died before its first commit left it, or the operator.
        """
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                os.fchmod(descriptor, 0o600)  # whatever the umask says
                with LiveKey(os.urandom(SEAL_KEY_OCTETS)) as key:
                    if os.write(descriptor, key.octets) != SEAL_KEY_OCTETS:
                        raise OSError(f"{temporary}: short write")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(temporary, self._path)  # unlike a rename, never replaces a key that is there
            except FileExistsError:
                return
        finally:
            temporary.unlink(missing_ok=True)
            _sync_directory(self._path.parent)

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key."""
        with self._read() as key:
            return wrap(key, secret, associated_data)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key, into memory that is locked if the system allows it."""
        with self._read() as key:
            return unwrap(key, wrapped, associated_data, locked=True)

    def _read(self) -> LiveKey:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise RootKeyMissing(
                f"{self._path}: the root key file is missing, and the database needs it: put it back"
            ) from error
        except OSError as error:
            raise RootKeyRefused(
                f"{self._path}: the root key file cannot be opened: {error.strerror}"
            ) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise RootKeyRefused(f"{self._path}: the root key file is no regular file")
            if status.st_uid != os.geteuid():
                raise RootKeyRefused(
                    f"{self._path}: the root key file belongs to user {status.st_uid}, not to {os.geteuid()}"
                )
            if status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise RootKeyRefused(f"{self._path}: the root key file has mode {mode:04o}; it must be 0600")
            octets = os.read(descriptor, SEAL_KEY_OCTETS + 1)
        finally:
            os.close(descriptor)
        key = LiveKey(octets)
        if status.st_size != SEAL_KEY_OCTETS or len(octets) != SEAL_KEY_OCTETS:
            key.close()
            raise RootKeyRefused(
                f"{self._path}: the root key file has {status.st_size} octets; it must have {SEAL_KEY_OCTETS}"
            )
        return key


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
