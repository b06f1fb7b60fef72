"""One entry of the audit log: a request, or something a service did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from signerd.platform.canonical_json import Value
from signerd.platform.denial_limit import LeftOut
from signerd.platform.request_record import RequestRecord
from signerd_kms.audit import AuditEvent

NO_CONTEXT: Final[Mapping[str, Value]] = {}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is known before the entry has its place in a chain.

    Attributes:
        at: Seconds since 1970, UTC.
        action: HTTP method of a request; such as `kms.sign` of a service.
        organisation: Identity; None for what concerns the instance as a whole.
        actor: `user:<subject>` or `serviceAccount:<identity>`; None for background jobs and unknown callers.
        request_id: The same in all entries of one request.
        resource_type: Such as `kms_key`.
        resource: Identity.
        project: Identity of the active project.
        status: HTTP status of a request.
        description: For people.
        context: Everything else. Never values, plaintext, ciphertext, tokens or key material.
    """

    at: int
    action: str
    organisation: str | None
    actor: str | None = None
    request_id: str | None = None
    resource_type: str | None = None
    resource: str | None = None
    project: str | None = None
    status: int | None = None
    description: str | None = None
    context: Mapping[str, Value] = field(default_factory=lambda: NO_CONTEXT)

    def render(self) -> dict[str, Value]:
        """Give the members of the record; absent ones are left out."""
        members: dict[str, Value] = {
            "action": self.action,
            "actor": self.actor,
            "at": self.at,
            "context": _leave_out_none(self.context),
            "description": self.description,
            "organisation": self.organisation,
            "project": self.project,
            "request_id": self.request_id,
            "resource": self.resource,
            "resource_type": self.resource_type,
            "status": self.status,
        }
        return _leave_out_none(members)


def make_entry(event: AuditEvent) -> AuditEntry:
    """Make the entry for what a service did."""
    return AuditEntry(
        event.at,
        event.action,
        event.organisation,
        event.actor,
        event.request_id,
        event.resource_type,
        event.resource,
        event.project,
        context={
            **event.details,
            "client_ip": event.address,
            "credentials_id": event.credential,
            "error": event.error,
            "keyVersion": None if event.key_version is None else str(event.key_version),
            "region": event.region,
            "requestId": event.request_id,
            "result": "success" if event.succeeded else "failure",
            "via": event.via,
        },
    )


def make_request_entry(record: RequestRecord, at: int) -> AuditEntry:
    """Make the generic entry for a request."""
    query = "?" + "&".join(f"{name}=" for name in record.query_names) if record.query_names else ""
    return AuditEntry(
        at=at,
        action=record.method,
        organisation=record.organisation,
        actor=record.principal.actor if record.principal else None,
        request_id=record.request_id,
        resource_type=record.resource_type,
        resource=record.resource,
        project=record.project,
        status=record.status,
        description=record.description,
        context={
            "action": record.action,
            "client_ip": record.address,
            "credentials_id": record.credential.id if record.credential else None,
            "credentials_type": record.credential.kind.value if record.credential else None,
            "duration": record.duration_microseconds,
            "headers": record.headers,
            "method": record.method,
            "path": record.path,
            "requestId": record.request_id,
            "status": record.status,
            "url": record.path + query,
            "user_agent": record.headers.get("User-Agent"),
        },
    )


def make_left_out_entry(left_out: LeftOut, at: int) -> AuditEntry:
    """Make the entry for refused requests that have none of their own."""
    last = left_out.last
    return AuditEntry(
        at=at,
        action="audit.denials",
        organisation=left_out.organisation,
        actor=last.principal.actor if last.principal and left_out.organisation else None,
        description="Further refused requests of one caller within a minute",
        context={
            "client_ip": last.address if left_out.organisation else None,
            "count": left_out.count,
            "credentials_id": last.credential.id if last.credential and left_out.organisation else None,
            "method": last.method,
            "result": "failure",
        },
    )


def _leave_out_none(members: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in members.items() if value is not None}
