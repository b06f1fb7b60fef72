"""A change of a zone's records under way: any number of steps, checked and noted as one at the end."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from signerd.dns.name import Name
from signerd.dns_zones.change_sets import raise_data_version
from signerd.dns_zones.errors import CnameConflict, RecordTaken, ZoneTooLarge
from signerd.dns_zones.record import Record, RecordData, RecordKey
from signerd.dns_zones.record_name import relate
from signerd.dns_zones.record_rows import PREFIX, dump_values, find_record
from signerd.dns_zones.tables import dns_records
from signerd.dns_zones.zone_rows import DnsZone, find_zone
from signerd.platform.change import Change
from signerd.platform.rights import DNS_ZONE
from signerd_kms.identity import new_identity

MAX_RECORDS: Final = 1_000_000  # of one zone: protects the memory of all that holds it whole
_NAMED_CHANGES: Final = 5  # in a summary
# Counting looks at all records of the zone while others wait, so a few new ones are counted later: a zone may
# exceed the limit by one in a thousand.
_COUNTED_AT_LEAST: Final = 10  # new records of one change
_COUNTED_EACH: Final = 100  # changes with fewer
_PARAMETERS_AT_ONCE: Final = 500  # databases bound their number
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-"}


class ZoneEditor:
    """Edits inside one transaction. After the steps `finish` must be called before the commit."""

    def __init__(self, change: Change, zone: DnsZone, *, is_bulk: bool = False) -> None:
        """Look at the zone as it is in the transaction.

        Args:
            change: The write.
            zone: As found before it.
            is_bulk: One audit event stands for all steps; `finish` does not record it.

        Raises:
            DnsZoneUnknown: It was deleted meanwhile.
        """
        self._change = change
        self.zone = find_zone(change.connection, zone.scope, zone.identity)
        self._is_bulk = is_bulk
        self._owners: set[Name] = set()
        self._steps: list[str] = []
        self._made = 0

    def create(self, data: RecordData) -> Record:
        """Add a record.

        Raises:
            RecordTaken: The zone has one of this name and type.
        """
        return self.create_all([data])[0]

    def create_all(self, wanted: Sequence[RecordData]) -> list[Record]:
        """Add records, each of another name or type; many by few statements, as others wait meanwhile.

        Raises:
            RecordTaken: The zone has one of such a name and type.
        """
        types = self._find_types({data.owner for data in wanted})
        for data in wanted:
            if data.type in types.get(data.owner, ()):
                raise RecordTaken(data.name, data.type)
        now = self._change.now
        made = [Record(new_identity(PREFIX), data, now, None) for data in wanted]
        if made:
            rows = [
                {
                    "identity": record.identity,
                    "zone": self.zone.identity,
                    "name": record.data.name,
                    "owner": record.data.owner,
                    "type": record.data.type,
                    "ttl": record.data.ttl,
                    "values": dump_values(record.data.values),
                    "created_at": now,
                }
                for record in made
            ]
            self._change.connection.execute(insert(dns_records), rows)
        self._made += len(made)
        for record in made:
            self._note("create", record.key)
        return made

    def replace(self, record: Record, data: RecordData) -> Record:
        """Give a record another TTL or other values; one that is as wished already stays untouched.

        Raises:
            RecordUnknown: It was deleted meanwhile.
        """
        current = find_record(self._change.connection, self.zone, record.identity)
        if (current.data.ttl, current.data.values) == (data.ttl, data.values):
            return current
        return self.replace_all([(current, data)])[0]

    def replace_all(self, changes: Sequence[tuple[Record, RecordData]]) -> list[Record]:
        """Give records another TTL and other values; many by few statements, as others wait meanwhile.

        Args:
            changes: Records as found in this transaction, and what each is to say.
        """
        now = self._change.now
        if changes:
            statement = (
                update(dns_records)
                .where(dns_records.c.identity == bindparam("changed"))
                .values(ttl=bindparam("new_ttl"), values=bindparam("new_values"), updated_at=now)
            )
            rows = [
                {"changed": record.identity, "new_ttl": data.ttl, "new_values": dump_values(data.values)}
                for record, data in changes
            ]
            self._change.connection.execute(statement, rows)
        made = [
            replace(
                record,
                data=replace(record.data, ttl=data.ttl, values=data.values, rdatas=data.rdatas),
                updated_at=now,
            )
            for record, data in changes
        ]
        for record in made:
            self._note("update", record.key)
        return made

    def delete(self, record: Record) -> None:
        """Take a record away.

        Raises:
            RecordUnknown: It was deleted meanwhile.
        """
        find_record(self._change.connection, self.zone, record.identity)
        self.delete_all([record.key])

    def delete_all(self, records: Sequence[RecordKey]) -> None:
        """Take records away that were found in this transaction; many by few statements."""
        for start in range(0, len(records), _PARAMETERS_AT_ONCE):
            part = [record.identity for record in records[start : start + _PARAMETERS_AT_ONCE]]
            self._change.connection.execute(delete(dns_records).where(dns_records.c.identity.in_(part)))
        for record in records:
            self._note("delete", record)

    def finish(self, action: str) -> int:
        """Check what the zone is now, and note the change for those who publish it.

        Args:
            action: Such as `dns.record.create`.

        Returns:
            The data version that has the change; the old one if nothing changed.

        Raises:
            CnameConflict: A CNAME would stand beside other data.
            ZoneTooLarge: There would be too many records.
        """
        if not self._steps:
            return self.zone.data_version
        self._check_aliases()
        connection = self._change.connection
        if self._made >= _COUNTED_AT_LEAST or (self._made and self.zone.data_version % _COUNTED_EACH == 0):
            count = select(func.count()).where(dns_records.c.zone == self.zone.identity)
            if connection.execute(count).scalar_one() > MAX_RECORDS:
                raise ZoneTooLarge(f"the zone would have more than {MAX_RECORDS} records")
        named = ", ".join(self._steps[:_NAMED_CHANGES])
        more = len(self._steps) - _NAMED_CHANGES
        summary = named + (f" and {more} more" if more > 0 else "")
        version = raise_data_version(self._change, self.zone.identity, action, summary, self._owners)
        assert version is not None  # noqa: S101  # it was found in this transaction
        return version

    def _check_aliases(self) -> None:
        """Look at the changed names only: the others were in order before."""
        types = self._find_types(self._owners)
        for owner, present in types.items():
            if "CNAME" in present and len(present) > 1:
                raise CnameConflict(relate(owner, self.zone.apex), ", ".join(sorted(present - {"CNAME"})))

    def _find_types(self, owners: Collection[Name]) -> dict[Name, set[str]]:
        """Give the types that the zone has at some names."""
        wanted = sorted(owners)
        types: dict[Name, set[str]] = {}
        for start in range(0, len(wanted), _PARAMETERS_AT_ONCE):
            rows = self._change.connection.execute(
                select(dns_records.c.owner, dns_records.c.type).where(
                    dns_records.c.zone == self.zone.identity,
                    dns_records.c.owner.in_(wanted[start : start + _PARAMETERS_AT_ONCE]),
                )
            )
            for row in rows:
                types.setdefault(Name(bytes(row.owner)), set()).add(row.type)
        return types

    def _note(self, verb: str, record: RecordKey) -> None:
        self._owners.add(record.owner)
        self._steps.append(f"{_SIGNS[verb]}{record.name} {record.type}")
        if not self._is_bulk:
            self._change.record(
                f"dns.record.{verb}",
                self.zone.scope.organisation,
                DNS_ZONE,
                self.zone.identity,
                project=self.zone.scope.project,
                details={
                    "zone": self.zone.text,
                    "record": record.identity,
                    "name": record.name,
                    "type": record.type,
                },
            )
