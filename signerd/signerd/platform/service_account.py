"""Service accounts: principals that are programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.api_token import revoke_children
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import ObjectUnknown
from signerd.platform.iam_tables import (
    access_credentials,
    federated_identities,
    iam_bindings,
    service_accounts,
)
from signerd.platform.user import User, load_users

NOUN: Final = "service account"
RESOURCE_TYPE: Final = "service_account"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account.

    Attributes:
        created_by: The user who made it; None if it was no user, or one who is gone.
    """

    organisation: str
    record: Described
    created_by: User | None


def list_service_accounts(connection: Connection, organisation: str) -> list[ServiceAccount]:
    """List the service accounts of an organisation."""
    rows = connection.execute(
        select(service_accounts)
        .where(service_accounts.c.organisation == organisation)
        .order_by(service_accounts.c.created_at, service_accounts.c.identity)
    )
    return _read(connection, list(rows.mappings()))


def load_service_accounts(
    connection: Connection, organisation: str, identities: Iterable[str]
) -> dict[str, ServiceAccount]:
    """Load service accounts by identity, to be shown in objects that name them."""
    wanted = sorted(set(identities))
    if not wanted:
        return {}
    rows = connection.execute(
        select(service_accounts).where(
            service_accounts.c.organisation == organisation, service_accounts.c.identity.in_(wanted)
        )
    )
    return {account.record.identity: account for account in _read(connection, list(rows.mappings()))}


def get_service_account(connection: Connection, organisation: str, identity: str) -> ServiceAccount:
    """Find a service account by identity or slug.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    rows = connection.execute(
        select(service_accounts).where(
            service_accounts.c.organisation == organisation,
            (service_accounts.c.identity == identity) | (service_accounts.c.slug == identity),
        )
    )
    found = _read(connection, list(rows.mappings()))
    if not found:
        raise ObjectUnknown(NOUN)
    return found[0]


def create_service_account(
    change: Change, organisation: str, description: Description, *, creator: str | None
) -> ServiceAccount:
    """Make a service account that may do nothing yet.

    Args:
        change: The write.
        organisation: Where it belongs.
        description: What people say of it.
        creator: Subject of the user who makes it, if one does.

    Raises:
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken.
    """
    made = Described.make("sa", description, change.now)
    _require_free(change, organisation, made)
    change.connection.execute(
        insert(service_accounts).values(organisation=organisation, created_by=creator, **made.columns())
    )
    change.record(
        "iam.service_account.create", organisation, RESOURCE_TYPE, made.identity, details={"name": made.name}
    )
    return get_service_account(change.connection, organisation, made.identity)


def update_service_account(
    change: Change, organisation: str, identity: str, description: Description
) -> ServiceAccount:
    """Change what people say of a service account.

    Raises:
        ObjectUnknown: The organisation has none such.
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken.
    """
    account = get_service_account(change.connection, organisation, identity)
    if account.record.stated == description:
        return account
    new = account.record.change(description, change.now)
    _require_free(change, organisation, new)
    change.connection.execute(
        update(service_accounts)
        .where(service_accounts.c.organisation == organisation, service_accounts.c.identity == new.identity)
        .values(new.columns())
    )
    change.record("iam.service_account.update", organisation, RESOURCE_TYPE, new.identity)
    return ServiceAccount(organisation, new, account.created_by)


def delete_service_account(change: Change, organisation: str, identity: str) -> None:
    """Delete a service account with its credentials, bindings and federated identities; its tokens end.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    account = get_service_account(change.connection, organisation, identity).record.identity
    revoke_children(change.connection, organisation, service_account=account, now=change.now)
    for table in (access_credentials, federated_identities, iam_bindings):
        change.connection.execute(
            delete(table).where(table.c.organisation == organisation, table.c.service_account == account)
        )
    change.connection.execute(
        delete(service_accounts).where(
            service_accounts.c.organisation == organisation, service_accounts.c.identity == account
        )
    )
    change.record("iam.service_account.delete", organisation, RESOURCE_TYPE, account)


def _require_free(change: Change, organisation: str, record: Described) -> None:
    scope = service_accounts.c.organisation == organisation
    require_free_slug(change.connection, service_accounts, NOUN, scope, record)


def _read(connection: Connection, rows: list[RowMapping]) -> list[ServiceAccount]:
    people = load_users(connection, (row["created_by"] for row in rows if row["created_by"] is not None))
    return [
        ServiceAccount(row["organisation"], Described.read(row), people.get(row["created_by"]))
        for row in rows
    ]
