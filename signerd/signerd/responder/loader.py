"""Loads published zones and keeps up with them; the answering side sees finished sets of zones only."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import trio

from signerd.dns.name import Name, format_name
from signerd.dns.serial import is_newer
from signerd.dns.zone import Zone
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet
from signerd.zones.manifest import BadManifest, ManifestZone, read_manifest
from signerd.zones.publication import Loaded, PublicationReader
from signerd.zones.zone_difference import JournalMismatch, ZoneDifference, apply_differences

logger = logging.getLogger(__name__)


class Reader(Protocol):
    """Reads the versions of one zone; see `signerd.zones.publication.PublicationReader`."""

    def load(self) -> Loaded:
        """Find the newest good version."""
        ...

    def advance(self, zone: Zone) -> Sequence[ZoneDifference] | None:
        """Read what was published since a version; None if it must be loaded anew."""
        ...


class ZoneLoader:
    """Follows the manifest and the zones in it.

    A zone whose publication is corrupt or missing keeps the version it has, and never holds up the others.
    """

    def __init__(
        self,
        published: Path,
        replace_zones: Callable[[ZoneSet], None],
        on_change: Callable[[Name, ZoneIndex | None], None],
        open_reader: Callable[[Path], Reader] = PublicationReader,
    ) -> None:
        """Begin without zones.

        Args:
            published: Directory of the manifest and the zones' directories.
            replace_zones: Takes each new set of zones, in the Trio thread.
            on_change: Told of each zone that was loaded, or is gone (None), after that.
            open_reader: Makes the reader of a zone's directory.
        """
        self._published = published
        self._replace_zones = replace_zones
        self._on_change = on_change
        self._open_reader = open_reader
        self._readers: dict[Name, Reader] = {}
        self._zones = ZoneSet()
        self._busy = trio.Lock()  # a reader is for one thread at a time
        # One thread: loading is work for the interpreter, and answering needs its turns.
        self._limiter = trio.CapacityLimiter(1)

    @property
    def zones(self) -> ZoneSet:
        """The set as loaded last."""
        return self._zones

    async def refresh(self) -> None:
        """Read the manifest and all zones again."""
        await self.refresh_manifest()
        for apex in self._zones.zones:
            await self.refresh_zone(apex)

    async def refresh_manifest(self) -> None:
        """Read the manifest; load the zones that are new, drop those that are gone."""
        async with self._busy:
            entries = await trio.to_thread.run_sync(self._read_manifest, limiter=self._limiter)
            if entries is None:
                return
            before = self._zones.zones
            configured = {entry.name for entry in entries}
            new = [entry for entry in entries if entry.name not in before]
            gone = [apex for apex in before if apex not in configured]
            if new or gone:
                for entry in new:
                    self._readers[entry.name] = self._open_reader(self._published / entry.directory)
                for apex in gone:
                    del self._readers[apex]
                self._swap(ZoneSet({entry.name: before.get(entry.name) for entry in entries}))
            for apex in gone:
                self._on_change(apex, None)
        for entry in new:
            await self.refresh_zone(entry.name)

    def _read_manifest(self) -> tuple[ManifestZone, ...] | None:
        try:
            return read_manifest(self._published)
        except FileNotFoundError:
            logger.info("%s: no manifest yet", self._published)
        except (BadManifest, OSError) as error:
            logger.error("the manifest is not used: %s", error)
        return None

    async def refresh_zone(self, apex: Name) -> None:
        """Get the newest version of a zone; a name that is not in the manifest is ignored."""
        async with self._busy:
            reader = self._readers.get(apex)
            if reader is None:
                logger.warning("zone %s is not in the manifest", format_name(apex))
                return
            before = self._zones.zones[apex]
            index = await trio.to_thread.run_sync(_read_newest, apex, reader, before, limiter=self._limiter)
            if index is not None and index is not before:
                self._swap(self._zones.replace(apex, index))
                self._on_change(apex, index)

    def _swap(self, zones: ZoneSet) -> None:
        self._zones = zones
        self._replace_zones(zones)


def _read_newest(apex: Name, reader: Reader, before: ZoneIndex | None) -> ZoneIndex | None:
    """Make the index of the newest version, in a worker thread; the one from before if there is no newer."""
    try:
        if before is not None:
            differences = reader.advance(before.zone)
            if differences is not None:
                return _apply(before, differences)
    except JournalMismatch as error:
        logger.error("%s: the journal does not fit, loading anew: %s", format_name(apex), error)
    except OSError as error:
        logger.error("%s: not readable: %s", format_name(apex), error)
        return before
    try:
        loaded = reader.load()
    except OSError as error:
        logger.error("%s: not readable: %s", format_name(apex), error)
        return before
    for problem in loaded.problems:
        logger.error("%s: %s", format_name(apex), problem)
    if loaded.zone is None:
        return before
    if before is not None:
        serial = before.zone.serial
        if loaded.zone.serial == serial or (loaded.problems and is_newer(serial, loaded.zone.serial)):
            return before  # what is in memory is better than what is left on the disk
    return ZoneIndex.build(loaded.zone)


def _apply(index: ZoneIndex, differences: Sequence[ZoneDifference]) -> ZoneIndex:
    if not differences:
        return index
    zone = apply_differences(index.zone, differences)
    return index.update(zone, {owner for difference in differences for owner in difference.owners})
