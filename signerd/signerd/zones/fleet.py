"""All zones of the server: which there are, their keepers, and the watch over their files."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from signerd.dns.name import Name
from signerd.zones.file_watch import FileWatch, take_fingerprints
from signerd.zones.keeper import Outcome, ZoneKeeper
from signerd.zones.manifest import BadManifest, read_manifest, write_manifest
from signerd.zones.notice import Notice
from signerd.zones.publication import Publication, clean_removed
from signerd.zones.zone_directory import list_zone_directories, zone_directory_name
from signerd.zones.zone_list import Source, ZoneEntry, format_zone_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Where the zones are.

    Attributes:
        list_entries: Lists the zones with files, each with its policy, and what is wrong with other files.
        default_policy: Signing policy of a zone that is only published, its file being gone.
        published: Directory of the published zones.
        watch_seconds: How often the files are looked at.
        list_removals: Lists zones of the API that were deleted and may still be in service.
        confirm_removal: Told when one of them is not any more.
        are_all_listed: Says if every source could be asked: if not, what is not listed may be a zone too.
        on_ended: Told, in a worker thread, of a zone that is served no more, or by another keeper.
    """

    list_entries: Callable[[], tuple[Mapping[Name, ZoneEntry], tuple[Notice, ...]]]
    default_policy: str
    published: Path
    watch_seconds: float
    list_removals: Callable[[], Collection[Name]] = tuple
    confirm_removal: Callable[[Name], None] = lambda name: None
    are_all_listed: Callable[[], bool] = lambda: True
    on_ended: Callable[[Name], None] = lambda name: None


class ZoneUnknown(Exception):
    """There is no such zone here."""

    code = "zone.unknown"


