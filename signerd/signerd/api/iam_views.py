"""Answers about users, teams, service accounts, roles and policies: bodies and how they are made."""

import json
from collections.abc import Sequence
from typing import cast

from signerd.api.platform_backend import DescribedBody, render_described
from signerd.api.reply import JsonValue
from signerd.api.timestamp import format_optional_time, format_time
from signerd.api.wire import WireModel
from signerd.platform.access_credential import AccessCredential
from signerd.platform.membership import Membership
from signerd.platform.policy import Policy
from signerd.platform.policy_binding import Binding
from signerd.platform.policy_rule import PolicyRule
from signerd.platform.principal import Organisation, Project
from signerd.platform.service_account import ServiceAccount
from signerd.platform.team import Team, TeamMember
from signerd.platform.user import User

Rendered = dict[str, JsonValue]


class ReferenceBody(WireModel):
    """What is shown of an object inside another."""

    identity: str
    name: str
    slug: str


class OrganisationBody(DescribedBody):
    """An organisation."""


class UserBody(WireModel):
    """A user."""

    subject: str
    name: str
    email: str
    created_at: str


class TeamMemberBody(WireModel):
    """A user in a team."""

    identity: str
    role: str
    user: UserBody
    created_at: str


class TeamBody(DescribedBody):
    """A team."""

    members: list[TeamMemberBody]


class RuleBody(WireModel):
    """A rule of a role or policy."""

    identity: str
    resources: list[str]
    resource_identities: list[str]
    permissions: list[str]
    note: str


class ServiceAccountBody(DescribedBody):
    """A service account; its bindings only where it is asked for alone."""

    organisation: OrganisationBody | None = None
    created_by: UserBody | None = None
    role_bindings: "list[BindingBody] | None" = None


class BindingBody(DescribedBody):
    """To whom a role or policy is bound."""

    organisation_role: ReferenceBody | None = None
    user: UserBody | None = None
    team: TeamBody | None = None
    service_account: ServiceAccountBody | None = None
    scopes: list[str]


class RoleBody(DescribedBody):
    """A role of an organisation."""

    is_read_only: bool
    system: bool
    organisation: OrganisationBody | None = None
    rules: list[RuleBody]
    bindings: list[BindingBody]


class PolicyBody(DescribedBody):
    """An IAM policy of a project."""

    is_read_only: bool
    system: bool
    organisation: OrganisationBody | None = None
    project: ReferenceBody | None = None
    replicate_to_children: bool
    conditionals: dict[str, list[dict[str, object]]]
    rules: list[RuleBody]
    bindings: list[BindingBody]


class AccessCredentialBody(WireModel):
    """An access credential, without its secret."""

    identity: str
    name: str
    description: str
    created_at: str
    last_used_at: str | None = None
    expires_at: str | None = None
    access_key: str
    scopes: list[str]


class NewAccessCredentialBody(WireModel):
    """An access credential with its secret, shown once."""

    access_key: str
    access_secret: str
    identity: str
    scopes: list[str]


class MembershipBody(WireModel):
    """A user in an organisation."""

    identity: str
    created_at: str
    organisation: OrganisationBody | None = None
    user: UserBody | None = None
    role: str


def render_user(user: User) -> Rendered:
    """Give a user."""
    return {
        "subject": user.subject,
        "name": user.name,
        "email": user.email,
        "createdAt": format_time(user.created_at),
    }


def render_member(member: TeamMember) -> Rendered:
    """Give a user's place in a team."""
    return {
        "identity": member.identity,
        "role": member.role,
        "user": render_user(member.user),
        "createdAt": format_time(member.created_at),
    }


def render_team(team: Team) -> Rendered:
    """Give a team with its members."""
    return {**render_described(team.record), "members": [render_member(member) for member in team.members]}


def render_service_account(
    account: ServiceAccount,
    organisation: Organisation | None = None,
    bindings: Sequence[Binding] | None = None,
) -> Rendered:
    """Give a service account; what is None is left out."""
    body = render_described(account.record)
    if organisation is not None:
        body["organisation"] = render_described(organisation)
    if account.created_by is not None:
        body["createdBy"] = render_user(account.created_by)
    if bindings is not None:
        body["roleBindings"] = [render_binding(binding) for binding in bindings]
    return body


def render_rule(rule: PolicyRule) -> Rendered:
    """Give a rule."""
    return {
        "identity": rule.identity,
        "resources": list(rule.resources),
        "resourceIdentities": list(rule.resource_identities),
        "permissions": list(rule.permissions),
        "note": rule.note,
    }


def render_binding(binding: Binding, policy: Policy | None = None) -> Rendered:
    """Give a binding; with its role, if given and one of an organisation."""
    body = render_described(binding.record)
    if policy is not None and policy.place.project is None:
        record = policy.record
        body["organisationRole"] = {**render_described(record), "system": policy.is_system}
    if binding.user is not None:
        body["user"] = render_user(binding.user)
    if binding.team is not None:
        body["team"] = render_team(binding.team)
    if binding.service_account is not None:
        body["serviceAccount"] = render_service_account(binding.service_account)
    body["scopes"] = list(binding.scopes)
    return body


def render_policy(
    policy: Policy, bindings: Sequence[Binding], organisation: Organisation, project: Project | None
) -> Rendered:
    """Give a role, or an IAM policy if it belongs to a project."""
    body: Rendered = {
        **render_described(policy.record),
        "isReadOnly": policy.is_read_only,
        "system": policy.is_system,
        "organisation": render_described(organisation),
        "rules": [render_rule(rule) for rule in policy.rules],
        "bindings": [render_binding(binding) for binding in bindings],
    }
    if project is not None:
        stored = cast("dict[str, JsonValue]", json.loads(policy.conditionals))
        body["replicateToChildren"] = policy.replicate_to_children
        body["project"] = {"identity": project.identity, "name": project.name, "slug": project.slug}
        body["conditionals"] = {"allowed": stored.get("allowed", []), "denied": stored.get("denied", [])}
    return body


def render_access_credential(credential: AccessCredential) -> Rendered:
    """Give an access credential without its secret."""
    body: Rendered = {
        "identity": credential.identity,
        "name": credential.name,
        "description": credential.description,
        "createdAt": format_time(credential.created_at),
        "lastUsedAt": format_optional_time(credential.last_used_on),
        "expiresAt": format_optional_time(credential.expires_at),
        "accessKey": credential.access_key,
        "scopes": list(credential.scopes),
    }
    return {name: value for name, value in body.items() if value is not None}


def render_membership(membership: Membership, organisation: Organisation | None = None) -> Rendered:
    """Give a membership, with the organisation if given."""
    body: Rendered = {
        "identity": membership.identity,
        "createdAt": format_time(membership.created_at),
        "user": render_user(membership.user),
        "role": membership.role.value,
    }
    if organisation is not None:
        body["organisation"] = render_described(organisation)
    return body
