"""Teams: groups of members, to whom roles and policies can be bound."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from signerd.platform.administrators import require_administrator
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import AlreadyThere, InvalidValue, ObjectUnknown
from signerd.platform.iam_tables import iam_bindings, team_members, teams
from signerd.platform.membership import find_membership
from signerd.platform.user import User, load_users
from signerd_kms.identity import new_identity

NOUN: Final = "team"
MAX_ROLE_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A user in a team; the role is a word for people and grants nothing."""

    identity: str
    user: User
    role: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Team:
    """A team with its members, oldest first."""

    organisation: str
    record: Described
    members: tuple[TeamMember, ...] = ()


def list_teams(connection: Connection, organisation: str) -> list[Team]:
    """List the teams of an organisation."""
    rows = connection.execute(
        select(teams)
        .where(teams.c.organisation == organisation)
        .order_by(teams.c.created_at, teams.c.identity)
    ).mappings()
    return _join(connection, organisation, [Described.read(row) for row in rows])


def list_own_teams(connection: Connection, organisation: str, subject: str) -> list[Described]:
    """List the teams that a user is in, without their members."""
    own = select(team_members.c.team).where(
        team_members.c.organisation == organisation, team_members.c.user_subject == subject
    )
    rows = connection.execute(
        select(teams).where(teams.c.organisation == organisation, teams.c.identity.in_(own))
    ).mappings()
    return [Described.read(row) for row in rows]


def load_teams(connection: Connection, organisation: str, identities: Iterable[str]) -> dict[str, Team]:
    """Load teams by identity, to be shown in bindings."""
    wanted = sorted(set(identities))
    if not wanted:
        return {}
    rows = connection.execute(
        select(teams).where(teams.c.organisation == organisation, teams.c.identity.in_(wanted))
    ).mappings()
    records = [Described.read(row) for row in rows]
    return {team.record.identity: team for team in _join(connection, organisation, records)}


def get_team(connection: Connection, organisation: str, identity_or_slug: str) -> Team:
    """Find a team by identity or slug.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    row = (
        connection.execute(
            select(teams).where(
                teams.c.organisation == organisation,
                (teams.c.identity == identity_or_slug) | (teams.c.slug == identity_or_slug),
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise ObjectUnknown(NOUN)
    return _join(connection, organisation, [Described.read(row)])[0]


def create_team(change: Change, organisation: str, description: Description) -> Team:
    """Make a team without members.

    Raises:
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken.
    """
    made = Described.make("team", description, change.now)
    _require_free(change, organisation, made)
    change.connection.execute(insert(teams).values(organisation=organisation, **made.columns()))
    change.record("iam.team.create", organisation, NOUN, made.identity, details={"name": made.name})
    return Team(organisation, made)


def update_team(change: Change, organisation: str, identity: str, description: Description) -> Team:
    """Change what people say of a team.

    Raises:
        ObjectUnknown: The organisation has none such.
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken.
    """
    team = get_team(change.connection, organisation, identity)
    if team.record.stated == description:
        return team
    new = team.record.change(description, change.now)
    _require_free(change, organisation, new)
    _store(change, organisation, new)
    change.record("iam.team.update", organisation, NOUN, new.identity)
    return Team(organisation, new, team.members)


def delete_team(change: Change, organisation: str, identity: str) -> None:
    """Delete a team with its bindings.

    Raises:
        ObjectUnknown: The organisation has none such.
        WouldLockOut: Nobody would be left who may do everything.
    """
    team = get_team(change.connection, organisation, identity).record.identity
    for table in (team_members, iam_bindings):
        change.connection.execute(
            delete(table).where(table.c.organisation == organisation, table.c.team == team)
        )
    change.connection.execute(
        delete(teams).where(teams.c.organisation == organisation, teams.c.identity == team)
    )
    require_administrator(change.connection, organisation)
    change.record("iam.team.delete", organisation, NOUN, team)


def add_team_member(change: Change, organisation: str, identity: str, subject: str, role: str) -> Team:
    """Put a member of the organisation into a team.

    Raises:
        ObjectUnknown: The organisation has no such team.
        InvalidValue: The user is no member of the organisation, or the role is too long.
        AlreadyThere: The user is in the team.
    """
    team = get_team(change.connection, organisation, identity)
    if len(role) > MAX_ROLE_CHARACTERS or not role.isprintable():
        raise InvalidValue("role", f"must have at most {MAX_ROLE_CHARACTERS} printable characters")
    if find_membership(change.connection, organisation, subject) is None:
        raise InvalidValue("userIdentity", "is no member of the organisation")
    if any(member.user.subject == subject for member in team.members):
        raise AlreadyThere("the user is in the team already")
    member = new_identity("tm")
    change.connection.execute(
        insert(team_members).values(
            organisation=organisation,
            team=team.record.identity,
            identity=member,
            user_subject=subject,
            role=role,
            created_at=change.now,
        )
    )
    _store(change, organisation, team.record.touch(change.now))
    details = {"user": subject, "member": member}
    change.record("iam.team.member.add", organisation, NOUN, team.record.identity, details=details)
    return get_team(change.connection, organisation, team.record.identity)


def remove_team_member(change: Change, organisation: str, identity: str, member: str) -> None:
    """Take a user out of a team.

    Args:
        change: The write.
        organisation: Whose team.
        identity: Of the team, or its slug.
        member: Identity of the place in the team, or the subject of the user.

    Raises:
        ObjectUnknown: There is no such team or member.
        WouldLockOut: Nobody would be left who may do everything.
    """
    team = get_team(change.connection, organisation, identity)
    found = [known for known in team.members if member in (known.identity, known.user.subject)]
    if not found:
        raise ObjectUnknown("team member")
    change.connection.execute(
        delete(team_members).where(
            team_members.c.organisation == organisation,
            team_members.c.team == team.record.identity,
            team_members.c.identity == found[0].identity,
        )
    )
    _store(change, organisation, team.record.touch(change.now))
    require_administrator(change.connection, organisation)
    details = {"user": found[0].user.subject, "member": found[0].identity}
    change.record("iam.team.member.remove", organisation, NOUN, team.record.identity, details=details)


def _require_free(change: Change, organisation: str, record: Described) -> None:
    require_free_slug(change.connection, teams, NOUN, teams.c.organisation == organisation, record)


def _store(change: Change, organisation: str, record: Described) -> None:
    change.connection.execute(
        update(teams)
        .where(teams.c.organisation == organisation, teams.c.identity == record.identity)
        .values(record.columns())
    )


def _join(connection: Connection, organisation: str, records: list[Described]) -> list[Team]:
    """Add the members to teams."""
    if not records:
        return []
    rows = connection.execute(
        select(team_members)
        .where(
            team_members.c.organisation == organisation,
            team_members.c.team.in_([record.identity for record in records]),
        )
        .order_by(team_members.c.created_at, team_members.c.identity)
    ).all()
    people = load_users(connection, (row.user_subject for row in rows))
    members: dict[str, list[TeamMember]] = {}
    for row in rows:
        member = TeamMember(row.identity, people[row.user_subject], row.role, row.created_at)
        members.setdefault(row.team, []).append(member)
    return [Team(organisation, record, tuple(members.get(record.identity, ()))) for record in records]
