"""Memberships: which users belong to an organisation, and who owns it."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.administrators import require_administrator
from signerd.platform.change import Change
from signerd.platform.errors import AlreadyThere, ObjectUnknown
from signerd.platform.iam_tables import iam_bindings, memberships, team_members, users
from signerd.platform.user import User, get_user
from signerd_kms.identity import new_identity

NOUN = "membership"
_WITH_USER = select(
    memberships,
    users.c.subject,
    users.c.name,
    users.c.email,
    users.c.is_operator,
    users.c.created_at.label("user_created_at"),
).join(users, users.c.subject == memberships.c.user_subject)


class Role(StrEnum):
    """What a member is. An owner may do everything; a member what roles and policies grant."""

    OWNER = "OWNER"
    MEMBER = "MEMBER"


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in an organisation. Times are seconds since 1970, UTC."""

    organisation: str
    identity: str
    user: User
    role: Role
    created_at: int


def list_memberships(connection: Connection, organisation: str) -> list[Membership]:
    """List the members of an organisation."""
    rows = connection.execute(
        _WITH_USER.where(memberships.c.organisation == organisation).order_by(
            memberships.c.created_at, memberships.c.identity
        )
    )
    return [_read(row) for row in rows.mappings()]


def list_memberships_of(connection: Connection, subject: str) -> list[Membership]:
    """List what a user is a member of, in all organisations: for that user."""
    rows = connection.execute(
        _WITH_USER.where(memberships.c.user_subject == subject).order_by(
            memberships.c.created_at, memberships.c.identity
        )
    )
    return [_read(row) for row in rows.mappings()]


def find_membership(connection: Connection, organisation: str, subject: str) -> Membership | None:
    """Find a user's membership in an organisation."""
    query = _WITH_USER.where(
        memberships.c.organisation == organisation, memberships.c.user_subject == subject
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _read(row)


def get_membership(connection: Connection, organisation: str, identity: str) -> Membership:
    """Find a membership by its identity.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    query = _WITH_USER.where(memberships.c.organisation == organisation, memberships.c.identity == identity)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise ObjectUnknown(NOUN)
    return _read(row)


def add_membership(change: Change, organisation: str, subject: str, role: Role) -> Membership:
    """Make a user a member.

    Raises:
        ObjectUnknown: There is no such user.
        AlreadyThere: The user is a member.
    """
    user = get_user(change.connection, subject)
    if find_membership(change.connection, organisation, subject) is not None:
        raise AlreadyThere(f"{user.name} is a member already")
    made = Membership(organisation, new_identity("om"), user, role, change.now)
    change.connection.execute(
        insert(memberships).values(
            organisation=organisation,
            identity=made.identity,
            user_subject=subject,
            role=role.value,
            created_at=change.now,
        )
    )
    details = {"user": subject, "role": role.value}
    change.record("iam.membership.create", organisation, NOUN, made.identity, details=details)
    return made


def set_role(change: Change, organisation: str, identity: str, role: Role) -> Membership:
    """Change what a member is.

    Raises:
        ObjectUnknown: The organisation has none such.
        WouldLockOut: Nobody would be left who may do everything.
    """
    current = get_membership(change.connection, organisation, identity)
    if current.role is role:
        return current
    change.connection.execute(
        update(memberships)
        .where(memberships.c.organisation == organisation, memberships.c.identity == identity)
        .values(role=role.value)
    )
    require_administrator(change.connection, organisation)
    details = {"user": current.user.subject, "role": role.value}
    change.record("iam.membership.update", organisation, NOUN, identity, details=details)
    return get_membership(change.connection, organisation, identity)


def remove_membership(change: Change, organisation: str, identity: str) -> None:
    """End a membership, with the member's places in teams and bindings.

    Raises:
        ObjectUnknown: The organisation has none such.
        WouldLockOut: Nobody would be left who may do everything.
    """
    current = get_membership(change.connection, organisation, identity)
    subject = current.user.subject
    for table in (team_members, iam_bindings):
        change.connection.execute(
            delete(table).where(table.c.organisation == organisation, table.c.user_subject == subject)
        )
    change.connection.execute(
        delete(memberships).where(
            memberships.c.organisation == organisation, memberships.c.identity == identity
        )
    )
    require_administrator(change.connection, organisation)
    change.record("iam.membership.delete", organisation, NOUN, identity, details={"user": subject})


def _read(row: RowMapping) -> Membership:
    user = User(row["subject"], row["name"], row["email"], bool(row["is_operator"]), row["user_created_at"])
    return Membership(row["organisation"], row["identity"], user, Role(row["role"]), row["created_at"])
