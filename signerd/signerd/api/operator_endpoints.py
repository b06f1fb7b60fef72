"""`/v1/organisations` and `/v1/users`: for the operator of the deployment; an extension."""

from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.iam_views import OrganisationBody, UserBody, render_user
from signerd.api.platform_backend import DescriptionBody, OpenPlatform, render_described
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import PERSONAL, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.change import Change
from signerd.platform.contents import count_organisation_contents
from signerd.platform.described import Description
from signerd.platform.errors import ObjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.membership import Role, add_membership
from signerd.platform.operator_right import require_operator
from signerd.platform.organisation import (
    create_organisation,
    get_organisation,
    list_gates,
    list_organisations,
    set_gate,
    update_organisation,
)
from signerd.platform.principal import Organisation
from signerd.platform.removal import delete_organisation, delete_user
from signerd.platform.user import create_user, list_users

ORGANISATIONS: Final = "/v1/organisations"
USERS: Final = "/v1/users"


class NewOrganisationRequest(DescriptionBody):
    """An organisation to make; its owner is the caller if none is named, or else the first operator."""

    owner_identity: str | None = None
    gates: list[Gate] | None = None


class GateRequest(WireModel):
    """Whether a feature is to be on."""

    enabled: bool


class GateBody(WireModel):
    """A feature."""

    gate: str
    enabled: bool


class NewUserRequest(WireModel):
    """A user to make."""

    name: str
    email: str | None = None
    operator: bool | None = None


class _OperatorCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list_organisations(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        with self._open().store.read() as connection:
            found = list_organisations(connection)
        return Reply(
            body=[
                render_described(organisation)
                for organisation in select_matching(call.query, found, lambda organisation: organisation)
            ]
        )

    def get_organisation(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        return Reply(body=render_described(self._find(call)))

    def create_organisation(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        request = call.read(NewOrganisationRequest)
        gates = list(Gate) if request.gates is None else request.gates

        def make(change: Change) -> Organisation:
            operators = [user.subject for user in list_users(change.connection) if user.is_operator]
            caller = call.principal.identity
            owner = request.owner_identity or (caller if caller in operators else operators[0])
            organisation = create_organisation(change, request.describe(), gates)
            add_membership(change, organisation.identity, owner, Role.OWNER)
            return organisation

        return Reply(201, render_described(self._open().change(call, make)))

    def update_organisation(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        current = self._find(call)
        stated = Description(current.name, current.description, current.labels, current.annotations)
        description = call.read(DescriptionBody).revise(stated)
        changed = self._open().change(
            call, lambda change: update_organisation(change, current.identity, description)
        )
        return Reply(body=render_described(changed))

    def delete_organisation(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        backend = self._open()
        identity, home = call.path["organisation"], backend.home[0]
        backend.change(
            call, lambda change: delete_organisation(change, identity, home, count_organisation_contents)
        )
        return Reply(204)

    def delete_user(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        subject, caller = call.path["user"], call.principal.identity
        self._open().change(call, lambda change: delete_user(change, subject, caller=caller))
        return Reply(204)

    def list_gates(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        organisation = self._find(call)
        with self._open().store.read() as connection:
            gates = list_gates(connection, organisation.identity)
        return Reply(body=[_render_gate(gate, is_on) for gate, is_on in gates.items()])

    def set_gate(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        organisation = self._find(call)
        if call.path["gate"] not in list(Gate):
            raise ObjectUnknown("feature")
        gate, is_on = Gate(call.path["gate"]), call.read(GateRequest).enabled
        self._open().change(call, lambda change: set_gate(change, organisation.identity, gate, is_on))
        return Reply(body=_render_gate(gate, is_on))

    def list_users(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        with self._open().store.read() as connection:
            return Reply(body=[render_user(user) for user in list_users(connection)])

    def create_user(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        request = call.read(NewUserRequest)
        user = self._open().change(
            call,
            lambda change: create_user(
                change, name=request.name, email=request.email or "", is_operator=bool(request.operator)
            ),
        )
        return Reply(201, render_user(user))

    def _find(self, call: Call) -> Organisation:
        with self._open().store.read() as connection:
            return get_organisation(connection, call.path["organisation"])


def _render_gate(gate: Gate, is_on: bool) -> dict[str, JsonValue]:
    return {"gate": gate.value, "enabled": is_on}


def list_operator_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls."""
    calls = _OperatorCalls(open_platform)
    one = f"{ORGANISATIONS}/{{organisation}}"
    return [
        Endpoint(
            "GET",
            ORGANISATIONS,
            calls.list_organisations,
            action="organisation:List",
            summary="All organisations; for the operator",
            scope=PERSONAL,
            response=GenericAlias(list, (OrganisationBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            ORGANISATIONS,
            calls.create_organisation,
            action="organisation:Create",
            summary="Make an organisation; for the operator",
            scope=PERSONAL,
            request=NewOrganisationRequest,
            response=OrganisationBody,
            statuses=(201, 400, 403, 404, 409),
        ),
        Endpoint(
            "GET",
            one,
            calls.get_organisation,
            action="organisation:Read",
            summary="One organisation; for the operator",
            scope=PERSONAL,
            response=OrganisationBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            one,
            calls.update_organisation,
            action="organisation:Update",
            summary="Change what is said of an organisation; for the operator",
            scope=PERSONAL,
            request=DescriptionBody,
            response=OrganisationBody,
            statuses=(200, 400, 403, 404),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.delete_organisation,
            action="organisation:Delete",
            summary="Delete an organisation that has no keys, secrets and zones; for the operator",
            scope=PERSONAL,
            statuses=(204, 400, 403, 404),
        ),
        Endpoint(
            "DELETE",
            f"{USERS}/{{user}}",
            calls.delete_user,
            action="user:Delete",
            summary="Delete a user; for the operator",
            scope=PERSONAL,
            statuses=(204, 400, 403, 404, 409),
        ),
        Endpoint(
            "GET",
            f"{one}/gates",
            calls.list_gates,
            action="organisation:ListGates",
            summary="Which features an organisation has; for the operator",
            scope=PERSONAL,
            response=GenericAlias(list, (GateBody,)),
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            f"{one}/gates/{{gate}}",
            calls.set_gate,
            action="organisation:SetGate",
            summary="Switch a feature on or off; for the operator",
            scope=PERSONAL,
            request=GateRequest,
            response=GateBody,
            statuses=(200, 400, 403, 404),
        ),
        Endpoint(
            "GET",
            USERS,
            calls.list_users,
            action="user:List",
            summary="All users; for the operator",
            scope=PERSONAL,
            response=GenericAlias(list, (UserBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            USERS,
            calls.create_user,
            action="user:Create",
            summary="Make a user; for the operator",
            scope=PERSONAL,
            request=NewUserRequest,
            response=UserBody,
            statuses=(201, 400, 403),
        ),
    ]
