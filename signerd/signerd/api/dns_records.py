"""`/v1/dns/zones/{zone}/records`: records one by one, and several in one change."""

from collections.abc import Callable, Sequence
from types import GenericAlias
from typing import Final, Literal, TypeVar

from signerd.api.call import Call
from signerd.api.dns_backend import DnsBackend, FoundZone, OpenDns, find_for, find_record_for
from signerd.api.dns_views import RecordBody, render_record
from signerd.api.dns_zones import GATES, ONE
from signerd.api.errors import InvalidBody
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.dns_zones.errors import InvalidDnsValue, RecordUnknown
from signerd.dns_zones.record import Record, RecordData, make_data, read_type
from signerd.dns_zones.record_name import read_record_name
from signerd.dns_zones.record_rows import find_record_at
from signerd.dns_zones.zone_editor import ZoneEditor
from signerd.platform.change import Change
from signerd.platform.rights import DNS_ZONE

T = TypeVar("T")
ALL: Final = f"{ONE}/records"
BY_IDENTITY: Final = f"{ALL}/{{record}}"
BY_NAME: Final = f"{ALL}/{{name}}/{{type}}"
MAX_CHANGES: Final = 1000  # of one batch


class NewRecordRequest(WireModel):
    """A record to make."""

    name: str
    type: str
    ttl: int | None = None
    values: list[str]


class RecordChangeRequest(WireModel):
    """Other values of a record. Its name and type cannot change; what is absent stays."""

    name: str | None = None
    type: str | None = None
    ttl: int | None = None
    values: list[str] | None = None


class BatchStepRequest(WireModel):
    """One change of a batch. `upsert` makes the record or gives it the TTL and values."""

    action: Literal["create", "update", "upsert", "delete"]
    name: str
    type: str
    ttl: int | None = None
    values: list[str] | None = None


class BatchRequest(WireModel):
    """Changes of one zone that are made together or not at all."""

    changes: list[BatchStepRequest]


class BatchBody(WireModel):
    """What came of a batch; records in the order of the changes, deleted ones left out."""

    created: int
    updated: int
    deleted: int
    unchanged: int
    records: list[RecordBody]


