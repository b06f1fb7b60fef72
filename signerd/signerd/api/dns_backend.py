"""What the calls about zones work with: the zone that a path names, and whether the caller may."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

from sqlalchemy import Connection

from signerd.api.call import Call
from signerd.api.errors import MalformedRequest
from signerd.dns.name import Name
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.errors import DnsZoneUnknown, InvalidDnsValue, RecordUnknown, ZoneReadOnly
from signerd.dns_zones.file_zones import find_file_record, list_file_records, make_view
from signerd.dns_zones.publisher import FileZone, ServedZone, ServedZones, ZonePublisher
from signerd.dns_zones.record import Record
from signerd.dns_zones.record_name import read_record_name
from signerd.dns_zones.record_rows import find_record, find_record_at, list_records
from signerd.dns_zones.record_value import TYPES
from signerd.dns_zones.zone_rows import DnsZone, ZoneScope, find_zone, list_zones
from signerd.platform.change import Change, PlatformStore
from signerd.platform.rights import DNS_ZONE

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DnsBackend:
    """Zones and those who serve them.

    Attributes:
        store: The database.
        served: Who serves zones, and what they get besides their records.
        file_organisation: Identity of the organisation that the zones of files belong to.
    """

    store: PlatformStore
    served: ServedZones
    file_organisation: str

    @property
    def publisher(self) -> ZonePublisher:
        """Who serves zones."""
        return self.served.publisher

    @property
    def apex(self) -> ApexDefaults:
        """What zones get besides their records."""
        return self.served.apex

    def change(self, call: Call, work: Callable[[Change], T]) -> T:
        """Change something on behalf of a caller; it is on disk, with its audit event, when this returns."""
        return self.store.change(call.attribution, work)

    def find_served(self, found: "FoundZone") -> ServedZone | None:
        """Say what is in service of a zone; None if nothing is known of it yet."""
        if found.file is not None:
            return found.file.served
        return self.publisher.find_served(found.apex, found.zone.identity)

    def is_served_elsewhere(self, apex: Name) -> bool:
        """Say if a zone that is not of the API has a name."""
        return any(found.apex == apex for found in self.publisher.list_file_zones())


OpenDns = Callable[[], DnsBackend]
"""Gives the backend; raises PartNotAvailable while there is none."""


@dataclass(frozen=True, slots=True)
class FoundZone:
    """The zone of a call.

    Attributes:
        zone: As stored, or what stands for a zone of a file.
        file: The zone of a file; None for one of the API.
    """

    zone: DnsZone
    file: FileZone | None = None

    @property
    def apex(self) -> Name:
        """Its name."""
        return self.zone.apex if self.file is None else self.file.apex

    def require_writable(self) -> None:
        """Check that it is changed over the API.

        Raises:
            ZoneReadOnly: It is kept in a file.
        """
        if self.file is not None:
            raise ZoneReadOnly(
                f"the zone {self.zone.text} is kept in {self.file.place} and is changed there; "
                "over the API it can be read only"
            )

    def list_records(self, connection: Connection) -> list[Record]:
        """List its records, by creation."""
        if self.file is not None:
            return list(list_file_records(self.file, self.zone.record.created_at))
        return list_records(connection, self.zone)


def find_scope(call: Call) -> ZoneScope:
    """Give where a call looks for zones."""
    return ZoneScope(call.organisation.identity, None if call.project is None else call.project.identity)


def list_visible(backend: DnsBackend, call: Call) -> list[FoundZone]:
    """List the zones of a call's scope, by creation; rights are not looked at."""
    scope = find_scope(call)
    with backend.store.read() as connection:
        found = [FoundZone(zone) for zone in list_zones(connection, scope)]
    found += [
        FoundZone(make_view(file, scope, call.organisation.created_at), file)
        for file in _list_files(backend, scope)
    ]
    return sorted(found, key=lambda one: (one.zone.record.created_at, one.zone.identity))


def find_for(backend: DnsBackend, call: Call, verb: str) -> FoundZone:
    """Find the zone that the path names by identity or name, and check a right on it.

    Raises:
        DnsZoneUnknown: There is none in the scope.
        Forbidden: The verb is not allowed on it.
    """
    found = _find(backend, call)
    call.rights.require(DNS_ZONE, verb, found.zone.identity)
    return found


def find_record_for(backend: DnsBackend, call: Call, found: FoundZone) -> Record:
    """Find the record that the path names, by identity or by name and type.

    Raises:
        RecordUnknown: The zone has none such.
    """
    zone = found.zone
    if "record" in call.path:
        identity = call.path["record"]
        if found.file is not None:
            return find_file_record(found.file, zone.record.created_at, identity)
        with backend.store.read() as connection:
            return find_record(connection, zone, identity)
    type_text = call.path["type"]
    try:
        owner = read_record_name(decode_segment(call.path["name"]), found.apex)
    except InvalidDnsValue as error:
        raise RecordUnknown from error
    if type_text not in TYPES:
        raise RecordUnknown
    if found.file is not None:
        for record in list_file_records(found.file, zone.record.created_at):
            if record.data.key == (owner, type_text):
                return record
        raise RecordUnknown
    with backend.store.read() as connection:
        return find_record_at(connection, zone, owner, type_text)


def decode_segment(segment: str) -> str:
    """Decode the percent signs of one segment of a path.

    Raises:
        MalformedRequest: It is not UTF-8.
    """
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedRequest("the path cannot be understood") from error


def _find(backend: DnsBackend, call: Call) -> FoundZone:
    scope, name = find_scope(call), decode_segment(call.path["zone"])
    try:
        with backend.store.read() as connection:
            return FoundZone(find_zone(connection, scope, name))
    except DnsZoneUnknown:
        for file in _list_files(backend, scope):
            view = make_view(file, scope, call.organisation.created_at)
            if name in (view.identity, view.text):
                return FoundZone(view, file)
        raise


def _list_files(backend: DnsBackend, scope: ZoneScope) -> list[FileZone]:
    """List the zones of files; they belong to one organisation as a whole."""
    if scope != ZoneScope(backend.file_organisation, None):
        return []
    return list(backend.publisher.list_file_zones())
