"""What is said of the name servers of a zone's parent: ask them now, or wait for one no more."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import case, update

from signerd.platform.change import Change, PlatformStore
from signerd.platform.rights import DNS_ZONE
from signerd.store.zone_tables import dns_dnssec
from signerd.zone_dnssec.errors import DnssecOff, ParentServerRefused
from signerd.zone_dnssec.ignored_servers import (
    DEFAULT_SECONDS,
    MOST_SECONDS,
    IgnoredServer,
    drop_ignored,
    list_ignored,
    read_server,
    store_ignored,
)
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.attribution import Attribution

_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class ParentServers:
    """Commands about the servers of parents. Safe to use from several threads; blocks.

    Attributes:
        store: The database.
    """

    store: PlatformStore

    def list(self, zone: ZonePlace) -> list[IgnoredServer]:
        """List the servers that are ignored for a zone."""
        with self.store.read() as connection:
            return list_ignored(connection, zone.text, self.store.now())

    def ignore(self, zone: ZonePlace, server: str, seconds: int | None, by: Attribution) -> IgnoredServer:
        """Wait no more for a server that does not answer; what it does say still counts.

        The parent is asked again at once, so that what only waited for the server goes on.

        Args:
            zone: The zone.
            server: Address, with port or without.
            seconds: For how long; None for the usual time.
            by: Who says so.

        Raises:
            ParentServerRefused: It is no address, or the time is too long.
        """
        name = read_server(server)
        length = DEFAULT_SECONDS if seconds is None else seconds
        if not 0 < length <= MOST_SECONDS:
            raise ParentServerRefused(f"lifetime: must be at most {MOST_SECONDS // _DAY} days, and not 0")

        def store(change: Change) -> IgnoredServer:
            ignored = IgnoredServer(name, change.now, change.now + length, change.by.actor)
            store_ignored(change.connection, zone.text, ignored)
            _record(change, "dns.dnssec.ignore_server", zone, {"server": name, "until": ignored.until})
            _ask_again(change, zone)
            return ignored

        return self.store.change(by, store)

    def heed(self, zone: ZonePlace, server: str, by: Attribution) -> bool:
        """Wait for a server again; say if it was ignored.

        Raises:
            ParentServerRefused: It is no address.
        """
        name = read_server(server)

        def store(change: Change) -> bool:
            is_known = drop_ignored(change.connection, zone.text, name)
            if is_known:
                _record(change, "dns.dnssec.heed_server", zone, {"server": name})
                _ask_again(change, zone)
            return is_known

        return self.store.change(by, store)

    def ask_again(self, zone: ZonePlace, by: Attribution) -> None:
        """Have the parent asked now.

        Raises:
            DnssecOff: Nothing is to be asked: the zone is not signed.
        """

        def store(change: Change) -> None:
            if not _ask_again(change, zone):
                raise DnssecOff(f"DNSSEC of {zone.text} is off: its parent is not asked")
            _record(change, "dns.dnssec.probe", zone, {})

        self.store.change(by, store)

    def note_asked(self, zone: ZonePlace, by: Attribution) -> None:
        """Note that the parent of a zone of a file is asked on command."""
        self.store.change(by, lambda change: _record(change, "dns.dnssec.probe", zone, {}))


def _ask_again(change: Change, zone: ZonePlace) -> bool:
    table = dns_dnssec
    is_later = table.c.next_probe_at > change.now
    changed = change.connection.execute(
        update(table)
        .where(
            table.c.zone == f"{zone.text}.",
            table.c.zone_identity == zone.identity,
            table.c.next_probe_at.is_not(None),
        )
        # what is due stays as long due as it is: the probe says what came due since then
        .values(next_probe_at=case((is_later, change.now), else_=table.c.next_probe_at))
    )
    return changed.rowcount > 0


def _record(change: Change, action: str, zone: ZonePlace, details: dict[str, str | int]) -> None:
    change.record(
        action,
        zone.organisation,
        DNS_ZONE,
        zone.identity,
        project=zone.project,
        details={"zone": zone.text, **details},
    )
