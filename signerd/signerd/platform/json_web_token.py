"""Signed tokens of issuers: JWS compact form (RFC 7515) with claims (RFC 7519). Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from signerd.platform.json_web_key import ALGORITHMS, BadSignature, JsonWebKey, decode_base64url

MAX_TOKEN_CHARACTERS: Final = 16_384
LEEWAY_SECONDS: Final = 60  # how far the issuer's clock may be off
MAX_CANDIDATES: Final = 8  # keys that are tried when the token names none


class BadToken(Exception):
    """A token is malformed, not signed by a key of the issuer, or not valid now; the text says which."""


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A parsed token of which nothing is to be believed yet.

    Attributes:
        algorithm: One that is accepted.
        key_id: Empty if it names none.
        issuer: Claim `iss`: whose keys to look for.
        claims: All of them.
        signed: The octets that the signature is over.
    """

    algorithm: str
    key_id: str
    issuer: str
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def parse_token(text: str) -> UnverifiedToken:
    """Take a token apart.

    Raises:
        BadToken: It has not the form, or asks for an algorithm or an extension that is not accepted.
    """
    parts = text.split(".")
    if len(text) > MAX_TOKEN_CHARACTERS or len(parts) != 3 or not text.isascii():
        raise BadToken("it is no signed token")
    try:
        header = _read_object(decode_base64url(parts[0]))
        claims = _read_object(decode_base64url(parts[1]))
        signature = decode_base64url(parts[2])
    except (ValueError, RecursionError) as error:
        raise BadToken("it is no signed token") from error
    algorithm, key_id, issuer = header.get("alg"), header.get("kid", ""), claims.get("iss")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadToken(f"its algorithm is none of {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:  # RFC 7515, section 4.1.11: what is not understood is refused
        raise BadToken("it needs an extension")
    if not isinstance(key_id, str) or not isinstance(issuer, str) or not issuer:
        raise BadToken("it names no issuer")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return UnverifiedToken(algorithm, key_id, issuer, claims, signed, signature)


def has_candidate(token: UnverifiedToken, keys: Sequence[JsonWebKey]) -> bool:
    """Say if a key set has a key that may have signed a token: if not, it may be out of date."""
    return bool(_list_candidates(token, keys))


def verify_token_signature(
    token: UnverifiedToken, keys: Sequence[JsonWebKey], now: int
) -> Mapping[str, object]:
    """Check signature and times of a token.

    Args:
        token: As parsed.
        keys: Of the issuer that it names.
        now: Seconds since 1970, UTC.

    Returns:
        The claims, which now can be believed.

    Raises:
        BadToken: No key made the signature, or the token is not valid now.
    """
    for key in _list_candidates(token, keys)[:MAX_CANDIDATES]:
        try:
            key.verify(token.signature, token.signed)
        except BadSignature:
            continue
        _check_times(token.claims, now)
        return token.claims
    raise BadToken("it is not signed by a key of its issuer")


def _list_candidates(token: UnverifiedToken, keys: Sequence[JsonWebKey]) -> list[JsonWebKey]:
    return [
        key
        for key in keys
        if key.algorithm == token.algorithm and (not token.key_id or key.key_id in ("", token.key_id))
    ]


def _check_times(claims: Mapping[str, object], now: int) -> None:
    expires_at = _read_moment(claims, "exp")
    if expires_at is None:
        raise BadToken("it has no expiry")
    if now >= expires_at + LEEWAY_SECONDS:
        raise BadToken("it has expired")
    for name in ("nbf", "iat"):
        moment = _read_moment(claims, name)
        if moment is not None and moment > now + LEEWAY_SECONDS:
            raise BadToken("it is not valid yet")


def _read_moment(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"its claim {name} is no time")
    return value


def _read_object(octets: bytes) -> dict[str, object]:
    value: object = json.loads(octets.decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return cast("dict[str, object]", value)


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member stands there twice")  # RFC 7519, section 4
    return value
