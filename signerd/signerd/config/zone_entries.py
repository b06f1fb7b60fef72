"""The zones of a configuration: those it lists, and the files in its zone directory."""

from collections.abc import Mapping
from dataclasses import replace

from signerd.config.options import Config
from signerd.dns.name import Name
from signerd.zones.master_file import Limits
from signerd.zones.notice import Notice
from signerd.zones.zone_list import ZoneEntry, list_zones


def list_entries(config: Config) -> tuple[Mapping[Name, ZoneEntry], tuple[Notice, ...]]:
    """List the zones with file, policy and key resolved.

    Returns:
        The zones by apex, and what is wrong with files that make none.
    """
    default = config.zone_defaults.policy
    configured = [
        ZoneEntry(
            zone.origin,
            None if zone.file is None else config.zone_directory / zone.file,
            zone.policy or default,
            zone.kms_key,
        )
        for zone in config.zones
    ]
    zones, notices = list_zones(config.zone_directory, configured)
    listed = {entry.name for entry in configured}
    return {
        name: entry if name in listed else replace(entry, policy=default) for name, entry in zones.items()
    }, notices


def make_limits(config: Config) -> Limits:
    """Give the limits of one zone file."""
    return Limits(
        generate=config.limits.generate,
        records=config.limits.records,
        include_depth=config.limits.include_depth,
        file_size=config.limits.file_size,
        deletion_percent=config.limits.deletion_percent,
    )
