"""Paths of secrets: their form, and what lies below a directory."""

import re
from typing import Final, NewType

from signerd_secrets.errors import InvalidPath

SecretPath = NewType("SecretPath", str)
Directory = NewType("Directory", str)  # ends with a slash; the root is "/"

MAX_PATH: Final = 512  # characters
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.+-]+)+")
_AFTER_SLASH: Final = chr(ord("/") + 1)  # paths are ordered by code point: what follows a directory's range


def check_path(text: str) -> SecretPath:
    """Check the path of a secret; it is case-sensitive and taken as it is.

    Raises:
        InvalidPath: It is not 1 to 512 characters of `A-Z a-z 0-9 / _ - . +` in segments that each follow one
            slash, or a segment is `.` or `..`, which proxies rewrite.
    """
    if len(text) > MAX_PATH:
        raise InvalidPath(f"a path has at most {MAX_PATH} characters, not {len(text)}")
    if not text.startswith("/"):
        raise InvalidPath("a path begins with a slash")
    if text.endswith("/"):
        raise InvalidPath("a path does not end with a slash")
    if "//" in text:
        raise InvalidPath("a path has no two slashes in a row")
    if not _PATH.fullmatch(text):
        raise InvalidPath("a path consists of the characters A-Z a-z 0-9 / _ - . +")
    if any(segment in (".", "..") for segment in text.split("/")):
        raise InvalidPath("no segment of a path is . or ..")
    return SecretPath(text)


def check_directory(text: str) -> Directory:
    """Check the directory to browse, given with or without its final slash.

    Raises:
        InvalidPath: Without the final slash it is no path, nor the root.
    """
    return Directory("/") if text in ("", "/") else Directory(check_path(text.removesuffix("/")) + "/")


def check_prefix(text: str) -> str:
    """Check the prefix of a flat list: any beginning of a path.

    Raises:
        InvalidPath: No path begins so.
    """
    if text.startswith("/") and len(text) <= MAX_PATH:
        body = text.removesuffix("/")
        if not body or _PATH.fullmatch(body):
            return text
    raise InvalidPath("a path prefix begins with a slash and is the beginning of a path")


def bound_prefix(prefix: str) -> str:
    """Give the first text after all texts with the prefix, in the order of code points.

    Args:
        prefix: Not empty, of the characters of paths.
    """
    if prefix.endswith("/"):
        return prefix[:-1] + _AFTER_SLASH
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def find_child(directory: Directory, path: str) -> Directory | None:
    """Give the directory directly below `directory` that holds a path; None if `directory` itself does."""
    name, slash, _ = path[len(directory) :].partition("/")
    return Directory(directory + name + slash) if slash else None
