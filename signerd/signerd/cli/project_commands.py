"""`signerd project`: parts of an organisation."""

from typing import Annotated

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.connection import Connection, takes_organisation
from signerd.cli.platform_client import JsonOption, print_object, print_objects

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


@takes_organisation
def list_projects(connection: Connection, as_json: JsonOption = False) -> None:
    """List the projects."""
    with connection.open() as client:
        found = client.list("/v1/projects")
    print_objects(found, ["slug", "identity", "name", "parentProject"], as_json=as_json)


@takes_organisation
def create_project(connection: Connection, name: NameArgument, parent: ParentOption = None) -> None:
    """Make a project with the built-in policies."""
    with connection.open() as client:
        body = {"name": name, "parentProjectIdentity": parent}
        print_object(client.post("/v1/projects", body))


@takes_organisation
def show_project(connection: Connection, project: ProjectArgument) -> None:
    """Show a project."""
    with connection.open() as client:
        print_object(client.get(f"/v1/projects/{project}"))


@takes_organisation
def delete_project(connection: Connection, project: ProjectArgument) -> None:
    """Delete a project that holds nothing."""
    with connection.open() as client:
        client.delete(f"/v1/projects/{project}")
    typer.echo(f"{project} is deleted")
