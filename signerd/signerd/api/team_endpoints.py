"""`/v1/teams` and their members."""

from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.iam_views import TeamBody, TeamMemberBody, render_member, render_team
from signerd.api.platform_backend import DescriptionBody, OpenPlatform
from signerd.api.reply import Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.effective_rights import load_team_rights, require_grantable
from signerd.platform.team import (
    NOUN,
    add_team_member,
    create_team,
    delete_team,
    get_team,
    list_teams,
    remove_team_member,
    update_team,
)

ROOT: Final = "/v1/teams"


class TeamMemberRequest(WireModel):
    """Who is to join a team; the role is a word for people."""

    user_identity: str | None = None
    role: str | None = None


class _TeamCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        call.rights.require(NOUN, "list")
        with self._open().store.read() as connection:
            teams = list_teams(connection, call.organisation.identity)
        return Reply(
            body=[render_team(team) for team in select_matching(call.query, teams, lambda team: team.record)]
        )

    def get(self, call: Call) -> Reply:
        call.rights.require(NOUN, "read")
        with self._open().store.read() as connection:
            return Reply(
                body=render_team(get_team(connection, call.organisation.identity, call.path["team"]))
            )

    def create(self, call: Call) -> Reply:
        call.rights.require(NOUN, "create")
        description = call.read(DescriptionBody).describe()
        team = self._open().change(
            call, lambda change: create_team(change, call.organisation.identity, description)
        )
        return Reply(201, render_team(team))

    def update(self, call: Call) -> Reply:
        call.rights.require(NOUN, "update")
        with self._open().store.read() as connection:
            current = get_team(connection, call.organisation.identity, call.path["team"]).record
        description = call.read(DescriptionBody).revise(current.stated)
        team = self._open().change(
            call,
            lambda change: update_team(change, call.organisation.identity, current.identity, description),
        )
        return Reply(body=render_team(team))

    def delete(self, call: Call) -> Reply:
        call.rights.require(NOUN, "delete")
        call.read_empty()
        self._open().change(
            call, lambda change: delete_team(change, call.organisation.identity, call.path["team"])
        )
        return Reply(204)

    def add_member(self, call: Call) -> Reply:
        call.rights.require(NOUN, "update")
        organisation = call.organisation.identity
        with self._open().store.read() as connection:
            team = get_team(connection, organisation, call.path["team"]).record.identity
            reach = load_team_rights(connection, organisation, team)
        request = call.read(TeamMemberRequest)
        require_grantable(call.rights, reach.rules)
        subject = request.user_identity or ""
        changed = self._open().change(
            call,
            lambda change: add_team_member(change, organisation, team, subject, request.role or "MEMBER"),
        )
        return Reply(
            201, next(render_member(member) for member in changed.members if member.user.subject == subject)
        )

    def remove_member(self, call: Call) -> Reply:
        call.rights.require(NOUN, "update")
        call.read_empty()
        self._open().change(
            call,
            lambda change: remove_team_member(
                change, call.organisation.identity, call.path["team"], call.path["member"]
            ),
        )
        return Reply(204)


def list_team_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls; those on members take the right to update the team."""
    calls = _TeamCalls(open_platform)
    one = f"{ROOT}/{{team}}"
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="iam:ListTeams",
            summary="The teams of the organisation",
            scope=ORGANISATION,
            response=GenericAlias(list, (TeamBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.create,
            action="iam:CreateTeam",
            summary="Make a team",
            scope=ORGANISATION,
            request=DescriptionBody,
            response=TeamBody,
            statuses=(201, 400, 403, 409),
        ),
        Endpoint(
            "GET",
            one,
            calls.get,
            action="iam:ReadTeam",
            summary="One team with its members",
            scope=ORGANISATION,
            resource_type=NOUN,
            response=TeamBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            one,
            calls.update,
            action="iam:UpdateTeam",
            summary="Change a team",
            scope=ORGANISATION,
            resource_type=NOUN,
            request=DescriptionBody,
            response=TeamBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.delete,
            action="iam:DeleteTeam",
            summary="Delete a team with its bindings",
            scope=ORGANISATION,
            resource_type=NOUN,
            statuses=(204, 403, 404, 409),
        ),
        Endpoint(
            "POST",
            f"{one}/members",
            calls.add_member,
            action="iam:AddTeamMember",
            summary="Put a member of the organisation into a team",
            scope=ORGANISATION,
            resource_type=NOUN,
            request=TeamMemberRequest,
            response=TeamMemberBody,
            statuses=(201, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            f"{one}/members/{{member}}",
            calls.remove_member,
            action="iam:RemoveTeamMember",
            summary="Take a user out of a team",
            scope=ORGANISATION,
            resource_type="team_member",
            statuses=(204, 403, 404, 409),
        ),
    ]
