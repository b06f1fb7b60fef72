"""Projects: parts of an organisation with objects and policies of their own, in a tree."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy import delete as delete_from

from signerd.platform.builtin_policies import ADMINISTRATOR, provision_policies
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, ProjectUnknown, StillInUse
from signerd.platform.iam_tables import iam_bindings, iam_policies, projects
from signerd.platform.membership import find_membership
from signerd.platform.policy import remove_policies
from signerd.platform.principal import Principal, PrincipalKind, Project, ProjectReference
from signerd.platform.tables import tokens

NOUN: Final = "project"
MAX_DEPTH: Final = 16  # of projects below each other; bounds every walk upwards

CountContents = Callable[[Connection, str, str], int]
"""Counts what is in a project (organisation, project) in tables that the platform does not know."""


def list_projects(connection: Connection, organisation: str) -> list[Project]:
    """List the projects of an organisation."""
    rows = connection.execute(
        select(projects)
        .where(projects.c.organisation == organisation)
        .order_by(projects.c.created_at, projects.c.identity)
    ).mappings()
    return _join(list(rows), connection, organisation)


def get_project(connection: Connection, organisation: str, identity_or_slug: str) -> Project:
    """Find a project by identity or slug.

    Raises:
        ProjectUnknown: The organisation has none such.
    """
    rows = connection.execute(
        select(projects).where(
            projects.c.organisation == organisation,
            (projects.c.identity == identity_or_slug) | (projects.c.slug == identity_or_slug),
        )
    ).mappings()
    found = _join(list(rows), connection, organisation)
    if not found:
        raise ProjectUnknown
    return found[0]


def state_description(project: Project) -> Description:
    """Give what people said of a project."""
    return Description(project.name, project.description, project.labels, project.annotations)


def list_ancestors(connection: Connection, organisation: str, project: str) -> list[str]:
    """List the projects above a project, the nearest first."""
    found: list[str] = []
    current = _find_parent(connection, organisation, project)
    while current is not None and len(found) < MAX_DEPTH:
        found.append(current)
        current = _find_parent(connection, organisation, current)
    return found


def create_project(
    change: Change, organisation: str, description: Description, *, parent: str | None, creator: Principal
) -> Project:
    """Make a project with the built-in policies, and bind its administrator policy to who makes it.

    Args:
        change: The write.
        organisation: Where it belongs.
        description: What people say of it.
        parent: Identity or slug of the project above it.
        creator: Becomes its administrator, if a member or a service account of the organisation.

    Raises:
        InvalidValue: The description breaks a limit, or there is no such parent.
        NameTaken: The slug is taken.
    """
    made = Described.make("prj", description, change.now)
    _require_free(change, organisation, made)
    above = None if not parent else _find_new_parent(change.connection, organisation, parent)
    change.connection.execute(
        insert(projects).values(organisation=organisation, parent=above, **made.columns())
    )
    if above is not None:
        _check_depth(change.connection, organisation, made.identity)
    provision_policies(change, organisation, made.identity)
    _bind_creator(change, organisation, made.identity, creator)
    change.record(
        "project.create",
        organisation,
        NOUN,
        made.identity,
        project=made.identity,
        details={"name": made.name},
    )
    return get_project(change.connection, organisation, made.identity)


def update_project(
    change: Change, organisation: str, identity: str, description: Description, *, parent: str | None
) -> Project:
    """Change a project.

    Args:
        change: The write.
        organisation: Whose project.
        identity: Of the project, or its slug.
        description: What people say of it now.
        parent: Identity or slug of the project above it; empty for none; None leaves it where it is.

    Raises:
        ProjectUnknown: The organisation has none such.
        InvalidValue: The description breaks a limit, or the parent does not exist or lies below the project.
        NameTaken: The slug is taken.
    """
    current = get_project(change.connection, organisation, identity)
    above = None if current.parent is None else current.parent.identity
    if parent is not None:
        above = _find_new_parent(change.connection, organisation, parent) if parent else None
    if above is not None and current.identity in (
        above,
        *list_ancestors(change.connection, organisation, above),
    ):
        raise InvalidValue("parentProjectIdentity", "is the project itself or lies below it")
    old = Described(
        current.identity,
        current.name,
        current.slug,
        current.description,
        current.labels,
        current.annotations,
        current.created_at,
        current.updated_at,
        current.object_version,
    )
    if old.stated == description and above == (current.parent.identity if current.parent else None):
        return current
    new = old.change(description, change.now)
    _require_free(change, organisation, new)
    change.connection.execute(
        update(projects)
        .where(projects.c.organisation == organisation, projects.c.identity == new.identity)
        .values(parent=above, **new.columns())
    )
    _check_depth(change.connection, organisation, new.identity)
    change.record("project.update", organisation, NOUN, new.identity, project=new.identity)
    return get_project(change.connection, organisation, new.identity)


def delete_project(change: Change, organisation: str, identity: str, count_contents: CountContents) -> None:
    """Delete a project that holds nothing, with its policies; tokens for it end.

    Raises:
        ProjectUnknown: The organisation has none such.
        StillInUse: It holds keys, secrets, zones or projects.
    """
    current = get_project(change.connection, organisation, identity)
    below = select(projects.c.identity).where(
        projects.c.organisation == organisation, projects.c.parent == current.identity
    )
    if change.connection.execute(below).first() is not None:
        raise StillInUse("there are projects below this one")
    if count_contents(change.connection, organisation, current.identity):
        raise StillInUse("the project still has resources")
    policies = change.connection.execute(
        select(iam_policies.c.identity).where(
            iam_policies.c.organisation == organisation, iam_policies.c.project == current.identity
        )
    ).scalars()
    remove_policies(change, organisation, list(policies))
    change.connection.execute(
        update(tokens)
        .where(tokens.c.project == current.identity, tokens.c.revoked_at.is_(None))
        .values(revoked_at=change.now)
    )
    change.connection.execute(
        delete_from(projects).where(
            projects.c.organisation == organisation, projects.c.identity == current.identity
        )
    )
    change.record("project.delete", organisation, NOUN, current.identity, project=current.identity)


def _bind_creator(change: Change, organisation: str, project: str, creator: Principal) -> None:
    is_user = creator.kind is PrincipalKind.USER
    if is_user and find_membership(change.connection, organisation, creator.identity) is None:
        return  # the operator of the deployment, who needs no binding
    policy = change.connection.execute(
        select(iam_policies.c.identity).where(
            iam_policies.c.organisation == organisation,
            iam_policies.c.project == project,
            iam_policies.c.system,
            iam_policies.c.name == ADMINISTRATOR,
        )
    ).scalar_one()
    binding = Described.make("iamb", Description("creator"), change.now)
    change.connection.execute(
        insert(iam_bindings).values(
            organisation=organisation,
            policy=policy,
            user_subject=creator.identity if is_user else None,
            service_account=None if is_user else creator.identity,
            scopes="[]",
            **binding.columns(),
        )
    )


def _find_new_parent(connection: Connection, organisation: str, parent: str) -> str:
    try:
        return get_project(connection, organisation, parent).identity
    except ProjectUnknown as error:
        raise InvalidValue("parentProjectIdentity", "is no project of the organisation") from error


def _check_depth(connection: Connection, organisation: str, project: str) -> None:
    if len(list_ancestors(connection, organisation, project)) >= MAX_DEPTH:
        raise InvalidValue("parentProjectIdentity", f"projects lie at most {MAX_DEPTH} deep")


def _find_parent(connection: Connection, organisation: str, project: str) -> str | None:
    parent: str | None = connection.execute(
        select(projects.c.parent).where(
            projects.c.organisation == organisation, projects.c.identity == project
        )
    ).scalar()
    return parent


def _require_free(change: Change, organisation: str, record: Described) -> None:
    scope = projects.c.organisation == organisation
    require_free_slug(change.connection, projects, NOUN, scope, record)


def _join(rows: list[RowMapping], connection: Connection, organisation: str) -> list[Project]:
    """Add the parents' names to projects."""
    parents = {row["parent"] for row in rows if row["parent"] is not None}
    names: dict[str, ProjectReference] = {}
    if parents:
        found = connection.execute(
            select(projects.c.identity, projects.c.name, projects.c.slug).where(
                projects.c.organisation == organisation, projects.c.identity.in_(parents)
            )
        )
        names = {row.identity: ProjectReference(row.identity, row.name, row.slug) for row in found}
    made: list[Project] = []
    for row in rows:
        record = Described.read(row)
        made.append(
            Project(
                organisation,
                record.identity,
                record.name,
                record.slug,
                record.description,
                record.labels,
                record.annotations,
                names.get(row["parent"]),
                record.created_at,
                record.updated_at,
                record.object_version,
            )
        )
    return made
