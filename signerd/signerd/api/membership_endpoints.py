"""Who belongs to the organisation, and where the caller belongs."""

from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.iam_views import MembershipBody, render_membership
from signerd.api.platform_backend import OpenPlatform, render_described
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, PERSONAL, Endpoint
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.platform.effective_rights import require_grantable
from signerd.platform.errors import ObjectUnknown
from signerd.platform.membership import (
    NOUN,
    Role,
    add_membership,
    get_membership,
    list_memberships,
    list_memberships_of,
    remove_membership,
    set_role,
)
from signerd.platform.organisation import get_organisation
from signerd.platform.principal import PrincipalKind
from signerd.platform.rights import GRANT_EVERYTHING
from signerd.platform.service_account import get_service_account

ROOT: Final = "/v1/memberships"


class NewMembershipRequest(WireModel):
    """Who is to become a member."""

    user_identity: str
    role: Role = Role.MEMBER


class RoleRequest(WireModel):
    """What a member is to be."""

    role: Role


class _MembershipCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        call.rights.require(NOUN, "list")
        with self._open().store.read() as connection:
            members = list_memberships(connection, call.organisation.identity)
        wanted = call.query.first("identity")
        return Reply(
            body=[render_membership(member) for member in members if wanted in (None, member.identity)]
        )

    def add(self, call: Call) -> Reply:
        call.rights.require(NOUN, "create")
        request = call.read(NewMembershipRequest)
        if request.role is Role.OWNER:
            require_grantable(call.rights, [GRANT_EVERYTHING])
        member = self._open().change(
            call,
            lambda change: add_membership(
                change, call.organisation.identity, request.user_identity, request.role
            ),
        )
        return Reply(201, render_membership(member))

    def get(self, call: Call) -> Reply:
        call.rights.require(NOUN, "read")
        with self._open().store.read() as connection:
            member = get_membership(connection, call.organisation.identity, call.path["membership"])
        return Reply(body=render_membership(member))

    def set_role(self, call: Call) -> Reply:
        call.rights.require(NOUN, "update")
        with self._open().store.read() as connection:
            current = get_membership(connection, call.organisation.identity, call.path["membership"])
        request = call.read(RoleRequest)
        if Role.OWNER in (request.role, current.role):  # only an equal makes or unmakes an owner
            require_grantable(call.rights, [GRANT_EVERYTHING])
        member = self._open().change(
            call,
            lambda change: set_role(change, call.organisation.identity, current.identity, request.role),
        )
        return Reply(body=render_membership(member))

    def remove(self, call: Call) -> Reply:
        call.rights.require(NOUN, "delete")
        with self._open().store.read() as connection:
            current = get_membership(connection, call.organisation.identity, call.path["membership"])
        call.read_empty()
        if current.role is Role.OWNER:
            require_grantable(call.rights, [GRANT_EVERYTHING])
        self._open().change(
            call, lambda change: remove_membership(change, call.organisation.identity, current.identity)
        )
        return Reply(204)

    def list_own(self, call: Call) -> Reply:
        """List where the caller belongs, and where the credential may be used."""
        with self._open().store.read() as connection:
            if call.principal.kind is PrincipalKind.SERVICE_ACCOUNT:
                assert call.credential.organisation is not None  # noqa: S101  # service accounts live in one
                organisation = get_organisation(connection, call.credential.organisation)
                try:
                    account = get_service_account(
                        connection, organisation.identity, call.principal.identity
                    ).record
                except ObjectUnknown:
                    return Reply(body=[])
                only: dict[str, JsonValue] = {
                    "identity": account.identity,
                    "createdAt": format_time(account.created_at),
                    "organisation": render_described(organisation),
                    "role": Role.MEMBER.value,
                }
                return Reply(body=[only])
            return Reply(
                body=[
                    render_membership(member, get_organisation(connection, member.organisation))
                    for member in list_memberships_of(connection, call.principal.identity)
                    if call.credential.organisation in (None, member.organisation)
                ]
            )


def list_membership_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls; adding a member and showing one go beyond what the vendor's client knows."""
    calls = _MembershipCalls(open_platform)
    one = f"{ROOT}/{{membership}}"
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="iam:ListMemberships",
            summary="The members of the organisation",
            scope=ORGANISATION,
            response=GenericAlias(list, (MembershipBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.add,
            action="iam:CreateMembership",
            summary="Make a user a member",
            scope=ORGANISATION,
            request=NewMembershipRequest,
            response=MembershipBody,
            statuses=(201, 400, 403, 404, 409),
        ),
        Endpoint(
            "GET",
            one,
            calls.get,
            action="iam:ReadMembership",
            summary="One member",
            scope=ORGANISATION,
            resource_type=NOUN,
            response=MembershipBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            one,
            calls.set_role,
            action="iam:UpdateMembership",
            summary="Make a member an owner, or an owner a member",
            scope=ORGANISATION,
            resource_type=NOUN,
            request=RoleRequest,
            response=MembershipBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.remove,
            action="iam:DeleteMembership",
            summary="End a membership",
            scope=ORGANISATION,
            resource_type=NOUN,
            statuses=(204, 403, 404, 409),
        ),
        Endpoint(
            "GET",
            "/v1/me/organisation-memberships",
            calls.list_own,
            action="iam:ListOwnMemberships",
            summary="The organisations that the caller belongs to",
            scope=PERSONAL,
            response=GenericAlias(list, (MembershipBody,)),
            statuses=(200,),
        ),
    ]
