"""`/v1/federated-identity-providers` and `/v1/federated-identities`."""

import json
from types import GenericAlias
from typing import Final, cast

from pydantic import AwareDatetime
from pydantic import JsonValue as AnyJson
from sqlalchemy import Connection

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.platform_backend import DescribedBody, DescriptionBody, OpenPlatform, render_described
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.api.service_account_endpoints import load_account_rights
from signerd.api.timestamp import format_optional_time
from signerd.platform import federated_identity as identities
from signerd.platform import identity_provider as providers
from signerd.platform.effective_rights import require_grantable
from signerd.platform.errors import InvalidValue, ObjectUnknown
from signerd.platform.rights import Rights
from signerd.platform.service_account import get_service_account

PROVIDERS: Final = "/v1/federated-identity-providers"
IDENTITIES: Final = "/v1/federated-identities"


class ProviderBody(DescribedBody):
    """A federated identity provider."""

    provider_issuer: str
    provider_jwks_uri: str | None = None
    local_jwks: dict[str, AnyJson] | None = None
    status: str


class ProviderRequest(DescriptionBody):
    """A provider to make or change; an empty address clears it."""

    provider_issuer: str | None = None
    provider_jwks_uri: str | None = None
    local_jwks: dict[str, AnyJson] | None = None
    status: providers.Status | None = None


class IdentityBody(DescribedBody):
    """A federated identity."""

    service_account_identity: str
    provider_identity: str
    provider_subject: str
    trusted_audiences: list[str]
    audience_match_mode: str
    allowed_scopes: list[str]
    expires_at: str | None = None
    conditions: dict[str, AnyJson] | None = None
    status: str


class IdentityRequest(DescriptionBody):
    """A federated identity to make or change."""

    service_account_identity: str | None = None
    provider_identity: str | None = None
    provider_subject: str | None = None
    trusted_audiences: list[str] | None = None
    audience_match_mode: identities.AudienceMatchMode | None = None
    allowed_scopes: list[str] | None = None
    expires_at: AwareDatetime | None = None
    conditions: dict[str, str | bool | int | list[str]] | None = None
    status: providers.Status | None = None


class _ProviderCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        call.rights.require(providers.RESOURCE_TYPE, "list")
        with self._open().store.read() as connection:
            found = providers.list_identity_providers(connection, call.organisation.identity)
        chosen = select_matching(call.query, found, lambda provider: provider.record)
        status = call.query.first("status")
        return Reply(
            body=[render_provider(provider) for provider in chosen if status in (None, provider.status.value)]
        )

    def get(self, call: Call) -> Reply:
        call.rights.require(providers.RESOURCE_TYPE, "read")
        return Reply(body=render_provider(self._get(call)))

    def create(self, call: Call) -> Reply:
        call.rights.require(providers.RESOURCE_TYPE, "create")
        request = call.read(ProviderRequest)
        draft = providers.ProviderDraft(
            request.describe(),
            request.provider_issuer or "",
            request.provider_jwks_uri or "",
            _dump(request.local_jwks),
            request.status or providers.Status.ACTIVE,
        )
        made = self._open().change(
            call,
            lambda change: providers.create_identity_provider(change, call.organisation.identity, draft),
        )
        return Reply(201, render_provider(made))

    def update(self, call: Call) -> Reply:
        call.rights.require(providers.RESOURCE_TYPE, "update")
        current = self._get(call)
        request = call.read(ProviderRequest)
        given = request.model_fields_set
        draft = providers.ProviderDraft(
            request.revise(current.record.stated),
            request.provider_issuer or current.issuer,
            (request.provider_jwks_uri or "") if "provider_jwks_uri" in given else current.jwks_uri,
            _dump(request.local_jwks) if "local_jwks" in given else current.local_jwks,
            request.status or current.status,
        )
        made = self._open().change(
            call,
            lambda change: providers.update_identity_provider(
                change, call.organisation.identity, current.record.identity, draft
            ),
        )
        return Reply(body=render_provider(made))

    def delete(self, call: Call) -> Reply:
        call.rights.require(providers.RESOURCE_TYPE, "delete")
        call.read_empty()
        self._open().change(
            call,
            lambda change: providers.delete_identity_provider(
                change, call.organisation.identity, call.path["provider"]
            ),
        )
        return Reply(204)

    def _get(self, call: Call) -> providers.IdentityProvider:
        with self._open().store.read() as connection:
            return providers.get_identity_provider(
                connection, call.organisation.identity, call.path["provider"]
            )


