"""`signerd role`: what members, teams and service accounts of an organisation may do."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_organisation
from signerd.cli.platform_client import JsonOption, print_object, print_objects

RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="Slug or identity.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
RuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="TYPE:VERBS[:OBJECTS]",
        help="Such as kms_key:encrypt,decrypt or secret:read:/app/prod/*. May be repeated.",
    ),
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="SUBJECT")]
TeamOption = Annotated[str | None, typer.Option("--team", metavar="IDENTITY")]
AccountOption = Annotated[str | None, typer.Option("--service-account", metavar="IDENTITY")]
BindingArgument = Annotated[
    str, typer.Argument(metavar="BINDING", help="Identity, from `signerd role show`.")
]


def add_role_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Roles of an organisation.")
    group.command("list")(explain_errors(list_roles))
    group.command("create")(explain_errors(create_role))
    group.command("show")(explain_errors(show_role))
    group.command("delete")(explain_errors(delete_role))
    group.command("bind")(explain_errors(bind_role))
    group.command("unbind")(explain_errors(unbind_role))
    app.add_typer(group, name="role")


@takes_organisation
def list_roles(connection: Connection, as_json: JsonOption = False) -> None:
    """List the roles, the built-in ones too."""
    with connection.open() as client:
        found = client.list("/v1/iam/roles")
    print_objects(found, ["slug", "identity", "name", "system", "description"], as_json=as_json)


@takes_organisation
def create_role(connection: Connection, name: NameArgument, rule: RuleOption = None) -> None:
    """Make a role."""
    rules = [parse_rule(text) for text in rule or ()]
    with connection.open() as client:
        print_object(client.post("/v1/iam/roles", {"name": name, "rules": rules}))


@takes_organisation
def show_role(connection: Connection, role: RoleArgument) -> None:
    """Show a role with its rules and bindings."""
    with connection.open() as client:
        print_object(client.get(f"/v1/iam/roles/{role}"))


@takes_organisation
def delete_role(connection: Connection, role: RoleArgument) -> None:
    """Delete a role with its bindings."""
    with connection.open() as client:
        client.delete(f"/v1/iam/roles/{role}")
    typer.echo(f"{role} is deleted")


@takes_organisation
def bind_role(
    connection: Connection,
    role: RoleArgument,
    user: UserOption = None,
    team: TeamOption = None,
    service_account: AccountOption = None,
) -> None:
    """Bind a role to a user, a team or a service account."""
    principal = user or team or service_account
    if principal is None or sum(name is not None for name in (user, team, service_account)) != 1:
        raise CommandFailed("name one of --user, --team and --service-account")
    body = {
        "name": f"to {principal}",
        "userIdentity": user,
        "teamIdentity": team,
        "serviceAccountIdentity": service_account,
    }
    with connection.open() as client:
        print_object(client.post(f"/v1/iam/roles/{role}/bindings", body))


@takes_organisation
def unbind_role(connection: Connection, role: RoleArgument, binding: BindingArgument) -> None:
    """Take a role from whom it is bound to."""
    with connection.open() as client:
        client.delete(f"/v1/iam/roles/{role}/bindings/{binding}")
    typer.echo(f"{binding} is removed")


def parse_rule(text: str) -> dict[str, list[str]]:
    """Read a rule as it is written on the command line.

    Raises:
        CommandFailed: It has another form.
    """
    kinds, colon, rest = text.partition(":")
    verbs, _, objects = rest.partition(":")
    if not colon or not kinds or not verbs:
        raise CommandFailed(f"{text!r} is no rule: write TYPE:VERBS or TYPE:VERBS:OBJECTS")
    return {
        "resources": kinds.split(","),
        "permissions": verbs.split(","),
        "resourceIdentities": objects.split(",") if objects else [],
    }
