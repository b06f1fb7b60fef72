"""Manifest: which zones are configured, for the responders.

`published/manifest.json` names all of them, those without data too: a responder answers SERVFAIL for
these, never that they do not exist. Its form, strict both ways:

    {"format": 1, "zones": [{"name": "example.com.", "directory": "example.com"}]}
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from signerd.dns.name import BadName, Name, format_name, make_sort_key, parse_name
from signerd.zones.durable_file import FILE_OPERATIONS, FileOperations, make_directories, replace_file
from signerd.zones.record_stream import BadPublishedData
from signerd.zones.zone_directory import zone_directory_name

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1


class BadManifest(BadPublishedData):
    """A manifest is not what was written."""

    code = "zones.bad_manifest"


@dataclass(frozen=True, slots=True)
class ManifestZone:
    """A configured zone and the name of its directory beside the manifest."""

    name: Name
    directory: str


def write_manifest(published: Path, zones: Iterable[Name], files: FileOperations = FILE_OPERATIONS) -> None:
    """Write the manifest durably, in canonical order of the zones; makes the directory if need be.

    Args:
        published: The directory of the manifest and of the zones' directories.
        zones: All configured zones, lower-cased; one that is given twice counts once.
        files: What does the steps.

    Raises:
        BadName: A zone's name is too long for a directory.
        OSError: The old manifest is in place.
    """
    entries = [
        {"name": format_name(name), "directory": zone_directory_name(name)}
        for name in sorted(set(zones), key=make_sort_key)
    ]
    make_directories(published, files)
    text = json.dumps({"format": FORMAT_VERSION, "zones": entries}, indent=1) + "\n"
    replace_file(published / MANIFEST_NAME, [text.encode("ascii")], files)


def read_manifest(published: Path) -> tuple[ManifestZone, ...]:
    """Read the manifest.

    Raises:
        BadManifest: It is not of the form above, has another format version, or a zone twice.
        FileNotFoundError: There is none yet.
        OSError: It cannot be read.
    """
    path = published / MANIFEST_NAME
    try:
        content: object = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadManifest(f"{path}: not JSON: {error}") from error
    try:
        fields = _read_object(content, {"format", "zones"})
        if fields["format"] != FORMAT_VERSION or isinstance(fields["format"], bool):
            raise BadManifest(f"format {fields['format']!r}; this program reads {FORMAT_VERSION}")
        entries = fields["zones"]
        if not isinstance(entries, list):
            raise BadManifest("'zones' is not a list")
        zones = tuple(_read_zone(entry) for entry in cast("list[object]", entries))
        if len({zone.name for zone in zones}) != len(zones):
            raise BadManifest("a zone is named twice")
    except BadManifest as error:
        raise BadManifest(f"{path}: {error}") from error
    return zones


def _read_object(content: object, keys: set[str]) -> dict[str, object]:
    printed = repr(content)[:100]
    if not isinstance(content, dict) or content.keys() != keys:
        raise BadManifest(f"not an object of {', '.join(sorted(keys))}: {printed}")
    return cast("dict[str, object]", content)


def _read_zone(content: object) -> ManifestZone:
    fields = _read_object(content, {"name", "directory"})
    text, directory = fields["name"], fields["directory"]
    if not isinstance(text, str) or not isinstance(directory, str):
        raise BadManifest(f"zone {text!r}: name and directory must be strings")
    try:
        name = parse_name(text)
        expected = zone_directory_name(name)
    except BadName as error:
        raise BadManifest(f"zone {text!r}: {error}") from error
    if format_name(name) != text or name.lower() != name or expected != directory:
        raise BadManifest(f"zone {text!r}: expected the directory {expected!r}, not {directory!r}")
    return ManifestZone(name, directory)
