"""`/v1/iam/roles` and `/v1/projects/iam/policies`: the same calls for an organisation and for a project."""

import ipaddress
import json
from collections.abc import Callable
from types import GenericAlias
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from signerd.api.call import Call
from signerd.api.errors import MalformedRequest
from signerd.api.filters import select_matching
from signerd.api.iam_views import (
    BindingBody,
    PolicyBody,
    RoleBody,
    RuleBody,
    render_binding,
    render_policy,
    render_rule,
)
from signerd.api.platform_backend import DescriptionBody, OpenPlatform
from signerd.api.reply import Reply
from signerd.api.route import ORGANISATION, RESOURCE, Endpoint, ScopeRule
from signerd.api.wire import WireModel
from signerd.platform.effective_rights import require_grantable
from signerd.platform.gate import Gate
from signerd.platform.policy import (
    Place,
    Policy,
    PolicyDraft,
    add_rule,
    create_policy,
    delete_policy,
    get_policy,
    list_policies,
    remove_rule,
    update_policy,
)
from signerd.platform.policy_binding import (
    BindingDraft,
    add_binding,
    list_bindings,
    remove_binding,
    update_binding,
)
from signerd.platform.policy_rule import RuleDraft, check_rule

ROLES: Final = "/v1/iam/roles"
POLICIES: Final = "/v1/projects/iam/policies"


class RuleRequest(WireModel):
    """A rule to add."""

    resources: list[str] | None = None
    resource_identities: list[str] | None = None
    permissions: list[str] | None = None
    note: str | None = None

    def draft(self) -> RuleDraft:
        """Give the form of the platform."""
        return RuleDraft(
            tuple(self.resources or ()),
            tuple(self.permissions or ()),
            tuple(self.resource_identities or ()),
            self.note or "",
        )


class HoursBody(WireModel):
    """A span of the day."""

    start_hour: Annotated[int, Field(ge=0, le=23)] = 0
    end_hour: Annotated[int, Field(ge=0, le=24)] = 24
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is no known time zone") from error
        return name


class ConditionBody(WireModel):
    """A condition of a policy."""

    type: Literal["ip", "time"]
    ips: list[str] | None = None
    time: HoursBody | None = None

    @field_validator("ips")
    @classmethod
    def _check_networks(cls, networks: list[str] | None) -> list[str] | None:
        for network in networks or ():
            ipaddress.ip_network(network, strict=False)
        return networks


class ConditionalsBody(WireModel):
    """Conditions under which a policy is meant to hold: kept and shown, not enforced."""

    allowed: list[ConditionBody] | None = None
    denied: list[ConditionBody] | None = None

    def dump(self) -> str:
        """Give the stored form."""
        return json.dumps(
            {
                "allowed": [condition.render() for condition in self.allowed or ()],
                "denied": [condition.render() for condition in self.denied or ()],
            },
            sort_keys=True,
        )


class PolicyRequest(DescriptionBody):
    """A role or policy to make or change; the last three are for policies of projects."""

    replicate_to_children: bool | None = None
    conditionals: ConditionalsBody | None = None
    rules: list[RuleRequest] | None = None


class BindingRequest(DescriptionBody):
    """A binding to make."""

    user_identity: str | None = None
    team_identity: str | None = None
    service_account_identity: str | None = None
    scopes: list[str] | None = None