class _RecordCalls:
    def __init__(self, open_dns: OpenDns) -> None:
        self._open = open_dns

    def list(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "read")
        with backend.store.read() as connection:
            records = found.list_records(connection)
        types = {value for key in ("recordType", "type") if (value := call.query.first(key)) is not None}
        name = call.query.first("name")
        return Reply(
            body=[
                render_record(record)
                for record in records
                if types <= {record.data.type}  # both filters, if both are there
                and (name is None or record.data.name.lower() == name.lower())
            ]
        )

    def create(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        request = call.read(NewRecordRequest)
        found.require_writable()
        data = make_data(found.apex, request.name, request.type, request.ttl, request.values)
        record = edit(backend, call, found, "dns.record.create", lambda editor: editor.create(data))
        return Reply(201, render_record(record))

    def get(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "read")
        return Reply(body=render_record(find_record_for(backend, call, found)))

    def replace(self, call: Call) -> Reply:
        """Give a record other values; they are required."""
        return self._update(call, are_values_required=True)

    def revise(self, call: Call) -> Reply:
        """Give a record another TTL or other values."""
        return self._update(call, are_values_required=False)

    def _update(self, call: Call, *, are_values_required: bool) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        record = find_record_for(backend, call, found)
        request = call.read(RecordChangeRequest)
        found.require_writable()
        _refuse_other_key(found, record, request)
        if request.values is None and are_values_required:
            raise InvalidBody("values is required")
        data = _merge(found, record, request.ttl, request.values)
        changed = edit(backend, call, found, "dns.record.update", lambda editor: editor.replace(record, data))
        return Reply(body=render_record(changed))

    def delete(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        record = find_record_for(backend, call, found)
        call.read_empty()
        found.require_writable()
        edit(backend, call, found, "dns.record.delete", lambda editor: editor.delete(record))
        return Reply(204)

    def batch(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        request = call.read(BatchRequest)
        found.require_writable()
        if not 0 < len(request.changes) <= MAX_CHANGES:
            raise InvalidBody(f"changes: must be 1 to {MAX_CHANGES}")
        counts = {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}
        records: list[JsonValue] = []

        def work(change: Change, editor: ZoneEditor) -> None:
            for key in counts:
                counts[key] = 0
            records.clear()
            for index, step in enumerate(request.changes):
                try:
                    outcome, record = _take_step(change, editor, found, step)
                except InvalidDnsValue as error:
                    raise InvalidDnsValue(f"changes[{index}].{error.field}", error.reason) from error
                counts[outcome] += 1
                if record is not None:
                    records.append(render_record(record))

        edit_with_change(backend, call, found, "dns.record.batch", work)
        return Reply(body={**counts, "records": records})


def edit(
    backend: DnsBackend, call: Call, found: FoundZone, action: str, step: Callable[[ZoneEditor], T]
) -> T:
    """Change the records of a zone in one transaction, and have the change served."""
    return edit_with_change(backend, call, found, action, lambda change, editor: step(editor))


def edit_with_change(
    backend: DnsBackend,
    call: Call,
    found: FoundZone,
    action: str,
    work: Callable[[Change, ZoneEditor], T],
    *,
    is_bulk: bool = False,
) -> T:
    """Likewise, for work that looks at other records too."""

    def run(change: Change) -> tuple[T, int, int]:
        editor = ZoneEditor(change, found.zone, is_bulk=is_bulk)
        result = work(change, editor)
        return result, editor.zone.data_version, editor.finish(action)

    result, before, version = backend.change(call, run)
    if version != before:
        backend.publisher.publish(found.apex, found.zone.identity, version)
    return result


def _take_step(
    change: Change, editor: ZoneEditor, found: FoundZone, step: BatchStepRequest
) -> tuple[str, Record | None]:
    read_type(step.type)
    owner = read_record_name(step.name, found.apex)
    if step.action in ("create", "upsert") and step.values is None:
        raise InvalidDnsValue("values", "is required")
    if step.action == "create":
        return "created", editor.create(_make(found, step))
    if step.action == "upsert":
        try:
            current = find_record_at(change.connection, editor.zone, owner, step.type)
        except RecordUnknown:
            return "created", editor.create(_make(found, step))
    else:
        current = find_record_at(change.connection, editor.zone, owner, step.type)
    if step.action == "delete":
        editor.delete(current)
        return "deleted", None
    changed = editor.replace(current, _merge(found, current, step.ttl, step.values))
    return ("unchanged" if changed == current else "updated"), changed


def _make(found: FoundZone, step: BatchStepRequest) -> RecordData:
    return make_data(found.apex, step.name, step.type, step.ttl, step.values or ())


def _merge(found: FoundZone, record: Record, ttl: int | None, values: Sequence[str] | None) -> RecordData:
    """Give what a record is to say: an absent TTL and absent values stay."""
    old = record.data
    return make_data(
        found.apex,
        old.name,
        old.type,
        old.ttl if ttl is None else ttl,
        old.values if values is None else values,
    )


def _refuse_other_key(found: FoundZone, record: Record, request: RecordChangeRequest) -> None:
    if request.name is not None and read_record_name(request.name, found.apex) != record.data.owner:
        raise InvalidDnsValue("name", "cannot be changed; delete the record and make another")
    if request.type is not None and request.type != record.data.type:
        raise InvalidDnsValue("type", "cannot be changed; delete the record and make another")


def list_record_endpoints(open_dns: OpenDns) -> list[Endpoint]:
    """Give the calls."""
    calls = _RecordCalls(open_dns)
    endpoints = [
        Endpoint(
            "GET",
            ALL,
            calls.list,
            action="dns:ListRecords",
            summary="The records of a zone",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=GenericAlias(list, (RecordBody,)),
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "POST",
            ALL,
            calls.create,
            action="dns:CreateRecord",
            summary="Make a record",
            gates=GATES,
            resource_type=DNS_ZONE,
            request=NewRecordRequest,
            response=RecordBody,
            statuses=(201, 400, 403, 404, 409),
        ),
        Endpoint(
            "POST",
            f"{ALL}:batch",
            calls.batch,
            action="dns:ChangeRecords",
            summary="Change records of a zone, all or none",
            gates=GATES,
            resource_type=DNS_ZONE,
            request=BatchRequest,
            response=BatchBody,
            statuses=(200, 400, 403, 404, 409),
        ),
    ]
    for pattern, by in ((BY_IDENTITY, "by identity"), (BY_NAME, "by name and type")):
        endpoints.append(
            Endpoint(
                "GET",
                pattern,
                calls.get,
                action="dns:ReadRecord",
                summary=f"One record, {by}",
                gates=GATES,
                resource_type=DNS_ZONE,
                response=RecordBody,
                statuses=(200, 403, 404),
            )
        )
        endpoints.extend(
            Endpoint(
                method,
                pattern,
                handle,
                action="dns:UpdateRecord",
                summary=f"Change TTL and values of a record, {by}",
                gates=GATES,
                resource_type=DNS_ZONE,
                request=RecordChangeRequest,
                response=RecordBody,
                statuses=(200, 400, 403, 404, 409),
            )
            for method, handle in (("PUT", calls.replace), ("PATCH", calls.revise))
        )
        endpoints.append(
            Endpoint(
                "DELETE",
                pattern,
                calls.delete,
                action="dns:DeleteRecord",
                summary=f"Delete a record, {by}",
                gates=GATES,
                resource_type=DNS_ZONE,
                statuses=(204, 403, 404, 409),
            )
        )
    return endpoints
