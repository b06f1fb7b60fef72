"""`signerd project`: parts of an organisation."""

from typing import Annotated

import typer

from signerd.cli.command_errors import explain_errors
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

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Slug or identity.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ParentOption = Annotated[
    str | None, typer.Option("--parent", metavar="PROJECT", help="The project above it.")
]


def add_project_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Projects of an organisation.")
    group.command("list")(explain_errors(list_projects))
    group.command("create")(explain_errors(create_project))
    group.command("show")(explain_errors(show_project))
    group.command("delete")(explain_errors(delete_project))
    app.add_typer(group, name="project")


def list_projects(
    as_json: JsonOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List the projects."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.within(org).list("/v1/projects")
    print_objects(found, ["slug", "identity", "name", "parentProject"], as_json=as_json)


def create_project(
    name: NameArgument,
    parent: ParentOption = None,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make a project with the built-in policies."""
    with connect_platform(config, state, url, token_file) as client:
        body = {"name": name, "parentProjectIdentity": parent}
        print_object(client.within(org).post("/v1/projects", body))


def show_project(
    project: ProjectArgument,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show a project."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.within(org).get(f"/v1/projects/{project}"))


def delete_project(
    project: ProjectArgument,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Delete a project that holds nothing."""
    with connect_platform(config, state, url, token_file) as client:
        client.within(org).delete(f"/v1/projects/{project}")
    typer.echo(f"{project} is deleted")