class _PolicyCalls:
    """The calls on the policies of one kind of place."""

    def __init__(self, open_platform: OpenPlatform, find_place: Callable[[Call], Place]) -> None:
        self._open = open_platform
        self._find_place = find_place

    def list(self, call: Call) -> Reply:
        """List them."""
        place = self._enter(call, "list")
        with self._open().store.read() as connection:
            policies = list_policies(connection, place)
            bindings = list_bindings(
                connection, place.organisation, [policy.record.identity for policy in policies]
            )
        found = select_matching(call.query, policies, lambda policy: policy.record)
        return Reply(
            body=[
                render_policy(
                    policy, bindings.get(policy.record.identity, ()), call.organisation, call.project
                )
                for policy in found
            ]
        )

    def get(self, call: Call) -> Reply:
        """Show one."""
        place = self._enter(call, "read")
        with self._open().store.read() as connection:
            policy = get_policy(connection, place, call.path["policy"])
        return self._reply(call, policy)

    def create(self, call: Call) -> Reply:
        """Make one."""
        place = self._enter(call, "create")
        request = call.read(PolicyRequest)
        rules = [rule.draft() for rule in request.rules or ()]
        for rule in rules:
            check_rule(rule)
        require_grantable(call.rights, [rule.rule for rule in rules])
        draft = PolicyDraft(
            request.describe(),
            place.project is not None and bool(request.replicate_to_children),
            "{}" if request.conditionals is None else request.conditionals.dump(),
            rules,
        )
        policy = self._open().change(call, lambda change: create_policy(change, place, draft))
        return self._reply(call, policy, 201)

    def update(self, call: Call) -> Reply:
        """Change one."""
        place = self._enter(call, "update")
        with self._open().store.read() as connection:
            current = get_policy(connection, place, call.path["policy"])
        request = call.read(PolicyRequest)
        draft = PolicyDraft(
            request.revise(current.record.stated),
            current.replicate_to_children
            if request.replicate_to_children is None
            else request.replicate_to_children,
            current.conditionals if request.conditionals is None else request.conditionals.dump(),
        )
        if draft.replicate_to_children and not current.replicate_to_children:
            require_grantable(call.rights, [rule.rule for rule in current.rules])
        identity = current.record.identity
        policy = self._open().change(call, lambda change: update_policy(change, place, identity, draft))
        return self._reply(call, policy)

    def delete(self, call: Call) -> Reply:
        """Delete one."""
        place = self._enter(call, "delete")
        call.read_empty()
        self._open().change(call, lambda change: delete_policy(change, place, call.path["policy"]))
        return Reply(204)

    def add_rule(self, call: Call) -> Reply:
        """Add a rule."""
        place = self._enter(call, "update")
        with self._open().store.read() as connection:
            policy = get_policy(connection, place, call.path["policy"])
        draft = call.read(RuleRequest).draft()
        check_rule(draft)
        require_grantable(call.rights, [draft.rule])
        rule = self._open().change(
            call, lambda change: add_rule(change, place, policy.record.identity, draft)
        )
        return Reply(201, render_rule(rule))

    def remove_rule(self, call: Call) -> Reply:
        """Take a rule out."""
        place = self._enter(call, "update")
        call.read_empty()
        self._open().change(
            call, lambda change: remove_rule(change, place, call.path["policy"], call.path["rule"])
        )
        return Reply(204)

    def list_bindings(self, call: Call) -> Reply:
        """List to whom it is bound."""
        place = self._enter(call, "read")
        with self._open().store.read() as connection:
            policy = get_policy(connection, place, call.path["policy"])
            bindings = list_bindings(connection, place.organisation, [policy.record.identity])
        found = select_matching(
            call.query, bindings.get(policy.record.identity, ()), lambda binding: binding.record
        )
        return Reply(body=[render_binding(binding, policy) for binding in found])

    def add_binding(self, call: Call) -> Reply:
        """Bind it to somebody."""
        place = self._enter(call, "update")
        with self._open().store.read() as connection:
            policy = get_policy(connection, place, call.path["policy"])
        request = call.read(BindingRequest)
        require_grantable(call.rights, [rule.rule for rule in policy.rules])
        draft = BindingDraft(
            request.describe(),
            request.user_identity or None,
            request.team_identity or None,
            request.service_account_identity or None,
            tuple(request.scopes or ()),
        )
        policy, binding = self._open().change(
            call, lambda change: add_binding(change, place, policy.record.identity, draft)
        )
        return Reply(201, render_binding(binding, policy))

    def update_binding(self, call: Call) -> Reply:
        """Change what is said of a binding."""
        place = self._enter(call, "update")
        request = call.read(DescriptionBody)
        policy, binding = self._open().change(
            call,
            lambda change: update_binding(
                change, place, call.path["policy"], call.path["binding"], request.revise
            ),
        )
        return Reply(body=render_binding(binding, policy))

    def remove_binding(self, call: Call) -> Reply:
        """Take it from somebody."""
        place = self._enter(call, "update")
        call.read_empty()
        self._open().change(
            call, lambda change: remove_binding(change, place, call.path["policy"], call.path["binding"])
        )
        return Reply(204)

    def _enter(self, call: Call, verb: str) -> Place:
        """Find the place and check the right there."""
        place = self._find_place(call)
        call.rights.require(place.resource_type, verb)
        return place

    def _reply(self, call: Call, policy: Policy, status: int = 200) -> Reply:
        with self._open().store.read() as connection:
            bindings = list_bindings(connection, policy.place.organisation, [policy.record.identity])
        body = render_policy(
            policy, bindings.get(policy.record.identity, ()), call.organisation, call.project
        )
        return Reply(status, body)


