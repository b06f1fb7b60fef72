"""The data of zones of the API, for those who publish them."""

import json
from dataclasses import dataclass
from threading import Lock
from typing import cast

from sqlalchemy import Connection, select, update

from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.errors import DnsZoneUnknown
from signerd.dns_zones.record_rows import list_records, list_records_of
from signerd.dns_zones.tables import dns_change_sets, dns_zones
from signerd.dns_zones.zone_rows import DnsZone, ZoneScope, find_zone


@dataclass(frozen=True, slots=True)
class ZoneData:
    """A zone as its rows say.

    Attributes:
        zone: Unsigned.
        data_version: The version of the rows.
        changed: Names at which it differs from what was loaded before; None if that is not known.
    """

    zone: Zone
    data_version: int
    changed: frozenset[Name] | None


class ZoneSource:
    """Loads zones; of one that it loaded before, what changed since. Safe to use from several threads."""

    def __init__(self, apex: ApexDefaults) -> None:
        """Do nothing yet; `apex` is what zones get besides their records."""
        self._apex = apex
        self._lock = Lock()
        self._loaded: dict[str, ZoneData] = {}

    def load(self, connection: Connection, identity: str) -> ZoneData:
        """Give the zone as it is in the connection's transaction.

        Raises:
            DnsZoneUnknown: It was deleted.
        """
        row = connection.execute(
            select(dns_zones.c.organisation, dns_zones.c.project).where(dns_zones.c.identity == identity)
        ).first()
        if row is None:
            with self._lock:
                self._loaded.pop(identity, None)
            raise DnsZoneUnknown
        zone = find_zone(connection, ZoneScope(row.organisation, row.project), identity)
        with self._lock:
            before = self._loaded.get(identity)
        if before is not None and before.data_version == zone.data_version:
            return before
        owners = None if before is None else _list_changed(connection, zone, before.data_version)
        if before is None or owners is None:
            rrsets = [record.data.make_rrset() for record in list_records(connection, zone)]
            data = ZoneData(self._apex.make_zone(zone.apex, rrsets), zone.data_version, None)
        else:
            data = self._patch(connection, zone, before, owners)
        with self._lock:
            self._loaded[identity] = data
        return data

    def _patch(
        self, connection: Connection, zone: DnsZone, before: ZoneData, owners: frozenset[Name]
    ) -> ZoneData:
        fresh: dict[Name, dict[int, RRset]] = {owner: {} for owner in owners}
        for record in list_records_of(connection, zone, owners):
            rrset = record.data.make_rrset()
            fresh[rrset.owner][rrset.type] = rrset
        if zone.apex in fresh:
            fresh[zone.apex] = self._apex.complete(zone.apex, fresh[zone.apex])
        return ZoneData(before.zone.derive(fresh), zone.data_version, owners)


def load_api_zone(connection: Connection, zone: DnsZone, apex: ApexDefaults) -> Zone:
    """Give a zone as its rows say, unsigned, with SOA and name servers."""
    return apex.make_zone(zone.apex, [record.data.make_rrset() for record in list_records(connection, zone)])


def note_published(connection: Connection, identity: str, data_version: int, serial: int) -> None:
    """Note with which serial the changes up to a version were first served."""
    connection.execute(
        update(dns_change_sets)
        .where(
            dns_change_sets.c.zone == identity,
            dns_change_sets.c.data_version <= data_version,
            dns_change_sets.c.serial.is_(None),
        )
        .values(serial=serial)
    )


def parse_apex(text: str) -> Name:
    """Give a stored zone name in wire form."""
    return parse_name(text + ".")


def _list_changed(connection: Connection, zone: DnsZone, since: int) -> frozenset[Name] | None:
    """List the names that changed after a version; None if that is not known any more."""
    rows = connection.execute(
        select(dns_change_sets.c.owners).where(
            dns_change_sets.c.zone == zone.identity, dns_change_sets.c.data_version > since
        )
    ).scalars()
    owners: set[Name] = set()
    count = 0
    for text in rows:
        if text is None:
            return None
        count += 1
        owners.update(Name(bytes.fromhex(owner)) for owner in cast("list[str]", json.loads(text)))
    return frozenset(owners) if count == zone.data_version - since else None
