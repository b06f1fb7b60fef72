"""`signerd region`: where keys and secrets can be."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption
from signerd.cli.platform_client import (
    JsonOption,
    TokenFileOption,
    UrlOption,
    connect_platform,
    print_object,
    print_objects,
)

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


def list_regions(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List all regions."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.list("/v1/regions")
    print_objects(found, ["slug", "identity", "name", "zones"], as_json=as_json)


def create_region(
    slug: SlugArgument,
    name: NameOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make a region with the KMS available."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.post("/v1/regions", {"slug": slug, "name": name or slug, "zones": zone or []}))


def show_region(
    slug: SlugArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show a region."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.get(f"/v1/regions/{slug}"))


def delete_region(
    slug: SlugArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Delete a region in which there are no keys and secrets of anybody."""
    with connect_platform(config, state, url, token_file) as client:
        client.delete(f"/v1/regions/{slug}")


def set_kms(
    slug: SlugArgument,
    switch: KmsArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make the KMS available in a region or not."""
    if switch not in ("on", "off"):
        raise CommandFailed(f"{switch!r} is neither on nor off")
    with connect_platform(config, state, url, token_file) as client:
        client.put(f"/v1/regions/{slug}", {"kmsAvailable": switch == "on"})
    typer.echo(f"the KMS is {switch} in {slug}")
