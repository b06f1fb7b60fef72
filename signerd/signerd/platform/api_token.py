"""Tokens: `tc_pat_<id>_<secret>_<crc>` of people, `sgd_<kind>_<id>_<secret>_<crc>` of all others.

Only a MAC is stored, keyed by a pepper from the KMS's root key. The pepper is derived for each check and not
kept, so a sealed KMS authenticates nobody over HTTP. That costs nothing: a sealed API answers 503 before it
looks at a token, and unsealing is done on the machine.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.errors import CredentialRefused
from signerd.platform.json_column import dump_list, load_list
from signerd.platform.secret_text import (
    CRC_LENGTH,
    ID_LENGTH,
    SECRET_LENGTH,
    Pepper,
    append_crc,
    compute_mac,
    has_crc,
    new_text,
)
from signerd.platform.tables import tokens

PERSONAL: Final = "pat"
ADMINISTRATOR: Final = "admin"  # a personal token that the first start makes
ACCESS: Final = "acc"  # issued at the token endpoint
SECONDS_OF_DAY: Final = 86400
_PREFIXES: Final = {PERSONAL: "tc_pat", ADMINISTRATOR: "sgd_admin", ACCESS: "sgd_acc"}
_KINDS: Final = {prefix: kind for kind, prefix in _PREFIXES.items()} | {"sgd_pat": PERSONAL}
_PURGE_AFTER_SECONDS: Final = SECONDS_OF_DAY  # access tokens are kept this long after they expired
_PURGE_LIMIT: Final = 100  # bounds what one request pays for the tidying


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never the token itself. Times are seconds since 1970, UTC.

    Attributes:
        user: Subject of the user it speaks for; None if it speaks for a service account.
        organisation: The only one it works in; None for all that its user is a member of.
        parent: Identity of the credential that it was issued for; it ends with that.
        scopes: Empty means no limit.
        last_used_on: Start of the day of the last use.
    """

    id: str
    kind: str
    name: str
    user: str | None
    service_account: str | None
    organisation: str | None
    parent: str | None
    scopes: Sequence[str]
    project: str | None
    created_at: int
    expires_at: int
    revoked_at: int | None
    last_used_on: int | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to be. Fields as in `Token`."""

    kind: str
    name: str
    lifetime_seconds: int
    user: str | None = None
    service_account: str | None = None
    organisation: str | None = None
    parent: str | None = None
    scopes: Iterable[str] = ()
    project: str | None = None


def issue_token(connection: Connection, pepper: Pepper, new: NewToken, now: int) -> tuple[str, str]:
    """Make a token and store its MAC; the caller commits.

    Returns:
        The id, and the token, which cannot be had again.
    """
    if (new.user is None) == (new.service_account is None):
        raise ValueError("a token speaks for one principal")
    token_id = new_text(ID_LENGTH)
    token = append_crc(f"{_PREFIXES[new.kind]}_{token_id}_{new_text(SECRET_LENGTH)}")
    connection.execute(
        insert(tokens).values(
            id=token_id,
            organisation=new.organisation,
            kind=new.kind,
            name=new.name,
            mac=compute_mac(pepper, token),
            created_at=now,
            expires_at=now + new.lifetime_seconds,
            user_subject=new.user,
            service_account=new.service_account,
            parent=new.parent,
            scopes=dump_list(new.scopes),
            project=new.project,
        )
    )
    return token_id, token


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token that somebody shows, as it can be looked up and remembered: without its secret."""

    kind: str
    id: str
    mac: bytes


def read_shown_token(pepper: Pepper, token: str) -> ShownToken:
    """Take a token apart. An unknown id costs the same as a wrong secret.

    Raises:
        CredentialRefused: It has not the form of one.
        Sealed: Tokens cannot be checked now.
    """
    kind, token_id = _parse(token)
    return ShownToken(kind, token_id, compute_mac(pepper, token))


def verify_token(connection: Connection, shown: ShownToken) -> Token:
    """Find out who a token speaks for, unless it has expired: that is asked of what this gives.

    Raises:
        CredentialRefused: It is not good, for whatever other reason.
    """
    row = connection.execute(select(tokens).where(tokens.c.id == shown.id)).mappings().first()
    stored = bytes(row["mac"]) if row is not None else bytes(len(shown.mac))
    matches = hmac.compare_digest(shown.mac, stored)
    if row is None or not matches or row["kind"] != shown.kind or row["revoked_at"] is not None:
        raise CredentialRefused
    return _read(row)


def require_unexpired(token: Token, now: int) -> None:
    """Check the time of a token.

    Raises:
        CredentialRefused: It is over.
    """
    if now >= token.expires_at:
        raise CredentialRefused


def list_tokens_of(connection: Connection, subject: str) -> list[Token]:
    """List a user's tokens, revoked ones as well."""
    rows = connection.execute(
        select(tokens).where(tokens.c.user_subject == subject).order_by(tokens.c.created_at, tokens.c.id)
    )
    return [_read(row) for row in rows.mappings()]


def find_token_of(connection: Connection, subject: str, token_id: str) -> Token | None:
    """Find one of a user's tokens."""
    query = select(tokens).where(tokens.c.user_subject == subject, tokens.c.id == token_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _read(row)


def revoke_token(connection: Connection, token_id: str, now: int) -> None:
    """End a token at once; the caller commits. A revoked one stays as it is."""
    connection.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def revoke_children(
    connection: Connection,
    organisation: str,
    *,
    now: int,
    parent: str | None = None,
    service_account: str | None = None,
) -> None:
    """End all tokens that were issued for a credential, or for a service account; the caller commits."""
    if (parent is None) == (service_account is None):
        raise ValueError("name the credential or the service account")
    chosen = tokens.c.parent == parent if parent is not None else tokens.c.service_account == service_account
    connection.execute(
        update(tokens)
        .where(tokens.c.organisation == organisation, chosen, tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def mark_token_used(connection: Connection, token_id: str, now: int) -> None:
    """Note the day of the last use; the caller commits."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_on=start_of_day(now)))


def purge_access_tokens(connection: Connection, now: int) -> None:
    """Remove some access tokens that expired long ago; the caller commits. Their use is in the audit."""
    old = (
        select(tokens.c.id)
        .where(tokens.c.kind == ACCESS, tokens.c.expires_at < now - _PURGE_AFTER_SECONDS)
        .limit(_PURGE_LIMIT)
    )
    connection.execute(delete(tokens).where(tokens.c.id.in_(old)))


def start_of_day(now: int) -> int:
    """Give the start of a moment's day, UTC."""
    return now - now % SECONDS_OF_DAY


def _parse(token: str) -> tuple[str, str]:
    """Give the kind and the id of a token of the right form."""
    parts = token.split("_")
    if len(parts) == 5 and token.isascii():
        kind = _KINDS.get(f"{parts[0]}_{parts[1]}")
        if (
            kind is not None
            and len(parts[2]) == ID_LENGTH
            and len(parts[3]) == SECRET_LENGTH
            and len(parts[4]) == CRC_LENGTH
            and has_crc(token)
        ):
            return kind, parts[2]
    raise CredentialRefused


def _read(row: RowMapping) -> Token:
    return Token(
        row["id"],
        row["kind"],
        row["name"],
        row["user_subject"],
        row["service_account"],
        row["organisation"],
        row["parent"],
        load_list(row["scopes"]),
        row["project"],
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
        row["last_used_on"],
    )
