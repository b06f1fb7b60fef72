"""What holds for a principal: rules of the roles and policies that are bound to it, in one place."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from signerd.platform.errors import GrantTooWide
from signerd.platform.iam_tables import iam_bindings, iam_policies, iam_rules, memberships, team_members
from signerd.platform.json_column import load_list
from signerd.platform.principal import Principal, PrincipalKind, TokenScope
from signerd.platform.project import list_ancestors
from signerd.platform.rights import Rights, Rule


def load_rights(
    connection: Connection,
    principal: Principal,
    organisation: str,
    project: str | None,
    needed: TokenScope | None = None,
) -> Rights:
    """Collect the rights of a principal in an organisation and, if one is in effect, a project.

    Args:
        connection: Reads one state.
        principal: Of a service account the caller has checked that it belongs to the organisation.
        organisation: Identity.
        project: Identity. Policies of the projects above it count if they say so.
        needed: Scope that the request takes: bindings limited to other scopes do not count. None counts all.
    """
    if principal.kind is PrincipalKind.USER and _is_owner(connection, principal.identity, organisation):
        return Rights.of_owner()
    places: ColumnElement[bool] = iam_policies.c.project == ""
    if project is not None:
        above = list_ancestors(connection, organisation, project)
        places = or_(
            iam_policies.c.project.in_(["", project]),
            and_(iam_policies.c.project.in_(above), iam_policies.c.replicate_to_children),
        )
    return Rights(_load_rules(connection, principal, organisation, places, needed))


def load_all_rights(connection: Connection, principal: Principal, organisation: str) -> Rights:
    """Collect what a principal may do anywhere in an organisation, in its projects too."""
    if principal.kind is PrincipalKind.USER and _is_owner(connection, principal.identity, organisation):
        return Rights.of_owner()
    everywhere = iam_policies.c.organisation == organisation
    return Rights(_load_rules(connection, principal, organisation, everywhere, None))


def load_team_rights(connection: Connection, organisation: str, team: str) -> Rights:
    """Collect what membership in a team brings anywhere in an organisation."""
    everywhere = iam_policies.c.organisation == organisation
    return Rights(_load_bound(connection, organisation, iam_bindings.c.team == team, everywhere, None))


def require_grantable(rights: Rights, rules: Iterable[Rule]) -> None:
    """Check that somebody grants no more than what they may do themselves.

    Raises:
        GrantTooWide: They would.
    """
    if not all(rights.include(rule) for rule in rules):
        raise GrantTooWide


def can_see_project(connection: Connection, principal: Principal, organisation: str, project: str) -> bool:
    """Say if a principal has any right in a project."""
    return bool(load_rights(connection, principal, organisation, project).rules)


def _is_owner(connection: Connection, subject: str, organisation: str) -> bool:
    query = select(memberships.c.role).where(
        memberships.c.organisation == organisation, memberships.c.user_subject == subject
    )
    return connection.execute(query).scalar() == "OWNER"


def _load_rules(
    connection: Connection,
    principal: Principal,
    organisation: str,
    places: ColumnElement[bool],
    needed: TokenScope | None,
) -> tuple[Rule, ...]:
    if principal.kind is PrincipalKind.USER:
        own_teams = select(team_members.c.team).where(
            team_members.c.organisation == organisation, team_members.c.user_subject == principal.identity
        )
        bound = or_(iam_bindings.c.user_subject == principal.identity, iam_bindings.c.team.in_(own_teams))
    else:
        bound = iam_bindings.c.service_account == principal.identity
    return _load_bound(connection, organisation, bound, places, needed)


def _load_bound(
    connection: Connection,
    organisation: str,
    bound: ColumnElement[bool],
    places: ColumnElement[bool],
    needed: TokenScope | None,
) -> tuple[Rule, ...]:
    query = (
        select(
            iam_rules.c.resources,
            iam_rules.c.permissions,
            iam_rules.c.resource_identities,
            iam_bindings.c.scopes,
        )
        .join(
            iam_policies,
            and_(
                iam_policies.c.organisation == iam_rules.c.organisation,
                iam_policies.c.identity == iam_rules.c.policy,
            ),
        )
        .join(
            iam_bindings,
            and_(
                iam_bindings.c.organisation == iam_rules.c.organisation,
                iam_bindings.c.policy == iam_rules.c.policy,
            ),
        )
        .where(iam_rules.c.organisation == organisation, bound, places)
    )
    rules: list[Rule] = []
    for row in connection.execute(query):
        scopes = load_list(row.scopes)
        if needed is None or not scopes or needed in scopes:
            rules.append(
                Rule(
                    frozenset(load_list(row.resources)),
                    frozenset(load_list(row.permissions)),
                    frozenset(load_list(row.resource_identities)),
                )
            )
    return tuple(rules)
