"""`/v1/dns/zones/{zone}/export`, `/import` and `/versions`: a zone as text, and why it is what it is."""

from types import GenericAlias
from typing import Final

from sqlalchemy import select

from signerd.api.call import Call
from signerd.api.dns_backend import OpenDns, find_for
from signerd.api.dns_records import edit_with_change
from signerd.api.dns_views import RecordBody, render_record
from signerd.api.dns_zones import GATES, ONE
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.dns_zones.tables import dns_change_sets
from signerd.dns_zones.zone_text import export_zone, import_records, parse_zone_text
from signerd.platform.change import Change
from signerd.platform.rights import DNS_ZONE
from signerd.store.zone_tables import zone_events

MAX_IMPORT_OCTETS: Final = 8 << 20
MAX_VERSIONS: Final = 100
_PUBLISHED: Final = "published"


class ExportBody(WireModel):
    """A zone as a master file."""

    zone_name: str
    zone_file: str


class ImportRequest(WireModel):
    """A master file to take records from. `allowMassDeletion` goes beyond the contract."""

    zone_file: str
    replace_existing: bool | None = None
    allow_mass_deletion: bool | None = None


class ImportBody(WireModel):
    """What an import did; `skipped` counts single records, the others names with a type."""

    created: int
    updated: int
    deleted: int
    skipped: int
    records: list[RecordBody]


class CauseBody(WireModel):
    """A change of records."""

    at: str
    data_version: int
    action: str
    summary: str
    actor: str | None = None
    request_id: str | None = None


class VersionBody(WireModel):
    """A version of a zone that was published, and why."""

    serial: int
    at: str
    detail: str
    changes: list[CauseBody]


class _TextCalls:
    def __init__(self, open_dns: OpenDns) -> None:
        self._open = open_dns

    def export(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "read")
        served = backend.find_served(found)
        with backend.store.read() as connection:
            records = found.list_records(connection)
        text = export_zone(
            found.apex,
            found.zone.text,
            (served.serial if served is not None else None) or 0,
            backend.apex,
            [record.data.make_rrset() for record in records],
        )
        zone = found.zone

        def record(change: Change) -> None:
            change.record(
                "dns.zone.export",
                zone.scope.organisation,
                DNS_ZONE,
                zone.identity,
                project=zone.scope.project,
                details={"zone": zone.text},
            )

        backend.change(call, record)
        return Reply(body={"zoneName": found.zone.text, "zoneFile": text})

    def import_text(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        request = call.read(ImportRequest)
        found.require_writable()
        parsed = parse_zone_text(request.zone_file, found.apex, backend.apex)
        percent = 100 if request.allow_mass_deletion else backend.served.deletion_percent
        done = edit_with_change(
            backend,
            call,
            found,
            "dns.zone.import",
            lambda change, editor: import_records(
                change,
                editor,
                parsed,
                replace_existing=request.replace_existing or False,
                deletion_percent=percent,
            ),
            is_bulk=True,
        )
        return Reply(
            body={
                "created": len(done.created),
                "updated": len(done.updated),
                "deleted": done.deleted,
                "skipped": parsed.skipped,
                "records": [render_record(record) for record in (*done.created, *done.updated)],
            }
        )

    def list_versions(self, call: Call) -> Reply:
        """List the newest published versions, each with what led to it."""
        backend = self._open()
        found = find_for(backend, call, "read")
        events = (
            select(zone_events)
            .where(zone_events.c.zone == found.zone.text, zone_events.c.stage == _PUBLISHED)
            .order_by(zone_events.c.id.desc())
            .limit(MAX_VERSIONS)
        )
        changes: dict[int, list[CauseBody]] = {}
        with backend.store.read() as connection:
            versions = connection.execute(events).all()
            serials = [row.serial for row in versions]
            for row in connection.execute(
                select(dns_change_sets)
                .where(dns_change_sets.c.zone == found.zone.identity, dns_change_sets.c.serial.in_(serials))
                .order_by(dns_change_sets.c.data_version)
            ):
                changes.setdefault(row.serial, []).append(
                    CauseBody(
                        at=format_time(row.at),
                        data_version=row.data_version,
                        action=row.action,
                        summary=row.summary,
                        actor=row.actor,
                        request_id=row.request_id,
                    )
                )
        return Reply(
            body=[
                VersionBody(
                    serial=row.serial,
                    at=format_time(row.at),
                    detail=row.detail,
                    changes=changes.get(row.serial, []),
                ).render()
                for row in versions
            ]
        )


def list_text_endpoints(open_dns: OpenDns) -> list[Endpoint]:
    """Give the calls."""
    calls = _TextCalls(open_dns)
    return [
        Endpoint(
            "GET",
            f"{ONE}/export",
            calls.export,
            action="dns:ExportZone",
            summary="A zone as a master file",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=ExportBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "POST",
            f"{ONE}/import",
            calls.import_text,
            action="dns:ImportZone",
            summary="Take records from a master file",
            gates=GATES,
            resource_type=DNS_ZONE,
            request=ImportRequest,
            response=ImportBody,
            statuses=(200, 400, 403, 404, 409),
            body_octets=MAX_IMPORT_OCTETS,
            is_expensive=True,
        ),
        Endpoint(
            "GET",
            f"{ONE}/versions",
            calls.list_versions,
            action="dns:ListVersions",
            summary="The versions that were published, and why",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=GenericAlias(list, (VersionBody,)),
            statuses=(200, 403, 404),
        ),
    ]
