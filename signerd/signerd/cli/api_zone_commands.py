"""`signerd zone`: zones over the API, those of files included."""

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

ROOT = "/v1/dns/zones"
ZoneArgument = Annotated[str, typer.Argument(metavar="ZONE", help="Name or identity.")]


def add_api_zone_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Zones over the API.")
    group.command("list")(explain_errors(list_zones))
    group.command("create")(explain_errors(create_zone))
    group.command("show")(explain_errors(show_zone))
    group.command("delete")(explain_errors(delete_zone))
    app.add_typer(group, name="zone")


def list_zones(
    as_json: JsonOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List the zones."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.within(org).list(ROOT)
    columns = ["name", "source", "publishedSerial", "publicationPending", "publicationError"]
    print_objects(found, columns, as_json=as_json)


def create_zone(
    zone: ZoneArgument,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Make a zone that is kept in the database."""
    with connect_platform(config, state, url, token_file) as client:
        print_object(client.within(org).post(ROOT, {"zoneName": zone}))


def show_zone(
    zone: ZoneArgument,
    as_json: JsonOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show a zone and its records."""
    with connect_platform(config, state, url, token_file) as client:
        found = client.within(org).get(f"{ROOT}/{zone}")
        records = client.within(org).list(f"{ROOT}/{zone}/records")
    if as_json:
        print_object({**found, "records": list(records)})
        return
    print_object(found)
    print_objects(records, ["name", "type", "ttl", "values"], as_json=False)


def delete_zone(
    zone: ZoneArgument,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Delete a zone with all its records."""
    with connect_platform(config, state, url, token_file) as client:
        client.within(org).delete(f"{ROOT}/{zone}")
    typer.echo(f"{zone} is deleted")
