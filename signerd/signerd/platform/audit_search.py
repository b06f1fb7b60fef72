"""Finding entries of an organisation's audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from signerd.platform.audit_chain import decode_record
from signerd.platform.iam_tables import memberships, service_accounts, users
from signerd.platform.principal import PrincipalKind
from signerd.platform.service_account import ServiceAccount, load_service_accounts
from signerd.platform.tables import audit_entries, audit_heads
from signerd.platform.user import User

MAX_LIMIT: Final = 1000
MAX_PAGE: Final = 10**9  # any more and the database's integers overflow


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is None or empty does not narrow.

    Attributes:
        text: In action, description, type or identity of the resource, or name of the principal; in any case.
        user: Subject.
        service_account: Identity.
        impersonator: Nobody impersonates, so any value finds nothing.
        actions: Any of them.
        resource_types: Any of them.
        resource: Identity.
        organisation: Identity; another than the one searched finds nothing.
        status: HTTP status of requests.
    """

    text: str | None = None
    user: str | None = None
    service_account: str | None = None
    impersonator: str | None = None
    actions: Sequence[str] = ()
    resource_types: Sequence[str] = ()
    resource: str | None = None
    organisation: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry, as it is shown.

    Attributes:
        at: Seconds since 1970, UTC.
        members: Of the record.
    """

    event_id: str
    at: int
    action: str
    members: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of the matching entries, the newest first.

    Attributes:
        total: How many match.
        users: By subject: members of the organisation who stand in the entries.
        service_accounts: By identity.
    """

    entries: Sequence[FoundEntry]
    total: int
    users: Mapping[str, User]
    service_accounts: Mapping[str, ServiceAccount]


def search_audit(
    connection: Connection, organisation: str, wanted: AuditFilter, *, page: int, limit: int
) -> AuditPage:
    """Give a page of the matching entries.

    Args:
        connection: Sees one state for as long as this takes.
        organisation: Identity; the only chain that is looked at.
        wanted: Which entries.
        page: From 1, at most MAX_PAGE.
        limit: Entries on a page, at most MAX_LIMIT.
    """
    if wanted.impersonator is not None or wanted.organisation not in (None, organisation):
        return AuditPage((), 0, {}, {})
    conditions = _list_conditions(connection, organisation, wanted)
    query = select(audit_entries).where(audit_entries.c.chain == organisation, *conditions)
    if conditions:
        total = connection.execute(
            select(func.count())
            .select_from(audit_entries)
            .where(audit_entries.c.chain == organisation, *conditions)
        ).scalar_one()
        query = query.offset((page - 1) * limit)
    else:
        total, query = _count_all(connection, organisation, query, skip=(page - 1) * limit)
    rows = connection.execute(query.order_by(audit_entries.c.sequence.desc()).limit(limit)).all()
    entries = [FoundEntry(row.event_id, row.at, row.action, decode_record(row.record) or {}) for row in rows]
    actors = {row.actor for row in rows if row.actor is not None}
    return AuditPage(
        entries,
        total,
        _load_members(connection, organisation, _select_kind(actors, PrincipalKind.USER)),
        load_service_accounts(connection, organisation, _select_kind(actors, PrincipalKind.SERVICE_ACCOUNT)),
    )


def _count_all(
    connection: Connection, organisation: str, query: Select[tuple[object, ...]], skip: int
) -> tuple[int, Select[tuple[object, ...]]]:
    """Count and skip by the numbers of the chain, which has no gaps, in place of walking over entries."""
    first = connection.execute(
        select(func.min(audit_entries.c.sequence)).where(audit_entries.c.chain == organisation)
    ).scalar()
    last = connection.execute(
        select(audit_heads.c.sequence).where(audit_heads.c.chain == organisation)
    ).scalar()
    if first is None or last is None:
        return 0, query
    return last - first + 1, query.where(audit_entries.c.sequence <= last - skip)


def _list_conditions(
    connection: Connection, organisation: str, wanted: AuditFilter
) -> list[ColumnElement[bool]]:
    columns = audit_entries.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.user is not None:
        conditions.append(columns.actor == f"{PrincipalKind.USER}:{wanted.user}")
    if wanted.service_account is not None:
        conditions.append(columns.actor == f"{PrincipalKind.SERVICE_ACCOUNT}:{wanted.service_account}")
    if wanted.actions:
        conditions.append(columns.action.in_(wanted.actions))
    if wanted.resource_types:
        conditions.append(columns.resource_type.in_(wanted.resource_types))
    if wanted.resource is not None:
        conditions.append(columns.resource == wanted.resource)
    if wanted.status is not None:
        conditions.append(columns.status == wanted.status)
    if wanted.text is not None:
        text = wanted.text
        conditions.append(
            or_(
                columns.action.icontains(text, autoescape=True),
                columns.description.icontains(text, autoescape=True),
                columns.resource_type.icontains(text, autoescape=True),
                columns.resource.icontains(text, autoescape=True),
                columns.actor.in_(_find_actors(connection, organisation, text)),
            )
        )
    return conditions


def _find_actors(connection: Connection, organisation: str, text: str) -> list[str]:
    """Give the principals of the organisation whose name has the text in it."""
    people = connection.execute(
        select(users.c.subject)
        .join(memberships, memberships.c.user_subject == users.c.subject)
        .where(
            memberships.c.organisation == organisation,
            or_(
                users.c.name.icontains(text, autoescape=True), users.c.email.icontains(text, autoescape=True)
            ),
        )
    ).scalars()
    programs = connection.execute(
        select(service_accounts.c.identity).where(
            service_accounts.c.organisation == organisation,
            service_accounts.c.name.icontains(text, autoescape=True),
        )
    ).scalars()
    return [f"{PrincipalKind.USER}:{subject}" for subject in people] + [
        f"{PrincipalKind.SERVICE_ACCOUNT}:{identity}" for identity in programs
    ]


def _load_members(connection: Connection, organisation: str, subjects: Sequence[str]) -> dict[str, User]:
    """Load users who are members: of others an organisation learns no more than the subject."""
    if not subjects:
        return {}
    rows = connection.execute(
        select(users)
        .join(memberships, memberships.c.user_subject == users.c.subject)
        .where(and_(memberships.c.organisation == organisation, users.c.subject.in_(subjects)))
    )
    return {
        row.subject: User(row.subject, row.name, row.email, row.is_operator, row.created_at) for row in rows
    }


def _select_kind(actors: set[str], kind: PrincipalKind) -> list[str]:
    prefix = f"{kind}:"
    return sorted(actor.removeprefix(prefix) for actor in actors if actor.startswith(prefix))
