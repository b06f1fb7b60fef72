"""Files that hold secrets: opened without following links, and refused when others could read them."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from signerd_kms.errors import RootKeyMissing, RootKeyRefused
from signerd_kms.wrapping import LiveKey


@dataclass(frozen=True, slots=True)
class FileRule:
    """Who may own a secret file, and which permission bits it must not have.

    Attributes:
        what: What the file is called in messages, such as `root key file`.
        owners: User ids; the user that runs the program may always own it.
        refused_mode: Permission bits of which none may be set.
        wanted_mode: What the message asks for.
    """

    what: str
    owners: frozenset[int] = frozenset()
    refused_mode: int = 0o077
    wanted_mode: str = "0600"


def read_private_file(path: Path, rule: FileRule, max_octets: int) -> LiveKey:
    """Read a secret.

    Args:
        path: Of a regular file.
        rule: What is safe.
        max_octets: Protects against a device or a log by mistake; a longer file is refused.

    Raises:
        RootKeyMissing: There is no such file.
        RootKeyRefused: It is not safe, or too long.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise RootKeyMissing(
            f"{path}: the {rule.what} is missing, and the database needs it: put it back"
        ) from error
    except OSError as error:
        raise RootKeyRefused(f"{path}: the {rule.what} cannot be opened: {error.strerror}") from error
    try:
        _check(path, rule, os.fstat(descriptor))
        octets = os.read(descriptor, max_octets + 1)
    finally:
        os.close(descriptor)
    if len(octets) > max_octets:
        LiveKey(octets).close()
        raise RootKeyRefused(f"{path}: the {rule.what} has more than {max_octets} octets")
    return LiveKey(octets)


def _check(path: Path, rule: FileRule, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RootKeyRefused(f"{path}: the {rule.what} is no regular file")
    if status.st_uid != os.geteuid() and status.st_uid not in rule.owners:
        raise RootKeyRefused(
            f"{path}: the {rule.what} belongs to user {status.st_uid}, not to {os.geteuid()}"
        )
    if status.st_mode & rule.refused_mode:
        mode = stat.S_IMODE(status.st_mode)
        raise RootKeyRefused(f"{path}: the {rule.what} has mode {mode:04o}; it must be {rule.wanted_mode}")
