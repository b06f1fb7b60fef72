"""Names of the directories that hold one zone each."""

from contextlib import suppress
from pathlib import Path

from signerd.dns.name import ROOT, BadName, Name, format_name, join_labels, read_labels

MAX_FILE_NAME_OCTETS = 255  # NAME_MAX of Linux

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_ROOT_DIRECTORY = "@"
_TAKEN = "manifest.json"  # stands beside the directories; a zone of that name gets its first letter escaped


def zone_directory_name(name: Name) -> str:
    """Give the name of a zone's directory.

    It is the presentation form without the trailing dot; an octet of a label that is not one of a-z, 0-9, `_`
    and `-` is written %XX, so a dot always separates labels; the root is `@`.

    Args:
        name: Lower-cased.

    Raises:
        BadName: The result is longer than a file name may be. Names without escapes always fit.
    """
    if name == ROOT:
        return _ROOT_DIRECTORY
    text = ".".join(
        "".join(chr(octet) if octet in _PLAIN else f"%{octet:02X}" for octet in label)
        for label in read_labels(name)
    )
    if text == _TAKEN:
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if len(text) > MAX_FILE_NAME_OCTETS:
        raise BadName(f"{format_name(name)} is too long, written with %XX, for the name of a directory")
    return text


def read_zone_directory_name(text: str) -> Name:
    """Give the zone whose directory has this name; undoes `zone_directory_name`.

    Raises:
        BadName: No zone has this directory.
    """
    if text == _ROOT_DIRECTORY:
        return ROOT
    try:
        name = join_labels([_unescape(label) for label in text.split(".")])
    except ValueError as error:
        raise BadName(f"'{text}' is not the directory of a zone") from error
    if zone_directory_name(name) != text:
        raise BadName(f"'{text}' is not the directory of a zone")
    return name


def list_zone_directories(published: Path) -> list[Name]:
    """Give the zones that have a directory among the published ones.

    Raises:
        OSError: They cannot be listed.
    """
    names: list[Name] = []
    for path in sorted(published.iterdir()):
        with suppress(BadName):
            name = read_zone_directory_name(path.name)
            if path.is_dir():
                names.append(name)
    return names


def _unescape(label: str) -> bytes:
    first, *escaped = label.split("%")
    return first.encode("ascii") + b"".join(
        bytes([int(part[:2], 16)]) + part[2:].encode("ascii") for part in escaped
    )
