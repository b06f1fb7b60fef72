"""Personal access tokens: what a user makes, replaces and ends, or the operator for a user."""

from collections.abc import Sequence
from typing import Final

from signerd.platform.api_token import (
    ADMINISTRATOR,
    PERSONAL,
    NewToken,
    Token,
    find_token_of,
    issue_token,
    revoke_token,
)
from signerd.platform.change import Change
from signerd.platform.errors import InvalidValue, ObjectUnknown
from signerd.platform.membership import find_membership
from signerd.platform.project import get_project
from signerd.platform.scopes import check_scopes
from signerd.platform.secret_text import Pepper
from signerd.platform.user import get_user

NOUN: Final = "token"
MIN_LIFETIME_SECONDS: Final = 60
MAX_LIFETIME_SECONDS: Final = 10 * 366 * 86400
MAX_NAME_CHARACTERS: Final = 255


def create_personal_token(
    change: Change,
    pepper: Pepper,
    subject: str,
    *,
    name: str,
    lifetime_seconds: int,
    scopes: Sequence[str] = (),
    organisation: str | None = None,
    project: str | None = None,
) -> tuple[Token, str]:
    """Make a token that speaks for a user.

    Args:
        change: The write.
        pepper: Gives the key of MACs.
        subject: The user's.
        name: What the user calls it.
        lifetime_seconds: After which it is refused.
        scopes: What it may be used for; empty: everything.
        organisation: Identity of the only one it works in; None: all of the user's.
        project: Identity or slug of the only project it works in; needs an organisation.

    Returns:
        What is known of it, and the token, which cannot be had again.

    Raises:
        ObjectUnknown: There is no such user.
        ProjectUnknown: The organisation has no such project.
        InvalidValue: Something breaks a rule, or the user is no member of the organisation.
    """
    get_user(change.connection, subject)
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidValue("name", f"must have 1 to {MAX_NAME_CHARACTERS} printable characters")
    if lifetime_seconds <= 0:
        raise InvalidValue("expiresAt", "is past")
    if not MIN_LIFETIME_SECONDS <= lifetime_seconds <= MAX_LIFETIME_SECONDS:
        raise InvalidValue("expiresAt", "must be between one minute and ten years away")
    if organisation is not None and find_membership(change.connection, organisation, subject) is None:
        raise InvalidValue("organisation", "the user is no member of it")
    if project is not None:
        if organisation is None:
            raise InvalidValue("project", "needs an organisation")
        project = get_project(change.connection, organisation, project).identity
    new = NewToken(
        PERSONAL,
        name,
        lifetime_seconds,
        subject,
        organisation=organisation,
        scopes=check_scopes("scopes", scopes),
        project=project,
    )
    return _issue(change, pepper, new, "token.create")


def rotate_personal_token(change: Change, pepper: Pepper, subject: str, token_id: str) -> tuple[Token, str]:
    """Replace a token by a new one with the same name, limits and lifetime; the old one ends at once.

    Raises:
        ObjectUnknown: The user has no such token that is not revoked.
    """
    old = _get(change, subject, token_id)
    new = NewToken(
        PERSONAL if old.kind == PERSONAL else ADMINISTRATOR,
        old.name,
        old.expires_at - old.created_at,
        subject,
        organisation=old.organisation,
        scopes=old.scopes,
        project=old.project,
    )
    revoke_token(change.connection, old.id, change.now)
    return _issue(change, pepper, new, "token.rotate", {"replaces": old.id})


def revoke_personal_token(change: Change, subject: str, token_id: str) -> None:
    """End a token at once.

    Raises:
        ObjectUnknown: The user has no such token that is not revoked.
    """
    token = _get(change, subject, token_id)
    revoke_token(change.connection, token.id, change.now)
    change.record("token.revoke", token.organisation, NOUN, token.id, details={"user": subject})


def _get(change: Change, subject: str, token_id: str) -> Token:
    token = find_token_of(change.connection, subject, token_id)
    if token is None or token.revoked_at is not None:
        raise ObjectUnknown(NOUN)
    return token


def _issue(
    change: Change, pepper: Pepper, new: NewToken, action: str, details: dict[str, str] | None = None
) -> tuple[Token, str]:
    assert new.user is not None  # noqa: S101  # personal tokens have one
    token_id, text = issue_token(change.connection, pepper, new, change.now)
    facts = {"user": new.user, "name": new.name, **(details or {})}
    change.record(action, new.organisation, NOUN, token_id, details=facts)
    token = find_token_of(change.connection, new.user, token_id)
    assert token is not None  # noqa: S101  # it was just stored
    return token, text
