"""`signerd region`: where keys and secrets can be."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_connection
from signerd.cli.platform_client import JsonOption, print_object, print_objects

SlugArgument = Annotated[str, typer.Argument(metavar="REGION", help="Slug, such as nl-01.")]
NameOption = Annotated[str | None, typer.Option("--name", help="For people; default: the slug.")]
ZoneOption = Annotated[list[str] | None, typer.Option("--zone", metavar="SLUG", help="May be repeated.")]
KmsArgument = Annotated[
    str, typer.Argument(metavar="on|off", help="Whether keys can be made and used there.")
]


def add_region_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Regions of the deployment.")
    group.command("list")(explain_errors(list_regions))
    group.command("create")(explain_errors(create_region))
    group.command("show")(explain_errors(show_region))
    group.command("delete")(explain_errors(delete_region))
    group.command("kms")(explain_errors(set_kms))
    app.add_typer(group, name="region")


@takes_connection
def list_regions(connection: Connection, as_json: JsonOption = False) -> None:
    """List all regions."""
    with connection.open() as client:
        found = client.list("/v1/regions")
    print_objects(found, ["slug", "identity", "name", "zones"], as_json=as_json)


@takes_connection
def create_region(
    connection: Connection,
    slug: SlugArgument,
    name: NameOption = None,
    zone: ZoneOption = None,
) -> None:
    """Make a region with the KMS available."""
    with connection.open() as client:
        print_object(client.post("/v1/regions", {"slug": slug, "name": name or slug, "zones": zone or []}))


@takes_connection
def show_region(connection: Connection, slug: SlugArgument) -> None:
    """Show a region."""
    with connection.open() as client:
        print_object(client.get(f"/v1/regions/{slug}"))


@takes_connection
def delete_region(connection: Connection, slug: SlugArgument) -> None:
    """Delete a region in which there are no keys and secrets of anybody."""
    with connection.open() as client:
        client.delete(f"/v1/regions/{slug}")


@takes_connection
def set_kms(connection: Connection, slug: SlugArgument, switch: KmsArgument) -> None:
    """Make the KMS available in a region or not."""
    if switch not in ("on", "off"):
        raise CommandFailed(f"{switch!r} is neither on nor off")
    with connection.open() as client:
        client.put(f"/v1/regions/{slug}", {"kmsAvailable": switch == "on"})
    typer.echo(f"the KMS is {switch} in {slug}")
