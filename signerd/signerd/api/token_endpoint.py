"""`POST /oidc/token`: access tokens, by the rules of RFC 6749 and RFC 8693. Forms in, OAuth errors out."""

import base64
import binascii
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel

from signerd.api.call import OpenCall
from signerd.api.platform_backend import OpenPlatform
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import OpenEndpoint
from signerd.api.wire import WireModel
from signerd.platform.errors import TokenRequestRefused
from signerd.platform.lifetime import parse_lifetime
from signerd.platform.token_service import (
    DEFAULT_LIFETIME_SECONDS,
    MAX_LIFETIME_SECONDS,
    MIN_LIFETIME_SECONDS,
    ExchangeRequest,
    IssuedToken,
    TokenService,
)
from signerd_kms.attribution import Attribution

FORM: Final = "application/x-www-form-urlencoded"
MAX_BODY_OCTETS: Final = 64 * 1024
MAX_FIELDS: Final = 32
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
SUBJECT_TOKEN_TYPES: Final = frozenset(
    {"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
)
_STATUS: Final = {"invalid_client": 401, "temporarily_unavailable": 503}


class TokenBody(WireModel):
    """An access token."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str | None = None


class _TokenCall:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def issue(self, call: OpenCall) -> Reply:
        """Answer every request, refused ones in the form of RFC 6749, section 5.2."""
        try:
            issued = self._grant(call, self._open().tokens)
        except TokenRequestRefused as error:
            status = _STATUS.get(error.error, 400)
            headers = {"WWW-Authenticate": 'Basic realm="signerd"'} if status == 401 else {}
            return Reply(status, {"error": error.error, "error_description": str(error)}, headers)
        body: dict[str, JsonValue] = {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.lifetime_seconds,
        }
        if issued.scopes:
            body["scope"] = " ".join(issued.scopes)
        return Reply(body=body)

    def _grant(self, call: OpenCall, tokens: TokenService) -> IssuedToken:
        form = _read_form(call)
        by = Attribution(None, request_id=call.request_id, address=call.address)
        scopes = tuple(form.get("scope", "").split())
        project = form.get("project") or None
        match form.get("grant_type", ""):
            case "client_credentials":
                client, secret = _read_client(call, form)
                return tokens.grant_client_credentials(client, secret, scopes, project, by)
            case grant if grant == EXCHANGE:
                request = ExchangeRequest(
                    _require(form, "subject_token"),
                    _require(form, "organisation_id"),
                    _require(form, "service_account_id"),
                    _read_lifetime(form),
                    scopes,
                    project,
                )
                if _require(form, "subject_token_type") not in SUBJECT_TOKEN_TYPES:
                    raise TokenRequestRefused("invalid_request", "subject_token_type: is not supported")
                return tokens.exchange(request, by)
            case "":
                raise TokenRequestRefused("invalid_request", "grant_type: is required")
            case _:
                raise TokenRequestRefused("unsupported_grant_type", "the grant type is not supported")


def _read_form(call: OpenCall) -> dict[str, str]:
    """Read the form; a field without a value counts as absent (RFC 6749, section 3.2)."""
    types = call.headers.getlist("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != FORM:
        raise TokenRequestRefused("invalid_request", f"the body must be {FORM}")
    try:
        pairs = parse_qsl(
            call.body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS, separator="&"
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise TokenRequestRefused("invalid_request", "the form cannot be understood") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRequestRefused("invalid_request", "a field stands in the form twice")
    return form


def _read_client(call: OpenCall, form: dict[str, str]) -> tuple[str, str]:
    """Read the client's id and secret, from the header or the form but not from both (section 2.3)."""
    headers = call.headers.getlist("authorization")
    if not headers:
        if "client_id" not in form or "client_secret" not in form:
            raise TokenRequestRefused("invalid_client", "the client's id or secret is missing")
        return form["client_id"], form["client_secret"]
    if len(headers) > 1 or "client_secret" in form:
        raise TokenRequestRefused("invalid_request", "the client authenticates more than once")
    scheme, _, encoded = headers[0].partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        client, colon, secret = text.partition(":")
        client = unquote_plus(client, errors="strict")
        secret = unquote_plus(secret, errors="strict")
    except (ValueError, binascii.Error) as error:
        raise TokenRequestRefused("invalid_client", "the header Authorization is malformed") from error
    if not colon or form.get("client_id", client) != client:
        raise TokenRequestRefused("invalid_client", "the header Authorization is malformed")
    return client, secret


def _read_lifetime(form: dict[str, str]) -> int:
    text = form.get("access_token_lifetime")
    if text is None:
        return DEFAULT_LIFETIME_SECONDS
    seconds = parse_lifetime(text)
    if seconds is None or not MIN_LIFETIME_SECONDS <= seconds <= MAX_LIFETIME_SECONDS:
        raise TokenRequestRefused(
            "invalid_request", "access_token_lifetime: must be between 1 minute and 24 hours"
        )
    return seconds


def _require(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if value is None:
        raise TokenRequestRefused("invalid_request", f"{name}: is required")
    return value


class TokenErrorBody(BaseModel):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    error: str
    error_description: str


def list_token_endpoints(open_platform: OpenPlatform) -> list[OpenEndpoint]:
    """Give the call."""
    return [
        OpenEndpoint(
            "POST",
            "/oidc/token",
            _TokenCall(open_platform).issue,
            action="auth:IssueToken",
            summary="Issue an access token for client credentials or a token of a trusted issuer",
            response=TokenBody,
            statuses=(200, 400, 401, 503),
            body_octets=MAX_BODY_OCTETS,
            form=(
                "grant_type",
                "client_id",
                "client_secret",
                "scope",
                "subject_token",
                "subject_token_type",
                "organisation_id",
                "service_account_id",
                "access_token_lifetime",
            ),
            error=TokenErrorBody,
        )
    ]
