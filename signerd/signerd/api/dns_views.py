"""Answers about zones and records: bodies and how they are made."""

from signerd.api.dns_backend import DnsBackend, FoundZone
from signerd.api.reply import JsonValue
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.dns.name import format_name
from signerd.dns_zones.record import Record


class ZoneBody(WireModel):
    """A zone. What was never set is left out.

    Beyond the contract: where its data is, and how far it has come on the name servers.
    """

    identity: str
    name: str
    slug: str
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    project_id: str | None = None
    created_at: str
    updated_at: str
    object_version: int
    nameservers: list[str]
    source: str
    read_only: bool
    published_serial: int | None = None
    publication_pending: bool
    publication_error: str | None = None
    warnings: list[str] | None = None


class RecordBody(WireModel):
    """A record; `updatedAt` only once it was changed."""

    identity: str
    name: str
    type: str
    ttl: int
    values: list[str]
    created_at: str
    updated_at: str | None = None


def render_zone(backend: DnsBackend, found: FoundZone) -> dict[str, JsonValue]:
    """Give a zone."""
    zone, record = found.zone, found.zone.record
    served = backend.find_served(found)
    is_pending = served is None or served.serial is None
    if found.file is None and served is not None:
        is_pending = is_pending or (served.data_version or 0) < zone.data_version
    return ZoneBody(
        identity=record.identity,
        name=record.name,
        slug=record.slug,
        description=record.description or None,
        labels=dict(record.labels) or None,
        annotations=dict(record.annotations) or None,
        project_id=zone.scope.project,
        created_at=format_time(record.created_at),
        updated_at=format_time(record.updated_at),
        object_version=record.object_version,
        nameservers=[format_name(server)[:-1] for server in backend.apex.name_servers],
        source="api" if found.file is None else "file",
        read_only=found.file is not None,
        published_serial=None if served is None else served.serial,
        publication_pending=is_pending,
        publication_error=None if served is None else served.error,
        warnings=list_warnings(backend, found) or None,
    ).render()


def list_warnings(backend: DnsBackend, found: FoundZone) -> list[str]:
    """Say what stands in the way of a zone besides its records."""
    if found.file is not None or not backend.apex.are_name_servers_placeholders:
        return []
    return [
        "no name servers are configured (api_zones.name_servers): without NS records of its own at the apex "
        "the zone names one that does not exist, and cannot be delegated"
    ]


def render_record(record: Record) -> dict[str, JsonValue]:
    """Give a record."""
    data = record.data
    return RecordBody(
        identity=record.identity,
        name=data.name,
        type=data.type,
        ttl=data.ttl,
        values=list(data.values),
        created_at=format_time(record.created_at),
        updated_at=None if record.updated_at is None else format_time(record.updated_at),
    ).render()
