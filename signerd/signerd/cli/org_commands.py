"""`signerd org` and `signerd user`: tenants and people, for the operator of the deployment."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption
from signerd.cli.platform_client import (
    JsonOption,
    OrganisationOption,
    TokenFileOption,
    UrlOption,
    connect_platform,
    print_object,
    print_objects,
)

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


def list_organisations(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List all organisations."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.list("/v1/organisations")
    print_objects(found, ["slug", "identity", "name", "createdAt"], as_json=as_json)


def create_organisation(
    name: NameArgument,
    owner: OwnerOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make an organisation with all features on."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.post("/v1/organisations", {"name": name, "ownerIdentity": owner}))


def show_organisation(
    organisation: OrganisationArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show an organisation."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.get(f"/v1/organisations/{organisation}"))


def delete_organisation(
    organisation: OrganisationArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Delete an organisation that has no keys, secrets and zones any more. Its audit log stays."""
    with connect_platform(config, state, url, token_file) as client:
        client.delete(f"/v1/organisations/{organisation}")


def delete_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="Subject.")],
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Delete a user, with memberships and tokens."""
    with connect_platform(config, state, url, token_file) as client:
        client.delete(f"/v1/users/{user}")


def list_gates(
    organisation: OrganisationArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show which features an organisation has."""
    with connect_platform(config, state, url, token_file) as client:
        gates = client.list(f"/v1/organisations/{organisation}/gates")
    print_objects(gates, ["gate", "enabled"], as_json=as_json)


def set_gate(
    organisation: OrganisationArgument,
    gate: GateArgument,
    switch: SwitchArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Switch a feature on or off."""
    if switch not in ("on", "off"):
        raise CommandFailed(f"{switch!r} is neither on nor off")
    with connect_platform(config, state, url, token_file) as client:
        client.put(f"/v1/organisations/{organisation}/gates/{gate}", {"enabled": switch == "on"})
    typer.echo(f"{gate} is {switch} for {organisation}")


def list_users(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List all users."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.list("/v1/users")
    print_objects(found, ["subject", "name", "email", "createdAt"], as_json=as_json)


def create_user(
    name: NameArgument,
    email: EmailOption = "",
    role: RoleOption = "MEMBER",
    operator: OperatorOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make a user who is a member of an organisation; `signerd token create` makes the token."""
    with connect_platform(config, state, url, token_file) as client:
        user = client.post("/v1/users", {"name": name, "email": email, "operator": operator})
        member = {"userIdentity": user["subject"], "role": role}
        client.within(org).post("/v1/memberships", member)
    print_object(user)
