"""Joins the zones of the API, which are rows, to the fleet that serves zones."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import trio
from sqlalchemy.exc import SQLAlchemyError

from signerd.config.options import Config
from signerd.config.policy import Policy
from signerd.config.zone_entries import list_entries
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.errors import DnsZoneUnknown
from signerd.dns_zones.publisher import FileZone, ServedZone, ServedZones, ZonePublisher
from signerd.dns_zones.zone_rows import confirm_removal, list_every_zone, list_removals
from signerd.dns_zones.zone_source import ZoneSource, note_published, parse_apex
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.notice import Notice, Severity
from signerd.zones.pipeline import SourceUnavailable
from signerd.zones.zone_list import Source, ZoneEntry, format_zone_name
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

PUBLISH_SECONDS: Final = 2.0  # how long an answer waits for its change to be served


def make_apex_defaults(config: Config) -> ApexDefaults:
    """Give what zones of the API get besides their records."""
    options = config.api_zones
    return ApexDefaults(
        options.list_name_servers(),
        options.find_mailbox(),
        options.ttl,
        options.refresh,
        options.retry,
        options.expire,
        options.minimum,
    )


def make_served_zones(config: Config, publisher: ZonePublisher) -> ServedZones:
    """Join who serves zones to what they get."""
    return ServedZones(publisher, make_apex_defaults(config), config.limits.deletion_percent)


class ApiZones:
    """The zones of the API as the fleet and its pipelines ask for them. Blocks: for worker threads."""

    def __init__(self, config: Config, holder: CustodyHolder) -> None:
        """Do nothing yet; until the database is open there are no such zones."""
        self._config = config
        self._holder = holder
        self._source = ZoneSource(make_apex_defaults(config))
        self._known: dict[Name, str] = {}  # as listed last

    def list_entries(self) -> tuple[Mapping[Name, ZoneEntry], tuple[Notice, ...]]:
        """List the zones of files and those of the API; of two of one name that of the API stays."""
        files, notices = list_entries(self._config)
        entries = dict(files)
        policy = self._config.api_zones.policy
        for name, identity in self._list_known().items():
            if (file := entries.get(name)) is not None:
                text = format_zone_name(name)
                reason = f"zone {text} is kept over the API; this file is not taken"
                notices += (Notice(Severity.ERROR, str(file.file), None, reason),)
            entries[name] = ZoneEntry(name, None, policy, None, Source.API, identity)
        return entries, notices

    def _list_known(self) -> Mapping[Name, str]:
        if (found := self._read_known()) is not None:
            self._known = found
        return self._known

    def _read_known(self) -> dict[Name, str] | None:
        try:
            with self._holder.custody.store.read() as connection:
                zones = list_every_zone(connection)
        except CustodyUnavailable:
            return None
        except KmsError as error:
            logger.error("the zones of the API cannot be listed: %s", error)
            return None
        return {parse_apex(name): identity for identity, name in zones}

    def can_be_listed(self) -> bool:
        """Say if the database says which zones of the API there are."""
        return self._read_known() is not None

    def is_known(self, name: Name) -> bool:
        """Say if a name is one of a zone of the API, in service or just deleted."""
        return name in self._list_known() or name in self.list_removals()

    def list_removals(self) -> Collection[Name]:
        """List deleted zones whose service may not have ended."""
        try:
            with self._holder.custody.store.read() as connection:
                return [parse_apex(name) for name in list_removals(connection)]
        except (CustodyUnavailable, KmsError):
            return ()  # asked again at the next look

    def confirm_removal(self, name: Name) -> None:
        """Note that a deleted zone is out of service."""
        try:
            with self._holder.custody.engine.begin() as connection:
                confirm_removal(connection, format_zone_name(name))
        except (CustodyUnavailable, SQLAlchemyError) as error:
            logger.warning("the end of service of a deleted zone is not noted: %s", type(error).__name__)

    def read(self, entry: ZoneEntry) -> tuple[Zone, int]:
        """Give the data of a zone and its version.

        Raises:
            SourceUnavailable: It cannot be read, or the zone was deleted.
        """
        try:
            with self._holder.custody.store.read() as connection:
                data = self._source.load(connection, entry.identity)
        except (CustodyUnavailable, KmsError, DnsZoneUnknown) as error:
            raise SourceUnavailable(f"the records of zone {entry.text} cannot be read: {error}") from error
        return data.zone, data.data_version

    def note_published(self, entry: ZoneEntry, data_version: int, serial: int) -> None:
        """Note with which serial changes are served."""
        try:
            with self._holder.custody.engine.begin() as connection:
                note_published(connection, entry.identity, data_version, serial)
        except (CustodyUnavailable, SQLAlchemyError) as error:
            logger.warning("zone %s: a serial is not noted: %s", entry.text, type(error).__name__)


class Fleet(Protocol):
    """The zones in service."""

    @property
    def keepers(self) -> Mapping[Name, ZoneKeeper]:
        """The keepers by zone."""
        ...

    async def publish_data(self, name: Name, identity: str, data_version: int) -> None:
        """Have a change served, and wait for that."""
        ...

    async def withdraw(self, name: Name) -> None:
        """Wait until a deleted zone is out of service."""
        ...


class FleetPublisher:
    """Serves zones of the API; see ZonePublisher. Called in worker threads that the event loop started."""

    def __init__(self, fleet: Fleet, policies: Mapping[str, Policy]) -> None:
        self._fleet = fleet
        self._policies = policies

    def publish(self, apex: Name, identity: str, data_version: int) -> None:
        """Have a committed change served; wait for it a short time."""

        async def wait() -> None:
            with trio.move_on_after(PUBLISH_SECONDS):
                await self._fleet.publish_data(apex, identity, data_version)

        trio.from_thread.run(wait)

    def withdraw(self, apex: Name) -> None:
        """End the service of a deleted zone; wait for it a short time."""

        async def wait() -> None:
            with trio.move_on_after(PUBLISH_SECONDS):
                await self._fleet.withdraw(apex)

        trio.from_thread.run(wait)

    def find_served(self, apex: Name, identity: str) -> ServedZone | None:
        """Say what is in service of a zone of the API; a former one of its name is not it."""
        keeper = self._fleet.keepers.get(apex)
        return None if keeper is None or keeper.entry.identity != identity else _describe(keeper)

    def list_file_zones(self) -> Sequence[FileZone]:
        """List the zones that are not of the API."""
        return [
            FileZone(
                keeper.entry.name,
                keeper.entry.text,
                "a file that is gone" if keeper.entry.file is None else f"the file {keeper.entry.file}",
                keeper.state.unsigned,
                _describe(keeper),
                _describe_failure(keeper),
                self._policies[keeper.entry.policy].parent_ds,
            )
            for keeper in list(self._fleet.keepers.values())
            if keeper.entry.source is Source.FILE
        ]


class OfflinePublisher:
    """Stands where nothing is served: what is changed is served at the next start."""

    def __init__(
        self,
        list_entries: Callable[[], tuple[Mapping[Name, ZoneEntry], tuple[Notice, ...]]],
        policies: Mapping[str, Policy],
    ) -> None:
        self._list_entries = list_entries
        self._policies = policies

    def publish(self, apex: Name, identity: str, data_version: int) -> None:
        """Do nothing."""

    def withdraw(self, apex: Name) -> None:
        """Do nothing."""

    def find_served(self, apex: Name, identity: str) -> ServedZone | None:
        """Give nothing."""
        del apex, identity
        return None

    def list_file_zones(self) -> Sequence[FileZone]:
        """List the zones with files."""
        entries, _ = self._list_entries()
        nothing = ServedZone(None, None, None)
        return [
            FileZone(
                entry.name,
                entry.text,
                f"the file {entry.file}",
                None,
                nothing,
                has_ds=self._policies[entry.policy].parent_ds,
            )
            for entry in entries.values()
            if entry.source is Source.FILE
        ]


def _describe(keeper: ZoneKeeper) -> ServedZone:
    state = keeper.state
    serial = None if state.published is None else int(state.published.serial)
    return ServedZone(serial, state.published_data_version, state.last_error or state.file_error)


def _describe_failure(keeper: ZoneKeeper) -> tuple[str, int] | None:
    error, since = keeper.state.last_error, keeper.state.failed_at
    return None if error is None or since is None else (error, since)


def make_offline_zones(config: Config, holder: CustodyHolder) -> ServedZones:
    """Give what the calls about zones need where no server runs."""
    return make_served_zones(config, OfflinePublisher(ApiZones(config, holder).list_entries, config.policies))
