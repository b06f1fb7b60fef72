"""Who calls, and for which organisation."""

from dataclasses import dataclass
from typing import Final, Protocol

import trio
from starlette.requests import Request

from signerd.api.errors import MalformedRequest, NotAuthenticated, OrganisationMissing, OrganisationNotAllowed

ORGANISATION_HEADER: Final = "X-Organisation-Identity"
TOKEN_SCHEMES: Final = frozenset({"token", "bearer"})  # compared in lower case (RFC 9110, section 11.1)
MAX_TOKEN_CHARACTERS: Final = 4096


class BadToken(Exception):
    """A token is unknown, expired or revoked; raised by a TokenVerifier."""

    code = "api.bad_token"


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who calls."""

    identity: str
    name: str
    organisation: str  # identity of the one that the credential belongs to


@dataclass(frozen=True, slots=True)
class Organisation:
    """The owner of keys and zones."""

    identity: str
    name: str
    slug: str


class TokenVerifier(Protocol):
    """Knows the tokens. Called in a worker thread, so it may block."""

    def verify(self, token: str) -> Principal:
        """Say whose token it is.

        Raises:
            BadToken: Nobody's, or no longer good.
        """
        ...


class OrganisationDirectory(Protocol):
    """Knows the organisations and their members. Called in a worker thread, so it may block."""

    def find_organisation(self, identity_or_slug: str, principal: Principal) -> Organisation | None:
        """Give an organisation of which the principal is a member; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls for whom."""

    principal: Principal
    organisation: Organisation


async def identify_caller(
    request: Request, tokens: TokenVerifier, organisations: OrganisationDirectory
) -> Caller:
    """Check the credential, then the organisation, in this order.

    Raises:
        NotAuthenticated: No good credential.
        OrganisationMissing: The header is missing or empty.
        MalformedRequest: The header stands there more than once.
        OrganisationNotAllowed: Unknown, or the caller is no member.
    """
    token = _read_token(request)
    try:
        principal = await trio.to_thread.run_sync(tokens.verify, token)
    except BadToken as error:
        raise NotAuthenticated("the token is not valid") from error
    names = request.headers.getlist(ORGANISATION_HEADER)
    if len(names) > 1:
        raise MalformedRequest(f"{ORGANISATION_HEADER} stands in the request {len(names)} times")
    if not names or not names[0]:
        raise OrganisationMissing(f"the header {ORGANISATION_HEADER} is missing")
    organisation = await trio.to_thread.run_sync(organisations.find_organisation, names[0], principal)
    if organisation is None:
        raise OrganisationNotAllowed("unknown organisation, or you are not a member of it")
    return Caller(principal, organisation)


def _read_token(request: Request) -> str:
    values = request.headers.getlist("Authorization")
    if not values:
        raise NotAuthenticated("the header Authorization is missing")
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if len(values) > 1 or not token or len(token) > MAX_TOKEN_CHARACTERS or " " in token:
        raise NotAuthenticated("the header Authorization is malformed")
    if scheme.lower() not in TOKEN_SCHEMES:
        raise NotAuthenticated("the scheme of the header Authorization must be Token or Bearer")
    return token
