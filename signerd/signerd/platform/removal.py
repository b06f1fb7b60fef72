"""The end of organisations, regions and users: only when nothing is lost with them."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Table, delete, func, select, update

from signerd.platform.change import Change
from signerd.platform.errors import StillInUse
from signerd.platform.iam_tables import (
    access_credentials,
    federated_identities,
    iam_bindings,
    iam_policies,
    iam_rules,
    identity_providers,
    memberships,
    projects,
    service_accounts,
    team_members,
    teams,
    users,
)
from signerd.platform.membership import list_memberships_of, remove_membership
from signerd.platform.organisation import NOUN as ORGANISATION
from signerd.platform.organisation import get_organisation
from signerd.platform.principal import PrincipalKind
from signerd.platform.region import NOUN as REGION
from signerd.platform.region import get_region
from signerd.platform.tables import organisation_gates, organisations, region_zones, regions, tokens
from signerd.platform.user import get_user
from signerd_kms.export_approval import void_approvals

CountHeld = Callable[[Connection, str], int]
"""Counts the keys, secrets and zones of an organisation, or the keys and secrets of a region."""

_OWNED: Final[tuple[Table, ...]] = (
    federated_identities,
    identity_providers,
    access_credentials,
    iam_bindings,
    iam_rules,
    iam_policies,
    team_members,
    teams,
    service_accounts,
    memberships,
    organisation_gates,
    tokens,
)
"""What goes with an organisation, each before what it refers to."""


def delete_organisation(change: Change, identity: str, home: str, count_held: CountHeld) -> None:
    """Delete an organisation that holds nothing, with its people's places, projects and credentials.

    Its audit log stays.

    Args:
        change: The write.
        identity: Or slug.
        home: The organisation of the deployment itself, which stays.
        count_held: Counts what would be lost.

    Raises:
        ObjectUnknown: There is none.
        StillInUse: It holds keys, secrets or zones, keys pending deletion too; or it is the deployment's own.
    """
    current = get_organisation(change.connection, identity)
    if current.identity == home:
        raise StillInUse("the organisation is that of the deployment itself")
    if held := count_held(change.connection, current.identity):
        raise StillInUse(f"the organisation still has {held} keys, secrets and zones")
    change.record("organisation.delete", None, ORGANISATION, current.identity, details={"name": current.name})
    change.record("organisation.delete", current.identity, ORGANISATION, current.identity)
    for table in _OWNED:
        change.connection.execute(delete(table).where(table.c.organisation == current.identity))
    own = projects.c.organisation == current.identity
    change.connection.execute(update(projects).where(own).values(parent=None))
    change.connection.execute(delete(projects).where(own))
    change.connection.execute(delete(organisations).where(organisations.c.identity == current.identity))


def delete_region(change: Change, identity: str, home: str, count_held: CountHeld) -> None:
    """Delete a region in which nothing is.

    Args:
        change: The write.
        identity: Or slug.
        home: The region of the deployment's own keys, which stays.
        count_held: Counts what would be lost.

    Raises:
        RegionUnknown: There is none.
        StillInUse: Keys or secrets of anybody are there, keys pending deletion too; or it is that of the
            deployment.
    """
    current = get_region(change.connection, identity).record
    if current.identity == home:
        raise StillInUse("the region is that of the deployment's own keys")
    if held := count_held(change.connection, current.identity):
        raise StillInUse(f"the region still has {held} keys and secrets")
    change.record("region.delete", None, REGION, current.identity, region=current.identity)
    change.connection.execute(delete(region_zones).where(region_zones.c.region == current.identity))
    change.connection.execute(delete(regions).where(regions.c.identity == current.identity))


def delete_user(change: Change, subject: str, *, caller: str) -> None:
    """Delete a user, with memberships, tokens, and approvals of exports by or for them. What they made stays.

    Args:
        change: The write.
        subject: Whom.
        caller: Who asks; nobody deletes themselves.

    Raises:
        ObjectUnknown: There is none.
        StillInUse: It is the caller, or the last operator.
        WouldLockOut: In one of their organisations nobody would be left who may do everything.
    """
    user = get_user(change.connection, subject)
    if subject == caller:
        raise StillInUse("nobody deletes themselves")
    if user.is_operator:
        operators = change.connection.execute(
            select(func.count()).select_from(users).where(users.c.is_operator)
        ).scalar_one()
        if operators == 1:
            raise StillInUse("the user is the last operator")
    for membership in list_memberships_of(change.connection, subject):
        remove_membership(change, membership.organisation, membership.identity)
    change.connection.execute(delete(tokens).where(tokens.c.user_subject == subject))
    change.connection.execute(delete(users).where(users.c.subject == subject))
    voided = void_approvals(change.connection, f"{PrincipalKind.USER.value}:{subject}")
    details: dict[str, str | int] = {"name": user.name, "exportApprovals": voided}
    change.record("user.delete", None, "user", subject, details=details)
