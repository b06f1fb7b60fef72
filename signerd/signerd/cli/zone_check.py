"""Checks the zone files that a configuration leads to, and whether their policies can keep them valid."""

from dataclasses import dataclass

from signerd.config.options import Config
from signerd.config.signature_times import ImpossiblePolicy, resolve_times
from signerd.config.zone_entries import list_entries, make_limits
from signerd.zones.checks import check_zone, find_soa_expire
from signerd.zones.largest_ttl import find_largest_ttl
from signerd.zones.master_file import load_master_file
from signerd.zones.notice import Notice, Severity
from signerd.zones.zone_list import ZoneEntry


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
    if "api_zones" in config.model_fields_set and config.api_zones.is_placeholder:
        reason = "api_zones.name_servers is not stated: zones made over the API cannot be delegated"
        notices.append(Notice(Severity.WARNING, None, None, reason))
    for entry in entries.values():
        notices += _check_entry(config, entry)
    return ZoneCheckReport(len(entries), tuple(notices))


def _check_entry(config: Config, entry: ZoneEntry) -> list[Notice]:
    if entry.file is None:
        return [Notice(Severity.ERROR, None, None, f"zone {entry.text} has no file")]
    loaded = load_master_file(
        entry.file, entry.name, directory=config.zone_directory, limits=make_limits(config)
    )
    notices = list(loaded.notices)
    if loaded.zone is None:
        return notices
    notices += check_zone(loaded.zone, loaded.positions.find)
    if any(notice.severity is Severity.ERROR for notice in notices):
        return notices  # without an SOA, say, there is nothing to reckon with
    try:
        times = resolve_times(
            config.policies[entry.policy], find_soa_expire(loaded.zone), find_largest_ttl(loaded.zone)
        )
    except ImpossiblePolicy as error:
        reason = f"policy '{entry.policy}' is impossible for zone {entry.text}: {error}"
        return [*notices, Notice(Severity.ERROR, str(entry.file), None, reason)]
    if times.warning is not None:
        notices.append(Notice(Severity.WARNING, str(entry.file), None, times.warning))
    return notices
