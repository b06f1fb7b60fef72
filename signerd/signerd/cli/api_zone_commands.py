"""`signerd zone`: zones over the API, those of files included."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, cast

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_organisation
from signerd.cli.import_pieces import PIECE_RECORDS, is_large, split_file
from signerd.cli.platform_client import Json, JsonOption, PlatformClient, print_object, print_objects
from signerd.dns.name import parse_name

ROOT = "/v1/dns/zones"
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A master file; - is standard input.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Also delete the records that are not in the file.")
]
MassDeletionOption = Annotated[
    bool, typer.Option("--allow-mass-deletion", help="Do so also if that is most of the zone.")
]
ZoneArgument = Annotated[str, typer.Argument(metavar="ZONE", help="Name or identity.")]


def add_api_zone_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Zones over the API.")
    group.command("list")(explain_errors(list_zones))
    group.command("create")(explain_errors(create_zone))
    group.command("show")(explain_errors(show_zone))
    group.command("export")(explain_errors(export_zone))
    group.command("import")(explain_errors(import_zone))
    group.command("check")(explain_errors(check_zone))
    group.command("why")(explain_errors(explain_versions))
    group.command("delete")(explain_errors(delete_zone))
    app.add_typer(group, name="zone")


@takes_organisation
def list_zones(connection: Connection, as_json: JsonOption = False) -> None:
    """List the zones."""
    with connection.open() as client:
        found = client.list(ROOT)
    columns = ["name", "source", "publishedSerial", "publicationPending", "publicationError"]
    print_objects(found, columns, as_json=as_json)


@takes_organisation
def create_zone(connection: Connection, zone: ZoneArgument) -> None:
    """Make a zone that is kept in the database."""
    with connection.open() as client:
        made = client.post(ROOT, {"zoneName": zone})
    print_object(made)
    for warning in cast("list[str]", made.get("warnings") or []):
        typer.echo(f"warning: {warning}", err=True)


@takes_organisation
def show_zone(connection: Connection, zone: ZoneArgument, as_json: JsonOption = False) -> None:
    """Show a zone and its records."""
    with connection.open() as client:
        found = client.get(f"{ROOT}/{zone}")
        records = client.list(f"{ROOT}/{zone}/records")
    if as_json:
        print_object({**found, "records": list(records)})
        return
    print_object(found)
    print_objects(records, ["name", "type", "ttl", "values"], as_json=False)


@takes_organisation
def delete_zone(connection: Connection, zone: ZoneArgument) -> None:
    """Delete a zone with all its records."""
    with connection.open() as client:
        client.delete(f"{ROOT}/{zone}")
    typer.echo(f"{zone} is deleted")


@takes_organisation
def export_zone(connection: Connection, zone: ZoneArgument) -> None:
    """Print a zone as a master file."""
    with connection.open() as client:
        sys.stdout.write(str(client.get(f"{ROOT}/{zone}/export")["zoneFile"]))


@takes_organisation
def import_zone(
    connection: Connection,
    zone: ZoneArgument,
    file: FileArgument,
    replace: ReplaceOption = False,
    allow_mass_deletion: MassDeletionOption = False,
) -> None:
    """Take records from a master file into a zone of the API, all or none.

    A file with more than 10,000 records is merged in pieces, each all or none; run again after a failure.
    """
    octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    counts = dict.fromkeys(("created", "updated", "deleted", "skipped"), 0)
    with connection.open() as client:
        for text in _list_texts(client, zone, octets, replace=replace):
            body = {"zoneFile": text, "replaceExisting": replace, "allowMassDeletion": allow_mass_deletion}
            done = client.post(f"{ROOT}/{zone}/import", body)
            for key in counts:
                counts[key] += cast("int", done[key])
    typer.echo(", ".join(f"{count} {key}" for key, count in counts.items()))


def _list_texts(client: PlatformClient, zone: str, octets: bytes, *, replace: bool) -> Iterator[str]:
    """Give a file as it is, or in pieces; tells on standard error how far it is when asked for the next."""
    if is_large(octets):
        apex = parse_name(f"{client.get(f'{ROOT}/{zone}')['name']}.")
        pieces = split_file(octets, apex)
        if len(pieces) > 1 and replace:
            raise CommandFailed(
                f"--replace takes at most {PIECE_RECORDS} records at a time, and the file has "
                f"{sum(piece.records for piece in pieces)}; without it they are merged in pieces"
            )
        if len(pieces) > 1:
            taken, total = 0, sum(piece.records for piece in pieces)
            for piece in pieces:
                typer.echo(f"{taken} of {total} records are taken in", err=True)
                yield piece.text
                taken += piece.records
            return
    try:
        yield octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise CommandFailed(f"line {line}: not UTF-8; write such octets as \\DDD") from error


@takes_organisation
def check_zone(connection: Connection, zone: ZoneArgument) -> None:
    """Look for likely mistakes in a zone, and say if it is in service; fail at errors or if it is not."""
    with connection.open() as client:
        checked = client.get(f"{ROOT}/{zone}/check")
        is_served = not client.is_local
    found = cast("Json", checked["zone"])
    notices = cast("list[Json]", checked["notices"])
    for notice in notices:
        typer.echo(f"{notice['severity']}: {notice['text']}")
    if errors := [notice for notice in notices if notice["severity"] == "error"]:
        raise CommandFailed(f"zone {found['name']}: {len(errors)} errors")
    if not is_served:
        typer.echo(f"zone {found['name']}: no server runs; it is not in service")
        return
    if error := found.get("publicationError"):
        raise CommandFailed(f"zone {found['name']}: {error}")
    if found["publicationPending"]:
        raise CommandFailed(f"zone {found['name']}: the newest change is not in service yet")
    typer.echo(f"zone {found['name']}: serial {found['publishedSerial']} is in service and up to date")


@takes_organisation
def explain_versions(connection: Connection, zone: ZoneArgument, as_json: JsonOption = False) -> None:
    """Explain the published versions of a zone, the newest first: what changed, by whom or for what."""
    with connection.open() as client:
        versions = client.list(f"{ROOT}/{zone}/versions")
    if as_json:
        print_objects(versions, [], as_json=True)
        return
    for version in versions:
        typer.echo(f"{version['at']}  serial {version['serial']}: {version['detail']}")
        for cause in cast("list[Json]", version["changes"]):
            who = cause.get("actor") or "the server"
            typer.echo(f"    {cause['at']}  {cause['action']} by {who}: {cause['summary']}")