class ZoneFleet:
    """The keepers of all zones."""

    def __init__(
        self,
        options: FleetOptions,
        make_keeper: Callable[[ZoneEntry], ZoneKeeper],
        announce: Callable[[dict[str, object]], Awaitable[None]],
    ) -> None:
        """Prepare; `list_known` first, then `run`.

        Args:
            options: Where the zones are.
            make_keeper: Makes the keeper of a zone.
            announce: Tells the responders.
        """
        self._options = options
        self._make_keeper = make_keeper
        self._announce = announce
        self._keepers: dict[Name, ZoneKeeper] = {}
        self._watch = FileWatch()
        self._nursery: trio.Nursery | None = None
        self._changing = trio.Lock()
        self._is_manifest_stale = False
        self._look_now = trio.Event()
        self._looked = trio.Event()  # set and replaced after each look
        self.notices: tuple[Notice, ...] = ()

    @property
    def keepers(self) -> Mapping[Name, ZoneKeeper]:
        """The keepers by zone."""
        return self._keepers

    def list_known(self) -> dict[Name, ZoneEntry]:
        """List the zones with files, and those that are only published; for a worker thread."""
        zones, notices = self._options.list_entries()
        for notice in notices:
            if notice not in self.notices:
                logger.error("%s", notice)
        self.notices = notices
        known = dict(zones)
        for name in self._list_published():
            # its file is gone, but a zone is not dropped because a file is
            if name not in known:
                known[name] = ZoneEntry(name, None, self._options.default_policy)
        return known

    def _list_published(self) -> list[Name]:
        published = self._options.published
        try:
            return [listed.name for listed in read_manifest(published)]
        except FileNotFoundError:
            logger.debug("no list of zones in %s", published)
        except BadManifest as error:
            logger.error("%s; it is made anew from the directories of published zones", error)
        self._is_manifest_stale = True
        return list_zone_directories(published)

    def prepare(self) -> dict[Name, ZoneEntry]:
        """Bring the manifest up to date before anything else starts; for a worker thread."""
        published = self._options.published
        published.mkdir(parents=True, exist_ok=True)
        try:
            clean_removed(published)
        except OSError as error:
            logger.error("what is left of forgotten zones cannot be removed: %s", error)
        known = self.list_known()
        try:
            write_manifest(published, known)
        except OSError as error:  # a full disk; the zones of the last time are served from the one there is
            logger.error("the list of zones cannot be written: %s", error)
            self._is_manifest_stale = True
        else:
            self._is_manifest_stale = False
        return known

    async def run(
        self, known: Mapping[Name, ZoneEntry], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep all zones until cancelled.

        Args:
            known: From `prepare`.
            task_status: Started when all published versions are known.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for entry in known.values():
                self._keepers[entry.name] = self._make_keeper(entry)
            async with trio.open_nursery() as restoring:
                for keeper in self._keepers.values():
                    restoring.start_soon(keeper.restore)
            task_status.started()
            for keeper in self._keepers.values():
                nursery.start_soon(self._keep, keeper)
            while True:
                with trio.move_on_after(self._options.watch_seconds):
                    await self._look_now.wait()
                self._look_now = trio.Event()
                await self._look()
                self._looked.set()
                self._looked = trio.Event()

    async def _keep(self, keeper: ZoneKeeper) -> None:
        await keeper.run()
        # Not only in `_end_service`: a check that was under way then may have needed the keys once more.
        await trio.to_thread.run_sync(self._options.on_ended, keeper.entry.name)

    async def _look(self) -> None:
        """Find new zones, and wake the keepers of those whose files changed."""
        await self._take_in_new_zones()
        for keeper in self._keepers.values():
            self._watch.mark_read(keeper.state.files)
        files = {file: keeper for keeper in self._keepers.values() for file in keeper.state.files}
        looks = await trio.to_thread.run_sync(take_fingerprints, list(files))
        changed = {id(files[file]): files[file] for file in self._watch.observe(looks)}
        for keeper in changed.values():
            logger.info("zone %s: its file changed", keeper.entry.text)
            keeper.wake(read_file=True)

    async def publish_data(self, name: Name, identity: str, data_version: int) -> None:
        """Have a change of a zone of the API served, and wait for that; the caller bounds the waiting."""
        while (keeper := self._keepers.get(name)) is None or keeper.entry.identity != identity:
            self._look_now.set()
            await self._looked.wait()
        if (keeper.state.published_data_version or 0) < data_version:
            keeper.wake(read_file=True)
            await keeper.wait_for_data(data_version)

    async def look(self) -> None:
        """Look for zones that came or went, now."""
        self._look_now.set()
        await self._looked.wait()

    async def withdraw(self, name: Name) -> None:
        """Wait until a deleted zone of the API is out of service; the caller bounds the waiting."""
        while name in self._keepers and self._keepers[name].entry.source is Source.API:
            self._look_now.set()
            await self._looked.wait()

    async def _remove_deleted(self) -> None:
        """End the service of zones that were deleted over the API, also before a crash."""
        removals = await trio.to_thread.run_sync(self._options.list_removals)
        for name in removals:
            keeper = self._keepers.get(name)
            if keeper is not None and keeper.entry.file is None:
                logger.info("zone %s: deleted", keeper.entry.text)
                try:
                    await self._end_service(name, keeper)
                except OSError as error:
                    logger.error("zone %s: its service cannot be ended yet: %s", keeper.entry.text, error)
                    continue
            await trio.to_thread.run_sync(self._options.confirm_removal, name)

    async def _end_service(self, name: Name, keeper: ZoneKeeper) -> None:
        await self._write_manifest([other for other in self._keepers if other != name])
        del self._keepers[name]
        await keeper.end()
        await trio.to_thread.run_sync(self._options.on_ended, name)
        publication = Publication(self._options.published / zone_directory_name(name))
        await trio.to_thread.run_sync(publication.remove)

    async def _take_in_new_zones(self) -> None:
        async with self._changing:
            await self._remove_deleted()
            try:
                known = await trio.to_thread.run_sync(self.list_known)
            except OSError as error:
                logger.error("the zone files cannot be listed: %s", error)
                return
            entries = [entry for name, entry in known.items() if name not in self._keepers]
            returned = [
                entry
                for name, entry in known.items()
                if name in self._keepers and _has_other_source(entry, self._keepers[name].entry)
            ]
            for entry in (*entries, *returned):
                await self._take_in(entry)
            if entries or returned or self._is_manifest_stale:
                try:
                    await self._write_manifest(list(self._keepers))
                except OSError as error:
                    if not self._is_manifest_stale:
                        logger.error("the list of zones cannot be written: %s", error)
                    self._is_manifest_stale = True  # tried again at the next look

    async def _take_in(self, entry: ZoneEntry) -> None:
        place = "the database" if entry.source is Source.API else entry.file or "what is published"
        logger.info("zone %s: taken in from %s", entry.text, place)
        if (old := self._keepers.pop(entry.name, None)) is not None:
            await old.end()
        keeper = self._make_keeper(entry)
        await keeper.restore()
        self._keepers[entry.name] = keeper
        assert self._nursery is not None  # noqa: S101  # `run` set it before anything can call this
        self._nursery.start_soon(self._keep, keeper)

    async def _write_manifest(self, names: Collection[Name]) -> None:
        await trio.to_thread.run_sync(write_manifest, self._options.published, names)
        self._is_manifest_stale = False
        await self._announce({"zones": True})

    async def reload(self, name: Name | None, *, allow_mass_deletion: bool = False) -> dict[str, Outcome]:
        """Read the files of one zone or of all, and wait until what came of it is served or refused.

        Args:
            name: The zone; None for all.
            allow_mass_deletion: Whether a file may leave out any part of what is served.

        Raises:
            ZoneUnknown: There is no such zone.
        """
        await self._take_in_new_zones()
        if name is None:
            keepers = list(self._keepers.values())
        elif name in self._keepers:
            keepers = [self._keepers[name]]
        else:
            raise ZoneUnknown(f"zone {format_zone_name(name)} is not served here")
        outcomes: dict[str, Outcome] = {}

        async def reload_one(keeper: ZoneKeeper) -> None:
            outcomes[keeper.entry.text] = await keeper.reload(allow_mass_deletion=allow_mass_deletion)

        async with trio.open_nursery() as nursery:
            for keeper in keepers:
                nursery.start_soon(reload_one, keeper)
        return outcomes

    def wake_all(self, *, read_file: bool) -> None:
        """Have all zones brought up to date soon."""
        for keeper in self._keepers.values():
            keeper.wake(read_file=read_file)

    async def forget(self, name: Name) -> None:
        """End the service of a zone whose file is gone, and remove what is published of it.

        Its keys stay, so that the zone can come back under the same DS.

        Raises:
            ZoneUnknown: There is no such zone.
            FileExistsError: Its file is still there and would bring it back at once, or may be.
            OSError: The disk refused.
        """
        async with self._changing:
            keeper = self._keepers.get(name)
            if keeper is None:
                raise ZoneUnknown(f"zone {format_zone_name(name)} is not served here")
            known, _ = await trio.to_thread.run_sync(self._options.list_entries)
            entry = known.get(name)
            if entry is not None and entry.source is Source.API:
                raise FileExistsError(f"zone {entry.text} is kept in the database; delete it over the API")
            if entry is not None:
                raise FileExistsError(
                    f"zone {entry.text} still has its file {entry.file} or is listed in the configuration; "
                    "remove that first"
                )
            if not await trio.to_thread.run_sync(self._options.are_all_listed):
                raise FileExistsError(
                    f"zone {format_zone_name(name)} may be kept in the database, which cannot be read now; "
                    "forget it once 'signerd status' shows no trouble with that"
                )
            await self._end_service(name, keeper)


def _has_other_source(entry: ZoneEntry, kept: ZoneEntry) -> bool:
    """Say if a zone must be taken from elsewhere than its keeper takes it from."""
    if entry.is_lost:
        return False  # what is served of it stays
    return kept.is_lost or (entry.source, entry.identity) != (kept.source, kept.identity)