def list_role_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls on roles of an organisation."""
    calls = _PolicyCalls(open_platform, lambda call: Place(call.organisation.identity))
    return _list_endpoints(calls, ROLES, "role", RoleBody, ORGANISATION, ())


def list_policy_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls on IAM policies of a project."""
    calls = _PolicyCalls(open_platform, find_project_place)
    gates = (Gate.PROJECTS,)
    return [
        *_list_endpoints(calls, POLICIES, "policy", PolicyBody, RESOURCE, gates),
        Endpoint(
            "PUT",
            f"{POLICIES}/{{policy}}",
            calls.update,
            action="iam:UpdatePolicy",
            summary="Change a policy",
            gates=gates,
            resource_type="iam_policy",
            request=PolicyRequest,
            response=PolicyBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "PUT",
            f"{POLICIES}/{{policy}}/bindings/{{binding}}",
            calls.update_binding,
            action="iam:UpdatePolicyBinding",
            summary="Change what is said of a binding",
            gates=gates,
            resource_type="iam_policy_binding",
            request=DescriptionBody,
            response=BindingBody,
            statuses=(200, 400, 403, 404, 409),
        ),
    ]


def find_project_place(call: Call) -> Place:
    """Give the project of a call, which must name one.

    Raises:
        MalformedRequest: It names none.
    """
    if call.project is None:
        raise MalformedRequest("the header X-Project-Identity is missing")
    return Place(call.organisation.identity, call.project.identity)


def _list_endpoints(
    calls: _PolicyCalls,
    root: str,
    noun: str,
    body: type[WireModel],
    scope: ScopeRule,
    gates: tuple[Gate, ...],
) -> list[Endpoint]:
    """Give the calls that roles and policies have in common."""
    word = noun.capitalize()

    def make(
        method: str,
        path: str,
        handle: Callable[[Call], Reply],
        action: str,
        summary: str,
        statuses: tuple[int, ...],
        *,
        request: type[WireModel] | None = None,
        response: type[WireModel] | GenericAlias | None = None,
        resource_type: str | None = None,
    ) -> Endpoint:
        return Endpoint(
            method,
            root + path,
            handle,
            action=f"iam:{action}",
            summary=summary,
            gates=gates,
            scope=scope,
            resource_type=resource_type,
            request=request,
            response=response,
            statuses=statuses,
        )

    kind = f"iam_{noun}"
    one = "/{policy}"
    listed = GenericAlias(list, (body,))
    bindings = GenericAlias(list, (BindingBody,))
    return [
        make("GET", "", calls.list, f"List{word}s", f"The {noun} list", (200, 403), response=listed),
        make(
            "POST",
            "",
            calls.create,
            f"Create{word}",
            f"Make a {noun}",
            (201, 400, 403, 409),
            request=PolicyRequest,
            response=body,
        ),
        make(
            "GET",
            one,
            calls.get,
            f"Read{word}",
            f"One {noun}",
            (200, 403, 404),
            response=body,
            resource_type=kind,
        ),
        make(
            "DELETE",
            one,
            calls.delete,
            f"Delete{word}",
            f"Delete a {noun} with its bindings",
            (204, 403, 404, 409),
            resource_type=kind,
        ),
        make(
            "POST",
            f"{one}/rules",
            calls.add_rule,
            f"Add{word}Rule",
            f"Add a rule to a {noun}",
            (201, 400, 403, 404),
            request=RuleRequest,
            response=RuleBody,
            resource_type=kind,
        ),
        make(
            "DELETE",
            f"{one}/rules/{{rule}}",
            calls.remove_rule,
            f"Remove{word}Rule",
            f"Take a rule out of a {noun}",
            (204, 403, 404, 409),
            resource_type=f"{kind}_rule",
        ),
        make(
            "GET",
            f"{one}/bindings",
            calls.list_bindings,
            f"List{word}Bindings",
            f"To whom a {noun} is bound",
            (200, 403, 404),
            response=bindings,
            resource_type=kind,
        ),
        make(
            "POST",
            f"{one}/bindings",
            calls.add_binding,
            f"Add{word}Binding",
            f"Bind a {noun} to a user, a team or a service account",
            (201, 400, 403, 404, 409),
            request=BindingRequest,
            response=BindingBody,
            resource_type=kind,
        ),
        make(
            "DELETE",
            f"{one}/bindings/{{binding}}",
            calls.remove_binding,
            f"Remove{word}Binding",
            f"Take a {noun} from whom it is bound to",
            (204, 403, 404, 409),
            resource_type=f"{kind}_binding",
        ),
    ]
