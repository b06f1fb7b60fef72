"""Tokens: `sgd_<kind>_<id>_<secret>_<crc>`. Only a MAC is stored, keyed by a pepper from the KMS's root key.

The pepper is derived for each check and not kept, so a sealed KMS authenticates nobody over HTTP. That costs
nothing: a sealed API answers 503 before it looks at a token, and unsealing is done on the machine.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from signerd.platform.tables import tokens
from signerd_kms.wrapping import LiveKey

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase  # base62
_ID_LENGTH = 16
_SECRET_LENGTH = 27  # 160 random bits
_CRC_LENGTH = 6  # base62 of 32 bits
_KINDS = frozenset({"admin", "pat", "svc"})

Pepper = Callable[[], LiveKey]


class TokenRefused(Exception):
    """The token is malformed, unknown, wrong, expired or revoked; which of these is not said."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for."""

    token_id: str
    kind: str
    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    kind: str
    token_id: str


def issue_token(
    connection: Connection,
    pepper: Pepper,
    *,
    organisation: str,
    kind: str,
    name: str,
    now: int,
    lifetime_seconds: int,
) -> str:
    """Make a token and store its MAC; the caller commits.

    Args:
        connection: Inside a write transaction.
        pepper: Gives the key of the MAC; closed here.
        organisation: Identity of the organisation it belongs to.
        kind: `admin`, `pat` or `svc`.
        name: What people call it.
        now: Seconds since 1970, UTC.
        lifetime_seconds: After which it is refused.

    Returns:
        The token. It cannot be had again.
    """
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of token {kind!r}")
    token_id = _random_text(_ID_LENGTH)
    body = f"sgd_{kind}_{token_id}_{_random_text(_SECRET_LENGTH)}"
    token = f"{body}_{_compute_crc(body)}"
    connection.execute(
        insert(tokens).values(
            id=token_id,
            organisation=organisation,
            kind=kind,
            name=name,
            mac=_compute_mac(pepper, token),
            created_at=now,
            expires_at=now + lifetime_seconds,
        )
    )
    return token


def verify_token(connection: Connection, pepper: Pepper, token: str, now: int) -> Principal:
    """Find out who a token speaks for. An unknown id costs the same as a wrong secret.

    Raises:
        TokenRefused: It is not good, for whatever reason.
    """
    parsed = _parse(token)
    row = connection.execute(select(tokens).where(tokens.c.id == parsed.token_id)).first()
    mac = _compute_mac(pepper, token)
    expected = bytes(row.mac) if row is not None else bytes(len(mac))
    matches = hmac.compare_digest(mac, expected)
    if (
        row is None
        or not matches
        or row.kind != parsed.kind
        or row.revoked_at is not None
        or now >= row.expires_at
    ):
        raise TokenRefused("the token is not valid")
    return Principal(row.id, row.kind, row.name, row.organisation)


def _parse(token: str) -> _Parsed:
    parts = token.split("_")
    if len(parts) == 5 and token.isascii():  # the five of the form
        prefix, kind, token_id, secret, crc = parts
        if (
            prefix == "sgd"
            and kind in _KINDS
            and len(token_id) == _ID_LENGTH
            and len(secret) == _SECRET_LENGTH
            and hmac.compare_digest(crc, _compute_crc(token[: -len(crc) - 1]))
        ):
            return _Parsed(kind, token_id)
    raise TokenRefused("the token is not valid")


def _compute_mac(pepper: Pepper, token: str) -> bytes:
    with pepper() as key:
        return hmac.digest(key.octets, token.encode(), hashlib.sha256)


def _compute_crc(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CRC_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
