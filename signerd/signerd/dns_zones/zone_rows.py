"""Zones of the API: made, found, described and deleted; each change with its audit event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select, update

from signerd.dns.name import Name, parse_name
from signerd.dns_zones.errors import DnsZoneUnknown, ZoneNameTaken
from signerd.dns_zones.tables import dns_change_sets, dns_records, dns_zone_removals, dns_zones
from signerd.dns_zones.zone_name import read_zone_name
from signerd.platform.change import Change
from signerd.platform.described import Described, Description
from signerd.platform.rights import DNS_ZONE
from signerd.store.zone_tables import zone_events
from signerd.zone_dnssec.settings import forget_zone
from signerd_kms.slug import make_slug

PREFIX: Final = "dnsz"


@dataclass(frozen=True, slots=True)
class ZoneScope:
    """Where zones belong: an organisation, and a project of it or none."""

    organisation: str
    project: str | None


@dataclass(frozen=True, slots=True)
class DnsZone:
    """A zone of the API.

    Attributes:
        scope: Where it belongs.
        record: What it has in common with other objects.
        data_version: Rises with each change of its records.
    """

    scope: ZoneScope
    record: Described
    data_version: int

    @property
    def identity(self) -> str:
        """Of the zone."""
        return self.record.identity

    @property
    def text(self) -> str:
        """Its name without trailing dot."""
        return self.record.name

    @property
    def apex(self) -> Name:
        """Its name in wire form."""
        return parse_name(self.record.name + ".")


def list_zones(connection: Connection, scope: ZoneScope) -> list[DnsZone]:
    """List the zones of a scope."""
    query = select(dns_zones).where(_is_in(scope)).order_by(dns_zones.c.created_at, dns_zones.c.identity)
    return [_read(row) for row in connection.execute(query).mappings()]


def find_zone(connection: Connection, scope: ZoneScope, identity_or_name: str) -> DnsZone:
    """Find a zone of a scope; names have a dot and identities have none, so no name is an identity.

    Raises:
        DnsZoneUnknown: There is none.
    """
    column = dns_zones.c.name if "." in identity_or_name else dns_zones.c.identity
    row = (
        connection.execute(select(dns_zones).where(_is_in(scope), column == identity_or_name))
        .mappings()
        .first()
    )
    if row is None:
        raise DnsZoneUnknown
    return _read(row)


def create_zone(
    change: Change,
    scope: ZoneScope,
    name: str,
    description: Description,
    *,
    is_served: Callable[[Name], bool],
) -> DnsZone:
    """Make a zone without records.

    Args:
        change: The write.
        scope: Where it is to belong.
        name: As sent.
        description: Text, labels and annotations; its own name is not looked at.
        is_served: Says if another source serves a zone of a name.

    Raises:
        InvalidDnsValue: The name is no zone name.
        InvalidValue: The description breaks a limit.
        ZoneNameTaken: Somebody has such a zone.
    """
    apex = read_zone_name(name)
    taken = select(dns_zones.c.identity).where(dns_zones.c.name == name)
    if change.connection.execute(taken).first() is not None or is_served(apex):
        raise ZoneNameTaken(name)
    made = Described.make(
        PREFIX,
        Description(name, description.description, description.labels, description.annotations),
        change.now,
    )
    columns = made.columns() | {"slug": _choose_slug(change.connection, scope, name)}
    change.connection.execute(
        insert(dns_zones).values(
            organisation=scope.organisation, project=scope.project, data_version=1, **columns
        )
    )
    # One of the same name may still be in service; the new one follows it without a gap in the serials.
    change.connection.execute(delete(dns_zone_removals).where(dns_zone_removals.c.name == name))
    _forget_versions(change.connection, name)
    _record(change, "dns.zone.create", scope, made.identity, name)
    return find_zone(change.connection, scope, made.identity)


def describe_zone(change: Change, zone: DnsZone, description: Description) -> DnsZone:
    """Replace text, labels and annotations of a zone; its name stays.

    Raises:
        DnsZoneUnknown: It was deleted meanwhile.
        InvalidValue: The description breaks a limit.
    """
    current = find_zone(change.connection, zone.scope, zone.identity)
    wanted = Description(current.text, description.description, description.labels, description.annotations)
    if current.record.stated == wanted:
        return current
    columns = current.record.change(wanted, change.now).columns() | {"slug": current.record.slug}
    change.connection.execute(
        update(dns_zones).where(dns_zones.c.identity == zone.identity).values(**columns)
    )
    _record(change, "dns.zone.update", zone.scope, zone.identity, current.text)
    return find_zone(change.connection, zone.scope, zone.identity)


def delete_zone(change: Change, zone: DnsZone) -> None:
    """Delete a zone with all its records. Its service ends when the fleet of zones takes note.

    Raises:
        DnsZoneUnknown: It was deleted meanwhile.
    """
    current = find_zone(change.connection, zone.scope, zone.identity)
    for table in (dns_change_sets, dns_records):
        change.connection.execute(delete(table).where(table.c.zone == current.identity))
    forget_zone(change.connection, current.text)
    _forget_versions(change.connection, current.text)
    change.connection.execute(delete(dns_zones).where(dns_zones.c.identity == current.identity))
    change.connection.execute(delete(dns_zone_removals).where(dns_zone_removals.c.name == current.text))
    change.connection.execute(insert(dns_zone_removals).values(name=current.text, at=change.now))
    _record(change, "dns.zone.delete", zone.scope, current.identity, current.text)


def _forget_versions(connection: Connection, name: str) -> None:
    """Drop what is told of versions: of a former zone of the name it is not the next owner's to read."""
    connection.execute(delete(zone_events).where(zone_events.c.zone == name))


def list_every_zone(connection: Connection) -> Sequence[tuple[str, str]]:
    """List identity and name of the zones of all organisations."""
    rows = connection.execute(select(dns_zones.c.identity, dns_zones.c.name))
    return [(row.identity, row.name) for row in rows]


def list_removals(connection: Connection) -> list[str]:
    """List the names of deleted zones whose service may not have ended."""
    return list(connection.execute(select(dns_zone_removals.c.name)).scalars())


def confirm_removal(connection: Connection, name: str) -> None:
    """Note that the service of a deleted zone has ended."""
    connection.execute(delete(dns_zone_removals).where(dns_zone_removals.c.name == name))


def _choose_slug(connection: Connection, scope: ZoneScope, name: str) -> str:
    """Give the name with hyphens for its dots, numbered if a zone of the scope has that."""
    slug = make_slug(name)
    taken = set(
        connection.execute(
            select(dns_zones.c.slug).where(_is_in(scope), dns_zones.c.slug.startswith(slug, autoescape=True))
        ).scalars()
    )
    number = 1
    while (candidate := slug if number == 1 else f"{slug}-{number}") in taken:
        number += 1
    return candidate


def _is_in(scope: ZoneScope) -> ColumnElement[bool]:
    place = dns_zones.c.project.is_(None) if scope.project is None else dns_zones.c.project == scope.project
    return (dns_zones.c.organisation == scope.organisation) & place


def _read(row: RowMapping) -> DnsZone:
    return DnsZone(
        ZoneScope(row["organisation"], row["project"]), Described.read(row), int(row["data_version"])
    )


def _record(change: Change, action: str, scope: ZoneScope, identity: str, name: str) -> None:
    change.record(
        action, scope.organisation, DNS_ZONE, identity, project=scope.project, details={"zone": name}
    )
