"""Users: people, known to the whole deployment; what they are in an organisation is a membership."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select

from signerd.platform.change import Change
from signerd.platform.errors import InvalidValue, ObjectUnknown
from signerd.platform.iam_tables import users
from signerd_kms.identity import new_identity

_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,128}@[^@\s\x00-\x1f\x7f]{1,128}")


@dataclass(frozen=True, slots=True)
class User:
    """A person.

    Attributes:
        subject: What they are known by in bindings and in the audit.
        email: Empty if not known.
        is_operator: Runs the deployment.
        created_at: Seconds since 1970, UTC.
    """

    subject: str
    name: str
    email: str
    is_operator: bool
    created_at: int


def create_user(change: Change, *, name: str, email: str, is_operator: bool) -> User:
    """Make a user, who belongs to no organisation yet.

    Raises:
        InvalidValue: The name or the address has not the form of one.
    """
    if not _TEXT.fullmatch(name):
        raise InvalidValue("name", "must have 1 to 255 printable characters")
    if email and not _EMAIL.fullmatch(email):
        raise InvalidValue("email", "is no address")
    user = User(new_identity("u"), name, email, is_operator, change.now)
    change.connection.execute(
        insert(users).values(
            subject=user.subject, name=name, email=email, is_operator=is_operator, created_at=change.now
        )
    )
    change.record("user.create", None, "user", user.subject)
    return user


def get_user(connection: Connection, subject: str) -> User:
    """Find a user anywhere in the deployment: for its operator.

    Raises:
        ObjectUnknown: There is none.
    """
    row = connection.execute(select(users).where(users.c.subject == subject)).mappings().first()
    if row is None:
        raise ObjectUnknown("user")
    return read_user(row)


def list_users(connection: Connection) -> list[User]:
    """List all users of the deployment: for its operator."""
    rows = connection.execute(select(users).order_by(users.c.created_at, users.c.subject)).mappings()
    return [read_user(row) for row in rows]


def load_users(connection: Connection, subjects: Iterable[str]) -> dict[str, User]:
    """Load users by subject, to be shown in objects that name them."""
    wanted = sorted(set(subjects))
    if not wanted:
        return {}
    rows = connection.execute(select(users).where(users.c.subject.in_(wanted))).mappings()
    return {user.subject: user for user in map(read_user, rows)}


def read_user(row: RowMapping) -> User:
    """Read a user from a row with all columns."""
    return User(row["subject"], row["name"], row["email"], bool(row["is_operator"]), row["created_at"])
