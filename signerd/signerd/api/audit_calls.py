"""`GET /v1/audit`: the organisation's audit log."""

from collections.abc import Mapping
from typing import Final, Protocol, cast

from pydantic import Field

from signerd.api.call import Call
from signerd.api.errors import MalformedRequest
from signerd.api.query import Query
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.platform.audit_search import MAX_LIMIT, MAX_PAGE, AuditFilter, AuditPage, FoundEntry
from signerd.platform.principal import Organisation, PrincipalKind
from signerd.platform.rights import AUDIT_LOG
from signerd.platform.service_account import ServiceAccount
from signerd.platform.user import User

DEFAULT_LIMIT: Final = 100
_MAX_DIGITS: Final = 18


class AuditSource(Protocol):
    """Finds entries. Called in a worker thread, so it may block."""

    def search_audit(self, organisation: str, wanted: AuditFilter, *, page: int, limit: int) -> AuditPage:
        """Give a page of the matching entries of an organisation's log."""
        ...


class AuditUserBody(WireModel):
    """A user in an entry."""

    subject: str
    name: str
    email: str
    created_at: str


class AuditObjectBody(WireModel):
    """A service account or the organisation in an entry."""

    identity: str
    name: str
    slug: str
    description: str
    labels: dict[str, str]
    annotations: dict[str, str]
    created_at: str
    updated_at: str
    object_version: int


class AuditEntryBody(WireModel):
    """An entry. The spelling is that of the clients."""

    event_id: str = Field(alias="eventID")
    created_at: str
    action: str
    user_identity: str | None = None
    user: AuditUserBody | None = None
    service_account_identity: str | None = None
    service_account: AuditObjectBody | None = None
    organization_identity: str
    organization: AuditObjectBody
    resource_type: str | None = None
    resource_identity: str | None = None
    description: str | None = None
    project_id: str | None = None
    context: dict[str, object]


class AuditPageBody(WireModel):
    """A page of entries."""

    items: list[AuditEntryBody]
    total_items: int
    page: int
    items_per_page: int
    total_pages: int
    total_count: int


def list_audit_endpoints(source: AuditSource) -> list[Endpoint]:
    """Give the call."""

    def list_entries(call: Call) -> Reply:
        if not call.rights.allows(AUDIT_LOG, "read"):
            call.rights.require(AUDIT_LOG, "list")
        page = _read_number(call.query, "page", 1, MAX_PAGE)
        limit = _read_number(call.query, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        found = source.search_audit(
            call.organisation.identity, _read_filter(call.query), page=page, limit=limit
        )
        organisation = _render_organisation(call.organisation)
        return Reply(
            body={
                "items": [_render_entry(entry, found, organisation) for entry in found.entries],
                "totalItems": found.total,
                "page": page,
                "itemsPerPage": limit,
                "totalPages": -(-found.total // limit),
                "totalCount": found.total,
            }
        )

    return [
        Endpoint(
            "GET",
            "/v1/audit",
            list_entries,
            action="audit:List",
            summary="List entries of the audit log",
            scope=ORGANISATION,
            response=AuditPageBody,
            statuses=(200, 400, 403),
            query=(
                "page",
                "limit",
                "searchText",
                "userIdentity",
                "serviceAccount",
                "impersonatorIdentity",
                "action",
                "resourceType",
                "resourceIdentity",
                "organizationIdentity",
                "includeSystemServices",
                "responseStatus",
            ),
            is_expensive=True,
        )
    ]


def _read_filter(query: Query) -> AuditFilter:
    status = query.first("responseStatus")
    return AuditFilter(
        text=query.first("searchText"),
        user=query.first("userIdentity"),
        service_account=query.first("serviceAccount"),
        impersonator=query.first("impersonatorIdentity"),
        actions=query.list("action"),
        resource_types=query.list("resourceType"),
        resource=query.first("resourceIdentity"),
        organisation=query.first("organizationIdentity"),
        status=None if status is None else _parse_number("responseStatus", status),
    )


def _read_number(query: Query, name: str, default: int, largest: int) -> int:
    text = query.first(name)
    if text is None:
        return default
    number = _parse_number(name, text)
    if number < 1:
        raise MalformedRequest(f"{name} must be at least 1")
    return min(number, largest)


def _parse_number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise MalformedRequest(f"{name} must be a number")
    return int(text)


def _render_entry(
    entry: FoundEntry, page: AuditPage, organisation: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    members = entry.members
    kind, _, identity = str(members.get("actor", "")).partition(":")
    rendered: dict[str, JsonValue | None] = {
        "eventID": entry.event_id,
        "createdAt": format_time(entry.at),
        "action": entry.action,
        "organizationIdentity": organisation["identity"],
        "organization": organisation,
        "resourceType": _get_text(members, "resource_type"),
        "resourceIdentity": _get_text(members, "resource"),
        "description": _get_text(members, "description"),
        "projectId": _get_text(members, "project"),
        "context": cast("Mapping[str, JsonValue]", members.get("context", {})),
    }
    if kind == PrincipalKind.USER:
        rendered["userIdentity"] = identity
        if (user := page.users.get(identity)) is not None:
            rendered["user"] = _render_user(user)
    elif kind == PrincipalKind.SERVICE_ACCOUNT:
        rendered["serviceAccountIdentity"] = identity
        if (account := page.service_accounts.get(identity)) is not None:
            rendered["serviceAccount"] = _render_account(account)
    return {name: value for name, value in rendered.items() if value is not None}


def _get_text(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _render_user(user: User) -> dict[str, JsonValue]:
    return {
        "subject": user.subject,
        "name": user.name,
        "email": user.email,
        "createdAt": format_time(user.created_at),
    }


def _render_account(account: ServiceAccount) -> dict[str, JsonValue]:
    record = account.record
    return {
        "identity": record.identity,
        "name": record.name,
        "slug": record.slug,
        "description": record.description,
        "labels": record.labels,
        "annotations": record.annotations,
        "createdAt": format_time(record.created_at),
        "updatedAt": format_time(record.updated_at),
        "objectVersion": record.object_version,
    }


def _render_organisation(organisation: Organisation) -> dict[str, JsonValue]:
    return {
        "identity": organisation.identity,
        "name": organisation.name,
        "slug": organisation.slug,
        "description": organisation.description,
        "labels": organisation.labels,
        "annotations": organisation.annotations,
        "createdAt": format_time(organisation.created_at),
        "updatedAt": format_time(organisation.updated_at),
        "objectVersion": organisation.object_version,
    }
