"""`/v1/me/tokens` and, for the operator, `/v1/users/{user}/tokens`: personal access tokens."""

from collections.abc import Callable
from types import GenericAlias
from typing import Final

from pydantic import AwareDatetime

from signerd.api.call import Call
from signerd.api.platform_backend import OpenPlatform
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import PERSONAL, Endpoint
from signerd.api.timestamp import format_optional_time, format_time
from signerd.api.wire import WireModel
from signerd.platform.api_token import Token, list_tokens_of
from signerd.platform.errors import Forbidden, OrganisationRefused
from signerd.platform.membership import find_membership
from signerd.platform.operator_right import require_operator
from signerd.platform.organisation import get_organisation
from signerd.platform.personal_token import (
    create_personal_token,
    revoke_personal_token,
    rotate_personal_token,
)
from signerd.platform.principal import PrincipalKind
from signerd.platform.user import get_user

DEFAULT_LIFETIME_SECONDS: Final = 90 * 86400
FindUser = Callable[[Call], str]


class TokenRequest(WireModel):
    """A token to make; without organisation it works in all of the user's, without scopes for everything."""

    name: str
    expires_at: AwareDatetime | None = None
    scopes: list[str] | None = None
    organisation: str | None = None
    project: str | None = None


class TokenBody(WireModel):
    """What is known of a token."""

    identity: str
    name: str
    scopes: list[str]
    organisation: str | None = None
    project: str | None = None
    created_at: str
    expires_at: str
    last_used_at: str | None = None
    revoked_at: str | None = None


class NewTokenBody(TokenBody):
    """A token, shown once."""

    token: str


class _TokenCalls:
    def __init__(self, open_platform: OpenPlatform, find_user: FindUser) -> None:
        self._open = open_platform
        self._find_user = find_user

    def list(self, call: Call) -> Reply:
        subject = self._find_user(call)
        with self._open().store.read() as connection:
            get_user(connection, subject)
            return Reply(body=[render_token(token) for token in list_tokens_of(connection, subject)])

    def create(self, call: Call) -> Reply:
        subject = self._find_user(call)
        request = call.read(TokenRequest)
        backend = self._open()
        organisation = None
        if request.organisation:
            with backend.store.read() as connection:
                organisation = get_organisation(connection, request.organisation).identity
                if find_membership(connection, organisation, subject) is None:
                    raise OrganisationRefused
        lifetime = DEFAULT_LIFETIME_SECONDS
        if request.expires_at is not None:
            lifetime = int(request.expires_at.timestamp()) - backend.store.now()
        token, text = backend.change(
            call,
            lambda change: create_personal_token(
                change,
                backend.pepper,
                subject,
                name=request.name,
                lifetime_seconds=lifetime,
                scopes=tuple(request.scopes or ()),
                organisation=organisation,
                project=request.project or None,
            ),
        )
        return Reply(201, {**render_token(token), "token": text})

    def rotate(self, call: Call) -> Reply:
        subject = self._find_user(call)
        call.read_empty()
        backend = self._open()
        token, text = backend.change(
            call,
            lambda change: rotate_personal_token(change, backend.pepper, subject, call.path["token"]),
        )
        return Reply(201, {**render_token(token), "token": text})

    def revoke(self, call: Call) -> Reply:
        subject = self._find_user(call)
        call.read_empty()
        self._open().change(call, lambda change: revoke_personal_token(change, subject, call.path["token"]))
        return Reply(204)


def find_self(call: Call) -> str:
    """Give the caller, who must be a user with a token that is not limited: else it could shed its limits.

    Raises:
        Forbidden: The caller is no user, or the token is limited.
    """
    credential = call.credential
    is_limited = (
        bool(credential.scopes) or credential.organisation is not None or credential.project is not None
    )
    if call.principal.kind is not PrincipalKind.USER or is_limited:
        raise Forbidden("token", "administer")
    return call.principal.identity


def find_named_user(call: Call) -> str:
    """Give the user that the path names, for an operator.

    Raises:
        Forbidden: The caller is none.
    """
    require_operator(call.principal, call.credential)
    return call.path["user"]


def render_token(token: Token) -> dict[str, JsonValue]:
    """Give what is known of a token."""
    body: dict[str, JsonValue] = {
        "identity": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "organisation": token.organisation,
        "project": token.project,
        "createdAt": format_time(token.created_at),
        "expiresAt": format_time(token.expires_at),
        "lastUsedAt": format_optional_time(token.last_used_on),
        "revokedAt": format_optional_time(token.revoked_at),
    }
    return {name: value for name, value in body.items() if value is not None}


def list_personal_token_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls."""
    endpoints: list[Endpoint] = []
    for root, find_user, whose, word in (
        ("/v1/me/tokens", find_self, "the caller's", "Own"),
        ("/v1/users/{user}/tokens", find_named_user, "a user's (for the operator)", "User"),
    ):
        calls = _TokenCalls(open_platform, find_user)
        endpoints += [
            Endpoint(
                "GET",
                root,
                calls.list,
                action=f"token:List{word}",
                summary=f"List {whose} tokens",
                scope=PERSONAL,
                response=GenericAlias(list, (TokenBody,)),
                statuses=(200, 403, 404),
            ),
            Endpoint(
                "POST",
                root,
                calls.create,
                action=f"token:Create{word}",
                summary=f"Add to {whose} tokens; the new one is shown once",
                scope=PERSONAL,
                request=TokenRequest,
                response=NewTokenBody,
                statuses=(201, 400, 403, 404),
            ),
            Endpoint(
                "POST",
                f"{root}/{{token}}/rotate",
                calls.rotate,
                action=f"token:Rotate{word}",
                summary=f"Replace one of {whose} tokens; the old one ends",
                scope=PERSONAL,
                response=NewTokenBody,
                statuses=(201, 403, 404),
            ),
            Endpoint(
                "DELETE",
                f"{root}/{{token}}",
                calls.revoke,
                action=f"token:Revoke{word}",
                summary=f"End one of {whose} tokens",
                scope=PERSONAL,
                statuses=(204, 403, 404),
            ),
        ]
    return endpoints
