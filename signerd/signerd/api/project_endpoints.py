"""`/v1/projects`, and what policies and members of one are made of."""

from types import GenericAlias
from typing import Final

from sqlalchemy import Connection

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.iam_views import (
    ReferenceBody,
    ServiceAccountBody,
    UserBody,
    render_service_account,
    render_user,
)
from signerd.api.platform_backend import DescribedBody, DescriptionBody, OpenPlatform, render_described
from signerd.api.policy_endpoints import POLICIES, find_project_place
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.effective_rights import can_see_project, load_rights
from signerd.platform.errors import ProjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.policy import Place, list_policies
from signerd.platform.policy_binding import Binding, list_bindings
from signerd.platform.principal import Project, scope_of_method
from signerd.platform.project import (
    NOUN,
    create_project,
    delete_project,
    get_project,
    list_projects,
    state_description,
    update_project,
)
from signerd.platform.rights import IAM_POLICY, RESOURCE_TYPES

ROOT: Final = "/v1/projects"


class ProjectBody(DescribedBody):
    """A project."""

    parent_project: ReferenceBody | None = None


class ProjectRequest(DescriptionBody):
    """A project to make or change; an empty parent clears it."""

    parent_project_identity: str | None = None


class ProjectAccessBody(WireModel):
    """One binding that gives access to a project."""

    source: str
    binding_identity: str
    binding_name: str
    policy_identity: str
    policy_name: str
    policy_slug: str


class ProjectMemberBody(WireModel):
    """Who has access to a project, and by what."""

    user: UserBody | None = None
    service_account: ServiceAccountBody | None = None
    bindings: list[ProjectAccessBody]


class _ProjectCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        """List the projects in which the caller has any right."""
        organisation = call.organisation.identity
        with self._open().store.read() as connection:
            visible = [
                project
                for project in list_projects(connection, organisation)
                if _is_visible(connection, call, project)
            ]
        return Reply(
            body=[
                render_project(project)
                for project in select_matching(call.query, visible, lambda project: project)
            ]
        )

    def get(self, call: Call) -> Reply:
        return Reply(body=render_project(self._find(call, None)))

    def create(self, call: Call) -> Reply:
        call.rights.require(NOUN, "create")
        request = call.read(ProjectRequest)
        project = self._open().change(
            call,
            lambda change: create_project(
                change,
                call.organisation.identity,
                request.describe(),
                parent=request.parent_project_identity,
                creator=call.principal,
            ),
        )
        return Reply(201, render_project(project))

    def update(self, call: Call) -> Reply:
        current = self._find(call, "update")
        request = call.read(ProjectRequest)
        description = request.revise(state_description(current))
        project = self._open().change(
            call,
            lambda change: update_project(
                change,
                call.organisation.identity,
                current.identity,
                description,
                parent=request.parent_project_identity,
            ),
        )
        return Reply(body=render_project(project))

    def delete(self, call: Call) -> Reply:
        project = self._find(call, "delete")
        call.read_empty()
        backend = self._open()
        backend.change(
            call,
            lambda change: delete_project(
                change, call.organisation.identity, project.identity, backend.count_contents
            ),
        )
        return Reply(204)

    def list_resource_types(self, call: Call) -> Reply:
        """List the types that rules can name."""
        find_project_place(call)
        call.rights.require(IAM_POLICY, "list")
        return Reply(body=list(RESOURCE_TYPES))

    def list_members(self, call: Call) -> Reply:
        """List who is bound to roles of the organisation and policies of the project."""
        place = find_project_place(call)
        call.rights.require(IAM_POLICY, "list")
        members: dict[str, dict[str, JsonValue]] = {}
        access: dict[str, list[JsonValue]] = {}
        with self._open().store.read() as connection:
            for source, where in (("organisation_role", Place(place.organisation)), ("iam_policy", place)):
                policies = {policy.record.identity: policy for policy in list_policies(connection, where)}
                for identity, bindings in list_bindings(
                    connection, place.organisation, list(policies)
                ).items():
                    record = policies[identity].record
                    for binding in bindings:
                        entry: JsonValue = {
                            "source": source,
                            "bindingIdentity": binding.record.identity,
                            "bindingName": binding.record.name,
                            "policyIdentity": record.identity,
                            "policyName": record.name,
                            "policySlug": record.slug,
                        }
                        for key, body in _list_principals(binding).items():
                            members.setdefault(key, body)
                            access.setdefault(key, []).append(entry)
        return Reply(body=[{**members[key], "bindings": access[key]} for key in sorted(members)])

    def _find(self, call: Call, verb: str | None) -> Project:
        """Find a project that the caller may see, and check a right in it."""
        organisation = call.organisation.identity
        needed = scope_of_method("GET" if verb is None else "PUT")
        with self._open().store.read() as connection:
            project = get_project(connection, organisation, call.path["project"])
            if not _is_visible(connection, call, project):
                raise ProjectUnknown
            if verb is not None:
                inside = load_rights(connection, call.principal, organisation, project.identity, needed)
                call.rights.joined(inside.rules).require(NOUN, verb, project.identity)
        return project


