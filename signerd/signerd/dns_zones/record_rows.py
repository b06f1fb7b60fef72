"""Stored records: read alone."""

import json
from collections.abc import Iterable
from typing import Final, cast

from sqlalchemy import Connection, RowMapping, select

from signerd.dns.name import Name
from signerd.dns_zones.errors import RecordUnknown
from signerd.dns_zones.record import Record, RecordData, RecordKey
from signerd.dns_zones.record_value import read_values
from signerd.dns_zones.tables import dns_records
from signerd.dns_zones.zone_rows import DnsZone

PREFIX: Final = "dnsr"
_OWNERS_AT_ONCE: Final = 500  # databases bound the number of parameters


def dump_values(values: Iterable[str]) -> str:
    """Encode values; JSON's escapes keep what a text column of some databases cannot hold, such as NUL."""
    return json.dumps(list(values), separators=(",", ":"))


def list_records(connection: Connection, zone: DnsZone) -> list[Record]:
    """List the records of a zone, by creation."""
    query = (
        select(dns_records)
        .where(dns_records.c.zone == zone.identity)
        .order_by(dns_records.c.created_at, dns_records.c.identity)
    )
    return [_read(row) for row in connection.execute(query).mappings()]


def list_record_keys(connection: Connection, zone: DnsZone) -> list[RecordKey]:
    """List which records a zone has, by creation; takes a fraction of reading them."""
    table = dns_records
    query = (
        select(table.c.identity, table.c.name, table.c.owner, table.c.type)
        .where(table.c.zone == zone.identity)
        .order_by(table.c.created_at, table.c.identity)
    )
    return [
        RecordKey(identity, name, Name(bytes(owner)), type_text)
        for identity, name, owner, type_text in connection.execute(query)
    ]


def list_records_of(connection: Connection, zone: DnsZone, owners: Iterable[Name]) -> list[Record]:
    """List the records at some names."""
    wanted = list(owners)
    found: list[Record] = []
    for start in range(0, len(wanted), _OWNERS_AT_ONCE):
        query = select(dns_records).where(
            dns_records.c.zone == zone.identity,
            dns_records.c.owner.in_(wanted[start : start + _OWNERS_AT_ONCE]),
        )
        found += [_read(row) for row in connection.execute(query).mappings()]
    return found


def find_record(connection: Connection, zone: DnsZone, identity: str) -> Record:
    """Find a record by identity; one of another zone is not found.

    Raises:
        RecordUnknown: There is none.
    """
    query = select(dns_records).where(dns_records.c.zone == zone.identity, dns_records.c.identity == identity)
    return _require(connection.execute(query).mappings().first())


def find_record_at(connection: Connection, zone: DnsZone, owner: Name, type_text: str) -> Record:
    """Find a record by name and type.

    Raises:
        RecordUnknown: There is none.
    """
    query = select(dns_records).where(
        dns_records.c.zone == zone.identity, dns_records.c.owner == owner, dns_records.c.type == type_text
    )
    return _require(connection.execute(query).mappings().first())


def _require(row: RowMapping | None) -> Record:
    if row is None:
        raise RecordUnknown
    return _read(row)


def _read(row: RowMapping) -> Record:
    values = tuple(cast("list[str]", json.loads(row["values"])))
    data = RecordData(
        row["name"],
        Name(bytes(row["owner"])),
        row["type"],
        row["ttl"],
        values,
        read_values(row["type"], values),
    )
    return Record(row["identity"], data, row["created_at"], row["updated_at"])