class _IdentityCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        call.rights.require(identities.RESOURCE_TYPE, "list")
        with self._open().store.read() as connection:
            found = identities.list_federated_identities(connection, call.organisation.identity)
        chosen = select_matching(call.query, found, lambda identity: identity.record)
        status = call.query.first("status")
        return Reply(
            body=[
                render_identity(identity)
                for identity in chosen
                if status in (None, identity.draft.status.value)
            ]
        )

    def get(self, call: Call) -> Reply:
        call.rights.require(identities.RESOURCE_TYPE, "read")
        return Reply(body=render_identity(self._get(call)))

    def create(self, call: Call) -> Reply:
        call.rights.require(identities.RESOURCE_TYPE, "create")
        request = call.read(IdentityRequest)
        draft = identities.IdentityDraft(
            request.describe(),
            request.service_account_identity or "",
            request.provider_identity or "",
            request.provider_subject or "",
            tuple(request.trusted_audiences or ()),
            request.audience_match_mode or identities.AudienceMatchMode.ANY,
            tuple(request.allowed_scopes or ()),
            None if request.expires_at is None else int(request.expires_at.timestamp()),
            request.conditions or {},
            request.status or providers.Status.ACTIVE,
        )
        self._require_reach(call, draft)
        made = self._open().change(
            call,
            lambda change: identities.create_federated_identity(change, call.organisation.identity, draft),
        )
        return Reply(201, render_identity(made))

    def update(self, call: Call) -> Reply:
        call.rights.require(identities.RESOURCE_TYPE, "update")
        current = self._get(call)
        request, old = call.read(IdentityRequest), current.draft
        given = request.model_fields_set
        expires_at = None if request.expires_at is None else int(request.expires_at.timestamp())
        draft = identities.IdentityDraft(
            request.revise(current.record.stated),
            request.service_account_identity or old.service_account,
            request.provider_identity or old.provider,
            request.provider_subject or old.subject,
            tuple(request.trusted_audiences or old.audiences),
            request.audience_match_mode or old.audience_mode,
            tuple(request.allowed_scopes or ()) if "allowed_scopes" in given else old.scopes,
            expires_at if "expires_at" in given else old.expires_at,
            (request.conditions or {}) if "conditions" in given else old.conditions,
            request.status or old.status,
        )
        self._require_reach(call, draft)
        made = self._open().change(
            call,
            lambda change: identities.update_federated_identity(
                change, call.organisation.identity, current.record.identity, draft
            ),
        )
        return Reply(body=render_identity(made))

    def delete(self, call: Call) -> Reply:
        call.rights.require(identities.RESOURCE_TYPE, "delete")
        call.read_empty()
        self._open().change(
            call,
            lambda change: identities.delete_federated_identity(
                change, call.organisation.identity, call.path["identity"]
            ),
        )
        return Reply(204)

    def _get(self, call: Call) -> identities.FederatedIdentity:
        with self._open().store.read() as connection:
            return identities.get_federated_identity(
                connection, call.organisation.identity, call.path["identity"]
            )

    def _require_reach(self, call: Call, draft: identities.IdentityDraft) -> None:
        """Check that the caller may do all that whoever comes with such a token could do."""
        with self._open().store.read() as connection:
            reach = _load_reach(connection, call.organisation.identity, draft.service_account)
            require_grantable(call.rights, reach.rules)


def _load_reach(connection: Connection, organisation: str, account: str) -> Rights:
    try:
        found = get_service_account(connection, organisation, account)
    except ObjectUnknown as error:
        raise InvalidValue("serviceAccountIdentity", "is no service account of the organisation") from error
    return load_account_rights(connection, organisation, found)


def render_provider(provider: providers.IdentityProvider) -> dict[str, JsonValue]:
    """Give a provider."""
    body = render_described(provider.record)
    body["providerIssuer"] = provider.issuer
    if provider.jwks_uri:
        body["providerJwksUri"] = provider.jwks_uri
    if provider.local_jwks:
        body["localJwks"] = cast("JsonValue", json.loads(provider.local_jwks))
    body["status"] = provider.status.value
    return body


def render_identity(identity: identities.FederatedIdentity) -> dict[str, JsonValue]:
    """Give a federated identity."""
    draft = identity.draft
    body = render_described(identity.record)
    body |= {
        "serviceAccountIdentity": draft.service_account,
        "providerIdentity": draft.provider,
        "providerSubject": draft.subject,
        "trustedAudiences": list(draft.audiences),
        "audienceMatchMode": draft.audience_mode.value,
        "allowedScopes": list(draft.scopes),
        "status": draft.status.value,
    }
    if draft.expires_at is not None:
        body["expiresAt"] = format_optional_time(draft.expires_at)
    if draft.conditions:
        body["conditions"] = dict(draft.conditions)
    return body


def _dump(key_set: dict[str, AnyJson] | None) -> str:
    return "" if key_set is None else json.dumps(key_set, ensure_ascii=False)


def list_federation_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls."""
    provider_calls = _ProviderCalls(open_platform)
    identity_calls = _IdentityCalls(open_platform)
    endpoints: list[Endpoint] = []
    for root, parameter, calls, word, noun, kind, request, response in (
        (
            PROVIDERS,
            "provider",
            provider_calls,
            "FederatedIdentityProvider",
            "federated identity provider",
            providers.RESOURCE_TYPE,
            ProviderRequest,
            ProviderBody,
        ),
        (
            IDENTITIES,
            "identity",
            identity_calls,
            "FederatedIdentity",
            "federated identity",
            identities.RESOURCE_TYPE,
            IdentityRequest,
            IdentityBody,
        ),
    ):
        one = f"{root}/{{{parameter}}}"
        endpoints += [
            Endpoint(
                "GET",
                root,
                calls.list,
                action=f"iam:List{word}",
                summary=f"Each {noun} of the organisation",
                scope=ORGANISATION,
                response=GenericAlias(list, (response,)),
                statuses=(200, 403),
            ),
            Endpoint(
                "POST",
                root,
                calls.create,
                action=f"iam:Create{word}",
                summary=f"Make a {noun}",
                scope=ORGANISATION,
                request=request,
                response=response,
                statuses=(201, 400, 403, 409),
            ),
            Endpoint(
                "GET",
                one,
                calls.get,
                action=f"iam:Read{word}",
                summary=f"One {noun}",
                scope=ORGANISATION,
                resource_type=kind,
                response=response,
                statuses=(200, 403, 404),
            ),
            Endpoint(
                "PUT",
                one,
                calls.update,
                action=f"iam:Update{word}",
                summary=f"Change a {noun}",
                scope=ORGANISATION,
                resource_type=kind,
                request=request,
                response=response,
                statuses=(200, 400, 403, 404, 409),
            ),
            Endpoint(
                "DELETE",
                one,
                calls.delete,
                action=f"iam:Delete{word}",
                summary=f"Delete a {noun}",
                scope=ORGANISATION,
                resource_type=kind,
                statuses=(204, 400, 403, 404),
            ),
        ]
    return endpoints
