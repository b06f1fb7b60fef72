"""Versions that the validator rejected, kept for inspection."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from signerd.dns.zone import Zone
from signerd.zones.durable_file import replace_file
from signerd.zones.snapshot import write_snapshot
from signerd.zones.zone_directory import zone_directory_name

KEPT_VERSIONS = 3  # a zone that is rejected at each attempt must not fill the disk


def keep_rejected(directory: Path, zone: Zone, reasons: Sequence[str]) -> Path:
    """Keep a rejected version and the reasons, in place of the oldest kept one when there are several.

    Args:
        directory: Holds the rejected versions of all zones.
        zone: The version.
        reasons: One a line.

    Returns:
        The version's folder: `zone.snapshot` (print it with `signerd dump --snapshot`) and `reasons.txt`.

    Raises:
        OSError: The disk refused.
    """
    folder = directory / zone_directory_name(zone.origin)
    kept = folder / str(zone.serial)
    kept.mkdir(parents=True, exist_ok=True)
    write_snapshot(kept / "zone.snapshot", zone)
    replace_file(kept / "reasons.txt", [("\n".join(reasons) + "\n").encode()])
    versions = sorted(
        (path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
    )
    for old in versions[:-KEPT_VERSIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return kept
