"""`signerd org` and `signerd user`: tenants and people, for the operator of the deployment."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, OrganisationOption, takes_connection
from signerd.cli.platform_client import JsonOption, print_object, print_objects

OrganisationArgument = Annotated[str, typer.Argument(metavar="ORG", help="Slug or identity.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
OwnerOption = Annotated[
    str | None,
    typer.Option("--owner", metavar="USER", help="Subject of the owner; default: the first operator."),
]
GateArgument = Annotated[str, typer.Argument(metavar="FEATURE", help="kms, secrets, dns or projects.")]
SwitchArgument = Annotated[str, typer.Argument(metavar="on|off")]
EmailOption = Annotated[str, typer.Option("--email", metavar="ADDRESS")]
OperatorOption = Annotated[
    bool, typer.Option("--operator", help="May make organisations, regions and users.")
]
RoleOption = Annotated[str, typer.Option("--role", metavar="OWNER|MEMBER")]


def add_org_commands(app: typer.Typer) -> None:
    """Add both groups."""
    group = typer.Typer(no_args_is_help=True, help="Organisations: the tenants of this deployment.")
    group.command("list")(explain_errors(list_organisations))
    group.command("create")(explain_errors(create_organisation))
    group.command("show")(explain_errors(show_organisation))
    group.command("delete")(explain_errors(delete_organisation))
    group.command("gates")(explain_errors(list_gates))
    group.command("gate")(explain_errors(set_gate))
    app.add_typer(group, name="org")
    people = typer.Typer(no_args_is_help=True, help="Users, and what they are in an organisation.")
    people.command("list")(explain_errors(list_users))
    people.command("create")(explain_errors(create_user))
    people.command("delete")(explain_errors(delete_user))
    app.add_typer(people, name="user")


@takes_connection
def list_organisations(connection: Connection, as_json: JsonOption = False) -> None:
    """List all organisations."""
    with connection.open() as client:
        found = client.list("/v1/organisations")
    print_objects(found, ["slug", "identity", "name", "createdAt"], as_json=as_json)


@takes_connection
def create_organisation(connection: Connection, name: NameArgument, owner: OwnerOption = None) -> None:
    """Make an organisation with all features on."""
    with connection.open() as client:
        print_object(client.post("/v1/organisations", {"name": name, "ownerIdentity": owner}))


@takes_connection
def show_organisation(connection: Connection, organisation: OrganisationArgument) -> None:
    """Show an organisation."""
    with connection.open() as client:
        print_object(client.get(f"/v1/organisations/{organisation}"))


@takes_connection
def delete_organisation(connection: Connection, organisation: OrganisationArgument) -> None:
    """Delete an organisation that has no keys, secrets and zones any more. Its audit log stays."""
    with connection.open() as client:
        client.delete(f"/v1/organisations/{organisation}")


@takes_connection
def delete_user(
    connection: Connection,
    user: Annotated[str, typer.Argument(metavar="USER", help="Subject.")],
) -> None:
    """Delete a user, with memberships and tokens."""
    with connection.open() as client:
        client.delete(f"/v1/users/{user}")


@takes_connection
def list_gates(
    connection: Connection,
    organisation: OrganisationArgument,
    as_json: JsonOption = False,
) -> None:
    """Show which features an organisation has."""
    with connection.open() as client:
        gates = client.list(f"/v1/organisations/{organisation}/gates")
    print_objects(gates, ["gate", "enabled"], as_json=as_json)


@takes_connection
def set_gate(
    connection: Connection,
    organisation: OrganisationArgument,
    gate: GateArgument,
    switch: SwitchArgument,
) -> None:
    """Switch a feature on or off."""
    if switch not in ("on", "off"):
        raise CommandFailed(f"{switch!r} is neither on nor off")
    with connection.open() as client:
        client.put(f"/v1/organisations/{organisation}/gates/{gate}", {"enabled": switch == "on"})
    typer.echo(f"{gate} is {switch} for {organisation}")


@takes_connection
def list_users(connection: Connection, as_json: JsonOption = False) -> None:
    """List all users."""
    with connection.open() as client:
        found = client.list("/v1/users")
    print_objects(found, ["subject", "name", "email", "createdAt"], as_json=as_json)


@takes_connection
def create_user(
    connection: Connection,
    name: NameArgument,
    email: EmailOption = "",
    role: RoleOption = "MEMBER",
    operator: OperatorOption = False,
    org: OrganisationOption = None,
) -> None:
    """Make a user who is a member of an organisation; `signerd token create` makes the token."""
    with connection.open() as client:
        user = client.post("/v1/users", {"name": name, "email": email, "operator": operator})
        member = {"userIdentity": user["subject"], "role": role}
        client.within(org).post("/v1/memberships", member)
    print_object(user)