def _is_visible(connection: Connection, call: Call, project: Project) -> bool:
    """Say if the caller has any right in a project, and the credential is not for another."""
    if call.credential.project not in (None, project.identity):
        return False
    return call.rights.allows(NOUN, "read", project.identity) or can_see_project(
        connection, call.principal, project.organisation, project.identity
    )


def render_project(project: Project) -> dict[str, JsonValue]:
    """Give a project."""
    body = render_described(project)
    if project.parent is not None:
        parent = project.parent
        body["parentProject"] = {"identity": parent.identity, "name": parent.name, "slug": parent.slug}
    return body


def _list_principals(binding: Binding) -> dict[str, dict[str, JsonValue]]:
    """Give whom a binding reaches: members of a team each on their own."""
    if binding.service_account is not None:
        account = binding.service_account
        return {account.record.identity: {"serviceAccount": render_service_account(account)}}
    people = [binding.user] if binding.user is not None else []
    if binding.team is not None:
        people = [member.user for member in binding.team.members]
    return {user.subject: {"user": render_user(user)} for user in people}


def list_project_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls."""
    calls = _ProjectCalls(open_platform)
    gates = (Gate.PROJECTS,)
    one = f"{ROOT}/{{project}}"
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="project:List",
            summary="The projects that the caller may see",
            gates=gates,
            scope=ORGANISATION,
            response=GenericAlias(list, (ProjectBody,)),
            statuses=(200,),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.create,
            action="project:Create",
            summary="Make a project",
            gates=gates,
            scope=ORGANISATION,
            request=ProjectRequest,
            response=ProjectBody,
            statuses=(201, 400, 403, 409),
        ),
        Endpoint(
            "GET",
            one,
            calls.get,
            action="project:Read",
            summary="One project",
            gates=gates,
            scope=ORGANISATION,
            resource_type=NOUN,
            response=ProjectBody,
            statuses=(200, 404),
        ),
        Endpoint(
            "PUT",
            one,
            calls.update,
            action="project:Update",
            summary="Change a project",
            gates=gates,
            scope=ORGANISATION,
            resource_type=NOUN,
            request=ProjectRequest,
            response=ProjectBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.delete,
            action="project:Delete",
            summary="Delete an empty project",
            gates=gates,
            scope=ORGANISATION,
            resource_type=NOUN,
            statuses=(204, 400, 403, 404),
        ),
        Endpoint(
            "GET",
            f"{POLICIES}/resources",
            calls.list_resource_types,
            action="iam:ListResourceTypes",
            summary="The types that rules can name",
            gates=gates,
            response=GenericAlias(list, (str,)),
            statuses=(200, 400, 403),
        ),
        Endpoint(
            "GET",
            f"{POLICIES}/members",
            calls.list_members,
            action="iam:ListProjectMembers",
            summary="Who has access to the project, and by what",
            gates=gates,
            response=GenericAlias(list, (ProjectMemberBody,)),
            statuses=(200, 400, 403),
        ),
    ]
