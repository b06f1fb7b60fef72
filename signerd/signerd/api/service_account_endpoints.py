"""`/v1/service-accounts` and their access credentials."""

from types import GenericAlias
from typing import Final

from pydantic import AwareDatetime
from sqlalchemy import Connection

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.iam_views import (
    AccessCredentialBody,
    NewAccessCredentialBody,
    ServiceAccountBody,
    render_access_credential,
    render_service_account,
)
from signerd.api.platform_backend import DescriptionBody, OpenPlatform
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.access_credential import (
    create_access_credential,
    delete_access_credential,
    list_access_credentials,
)
from signerd.platform.effective_rights import load_all_rights, require_grantable
from signerd.platform.policy_binding import list_bindings_of_account
from signerd.platform.principal import Principal, PrincipalKind
from signerd.platform.rights import Rights
from signerd.platform.service_account import (
    RESOURCE_TYPE,
    ServiceAccount,
    create_service_account,
    delete_service_account,
    get_service_account,
    list_service_accounts,
    update_service_account,
)

ROOT: Final = "/v1/service-accounts"


class AccessCredentialRequest(WireModel):
    """An access credential to make."""

    name: str | None = None
    description: str | None = None
    expires_at: AwareDatetime | None = None
    scopes: list[str] | None = None


def load_account_rights(connection: Connection, organisation: str, account: ServiceAccount) -> Rights:
    """Give what a service account may do anywhere: who can act as it can do all of that."""
    principal = Principal(PrincipalKind.SERVICE_ACCOUNT, account.record.identity, account.record.name)
    return load_all_rights(connection, principal, organisation)


class _ServiceAccountCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "list")
        with self._open().store.read() as connection:
            accounts = list_service_accounts(connection, call.organisation.identity)
        found = select_matching(call.query, accounts, lambda account: account.record)
        return Reply(body=[render_service_account(account, call.organisation) for account in found])

    def get(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "read")
        return Reply(body=self._show(call, call.path["account"]))

    def create(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "create")
        description = call.read(DescriptionBody).describe()
        creator = call.principal.identity if call.principal.kind is PrincipalKind.USER else None
        account = self._open().change(
            call,
            lambda change: create_service_account(
                change, call.organisation.identity, description, creator=creator
            ),
        )
        return Reply(201, self._show(call, account.record.identity))

    def update(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "update")
        current = self._get(call)
        description = call.read(DescriptionBody).revise(current.record.stated)
        self._open().change(
            call,
            lambda change: update_service_account(
                change, call.organisation.identity, current.record.identity, description
            ),
        )
        return Reply(body=self._show(call, current.record.identity))

    def delete(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "delete")
        call.read_empty()
        self._open().change(
            call,
            lambda change: delete_service_account(change, call.organisation.identity, call.path["account"]),
        )
        return Reply(204)

    def list_credentials(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "read")
        account = self._get(call).record.identity
        with self._open().store.read() as connection:
            credentials = list_access_credentials(connection, call.organisation.identity, account)
        return Reply(body=[render_access_credential(credential) for credential in credentials])

    def create_credential(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "update")
        account = self._get(call)
        request = call.read(AccessCredentialRequest)
        with self._open().store.read() as connection:
            reach = load_account_rights(connection, call.organisation.identity, account)
        require_grantable(call.rights, reach.rules)
        backend = self._open()
        credential, secret = backend.change(
            call,
            lambda change: create_access_credential(
                change,
                backend.pepper,
                call.organisation.identity,
                account.record.identity,
                name=request.name or "",
                description=request.description or "",
                expires_at=None if request.expires_at is None else int(request.expires_at.timestamp()),
                scopes=request.scopes or (),
            ),
        )
        return Reply(
            201,
            {
                "accessKey": credential.access_key,
                "accessSecret": secret,
                "identity": credential.identity,
                "scopes": list(credential.scopes),
            },
        )

    def delete_credential(self, call: Call) -> Reply:
        call.rights.require(RESOURCE_TYPE, "update")
        call.read_empty()
        account = self._get(call).record.identity
        self._open().change(
            call,
            lambda change: delete_access_credential(
                change, call.organisation.identity, account, call.path["credential"]
            ),
        )
        return Reply(204)

    def _get(self, call: Call) -> ServiceAccount:
        with self._open().store.read() as connection:
            return get_service_account(connection, call.organisation.identity, call.path["account"])

    def _show(self, call: Call, identity: str) -> dict[str, JsonValue]:
        organisation = call.organisation.identity
        with self._open().store.read() as connection:
            account = get_service_account(connection, organisation, identity)
            bindings = list_bindings_of_account(connection, organisation, account.record.identity)
        return render_service_account(account, call.organisation, bindings)


def list_service_account_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls; those on credentials take the right to update the account."""
    calls = _ServiceAccountCalls(open_platform)
    one = f"{ROOT}/{{account}}"
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="iam:ListServiceAccounts",
            summary="The service accounts of the organisation",
            scope=ORGANISATION,
            response=GenericAlias(list, (ServiceAccountBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.create,
            action="iam:CreateServiceAccount",
            summary="Make a service account",
            scope=ORGANISATION,
            request=DescriptionBody,
            response=ServiceAccountBody,
            statuses=(201, 400, 403, 409),
        ),
        Endpoint(
            "GET",
            one,
            calls.get,
            action="iam:ReadServiceAccount",
            summary="One service account with its bindings",
            scope=ORGANISATION,
            resource_type=RESOURCE_TYPE,
            response=ServiceAccountBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            one,
            calls.update,
            action="iam:UpdateServiceAccount",
            summary="Change a service account",
            scope=ORGANISATION,
            resource_type=RESOURCE_TYPE,
            request=DescriptionBody,
            response=ServiceAccountBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.delete,
            action="iam:DeleteServiceAccount",
            summary="Delete a service account; its credentials and tokens end",
            scope=ORGANISATION,
            resource_type=RESOURCE_TYPE,
            statuses=(204, 403, 404),
        ),
        Endpoint(
            "GET",
            f"{one}/access-credentials",
            calls.list_credentials,
            action="iam:ListAccessCredentials",
            summary="The access credentials of a service account, without their secrets",
            scope=ORGANISATION,
            resource_type=RESOURCE_TYPE,
            response=GenericAlias(list, (AccessCredentialBody,)),
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "POST",
            f"{one}/access-credentials",
            calls.create_credential,
            action="iam:CreateAccessCredential",
            summary="Make an access credential; the secret is shown once",
            scope=ORGANISATION,
            resource_type=RESOURCE_TYPE,
            request=AccessCredentialRequest,
            response=NewAccessCredentialBody,
            statuses=(201, 400, 403, 404),
        ),
        Endpoint(
            "DELETE",
            f"{one}/access-credentials/{{credential}}",
            calls.delete_credential,
            action="iam:DeleteAccessCredential",
            summary="Delete an access credential; tokens issued for it end",
            scope=ORGANISATION,
            resource_type="access_credential",
            statuses=(204, 403, 404),
        ),
    ]
