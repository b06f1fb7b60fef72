"""The default seal: a key in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

from signerd_kms.errors import RootKeyMissing
from signerd_kms.seals.private_file import FileRule, read_private_file
from signerd_kms.seals.software_key import (
    MAX_SEAL_KEY_TEXT,
    SEAL_KEY_OCTETS,
    KeySource,
    read_seal_key,
    unwrap_under,
    wrap_under,
)
from signerd_kms.wrapping import LiveKey, WrappedKey

_RULE = FileRule("root key file")


class FileSeal:
    """A seal whose key is a file of 32 random octets, raw or in base64, readable by its owner only."""

    kind = "file"

    def __init__(self, path: Path, *, seal_id: str = "file", previous: Path | None = None) -> None:
        """Take note; nothing is read yet.

        Args:
            path: The key that wraps.
            seal_id: The seal's name.
            previous: A key that only unwraps, from before the file was replaced.
        """
        self._path = path
        self._previous = previous
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
        """Wrap the root key under the current file."""
        with self._read(self._path) as key:
            return wrap_under(key, secret, associated_data)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key with the file it was wrapped under."""
        sources: list[KeySource] = [lambda: self._read(self._path)]
        if (previous := self._previous) is not None and previous.exists():
            sources.append(lambda: self._read(previous))
        if len(sources) > 1 and not self._path.exists():
            raise RootKeyMissing(
                f"{self._path}: the root key file is missing, and only the previous is there"
            )
        return unwrap_under(sources, wrapped, associated_data)

    def forget(self) -> None:
        """Do nothing: the key is read anew each time."""

    def _read(self, path: Path) -> LiveKey:
        live = read_private_file(path, _RULE, MAX_SEAL_KEY_TEXT)
        return read_seal_key(live, f"{path}: the root key file")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
