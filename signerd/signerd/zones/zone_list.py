"""Which zones there are: the files of the zone directory and those listed in the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from signerd.dns.name import ROOT, BadName, Name, fold_case, format_name, parse_name
from signerd.zones.notice import Notice, Severity

ZONE_FILE_SUFFIX = ".zone"
ROOT_FILE_STEM = (
    "root"  # a file name cannot be "." + suffix in a useful way, and no top-level domain is "root"
)
DEFAULT_POLICY = "default"


class Source(StrEnum):
    """Where the data of a zone comes from."""

    FILE = "file"
    API = "api"


@dataclass(frozen=True, slots=True)
class ZoneEntry:
    """A zone that this server is to serve.

    Attributes:
        name: The apex.
        file: The master file; None for a zone of the API, and for one that is still served though its file
            is gone.
        policy: Name of its signing policy.
        kms_key: Identity or name of the KMS key that is its KSK; None for one made by the server.
        source: Where its data comes from.
        identity: Of a zone of the API; empty for others.
    """

    name: Name
    file: Path | None
    policy: str = DEFAULT_POLICY
    kms_key: str | None = None
    source: Source = Source.FILE
    identity: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether nothing but the published version is known of it."""
        return self.source is Source.FILE and self.file is None

    @property
    def text(self) -> str:
        """The zone's name as people write it, without trailing dot except for the root."""
        return format_zone_name(self.name)


def format_zone_name(name: Name) -> str:
    """Print a zone name without its trailing dot; the root is `.`."""
    return "." if name == ROOT else format_name(name)[:-1]


def parse_zone_name(text: str) -> Name:
    """Read a zone name with or without trailing dot, in any case.

    Raises:
        BadName: It is not a domain name.
    """
    return fold_case(parse_name(text if text.endswith(".") else text + "."))


def name_zone_file(file: Path) -> Name:
    """Give the zone that a file of the zone directory holds: `example.com.zone` or `root.zone`.

    Raises:
        BadName: The file's name without suffix is not a domain name.
    """
    stem = file.name.removesuffix(ZONE_FILE_SUFFIX)
    return ROOT if stem == ROOT_FILE_STEM else parse_zone_name(stem)


def list_zones(
    directory: Path, configured: Sequence[ZoneEntry]
) -> tuple[Mapping[Name, ZoneEntry], tuple[Notice, ...]]:
    """List the zones of the directory and the configuration; an entry of the configuration wins.

    Args:
        directory: Each `*.zone` file in it is a zone, hidden files excepted; need not exist.
        configured: Entries with a resolved `file`, or with None to mean the usual file in the directory.

    Returns:
        The zones, and what is wrong with the others.
    """
    notices: list[Notice] = []
    zones: dict[Name, ZoneEntry] = {}
    taken: set[Path] = set()
    for entry in configured:
        file = (
            entry.file
            or directory / f"{ROOT_FILE_STEM if entry.name == ROOT else entry.text}{ZONE_FILE_SUFFIX}"
        )
        zones[entry.name] = ZoneEntry(entry.name, file, entry.policy, entry.kms_key)
        taken.add(file.absolute())
    try:
        files = sorted(directory.glob(f"[!.]*{ZONE_FILE_SUFFIX}"))
    except OSError as error:
        return zones, (Notice(Severity.ERROR, str(directory), None, f"cannot be read: {error.strerror}"),)
    for file in files:
        if file.absolute() in taken or not file.is_file():
            continue
        try:
            name = name_zone_file(file)
        except BadName as error:
            notices.append(
                Notice(Severity.ERROR, str(file), None, f"the file's name is no zone name: {error}")
            )
            continue
        if (other := zones.get(name)) is not None:
            reason = f"zone {format_zone_name(name)} is already taken from {other.file}"
            notices.append(Notice(Severity.ERROR, str(file), None, reason))
            continue
        zones[name] = ZoneEntry(name, file)
    return zones, tuple(notices)
