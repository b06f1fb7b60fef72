"""`signerd dnssec`: DNSSEC of zones that are kept over the API; zones of files follow their policy."""

import time
from typing import Annotated, Final, cast
from urllib.parse import quote

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_organisation
from signerd.cli.moment_argument import read_moment, read_span
from signerd.cli.platform_client import Json, JsonOption, print_object

ZoneArgument = Annotated[str, typer.Argument(metavar="ZONE", help="Name or identity.")]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="Of the key; default: the configured one."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="KMS key to be the KSK; default: one is made."),
]

IgnoreOption = Annotated[
    str | None,
    typer.Option("--ignore", metavar="ADDRESS", help="Wait no more for this server; ADDRESS@PORT if not 53."),
]
HeedOption = Annotated[
    str | None, typer.Option("--heed", metavar="ADDRESS", help="Wait for this server again.")
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="End of --ignore: 2027-02-01, 2027-02-01T12:00, or +30d."),
]
PROBE_SECONDS: Final = 60.0  # a parent with many servers that time out takes long
POLL_SECONDS: Final = 0.2


def add_dnssec_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="DNSSEC of zones that are kept over the API.")
    group.command("enable")(explain_errors(enable))
    group.command("disable")(explain_errors(disable))
    group.command("status")(explain_errors(show_status))
    group.command("probe")(explain_errors(probe))
    group.command("parent-server")(explain_errors(edit_parent_server))
    app.add_typer(group, name="dnssec")


@takes_organisation
def enable(
    connection: Connection,
    zone: ZoneArgument,
    region: RegionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a zone, and print the DS set for its parent. Another key than now starts a change of keys."""
    place = region or connection.read_config().region.slug
    with connection.open() as client:
        body: Json = {"region": place} if key is None else {"region": place, "kmsKeyIdentity": key}
        _print_status(zone, client.put(_find(zone), body), as_json=as_json)


@takes_organisation
def disable(connection: Connection, zone: ZoneArgument) -> None:
    """Stop signing a zone, as soon as nobody can have a DS of it any more."""
    with connection.open() as client:
        client.delete(_find(zone))
        status = client.get(_find(zone))
    if status.get("stillSigned"):
        typer.echo(
            f"{zone}: off; it stays signed until the parent's DS is gone and forgotten. Remove it there."
        )
    else:
        typer.echo(f"{zone}: off")


@takes_organisation
def show_status(connection: Connection, zone: ZoneArgument, as_json: JsonOption = False) -> None:
    """Show how DNSSEC of a zone stands, and what is to be done at its parent."""
    with connection.open() as client:
        _print_status(zone, client.get(_find(zone)), as_json=as_json)


@takes_organisation
def probe(connection: Connection, zone: ZoneArgument, as_json: JsonOption = False) -> None:
    """Ask the parent of a zone now, wait for its answers, and show what follows from them."""
    with connection.open() as client:
        asked = client.post(f"{_find(zone)}:probe")
        if client.is_local:
            typer.echo(f"{zone}: no server runs; its parent is asked when one does")
            return
        deadline = time.monotonic() + PROBE_SECONDS
        status = asked
        while status.get("nextDsProbeAt") == asked.get("nextDsProbeAt"):  # moved on once there are answers
            if time.monotonic() > deadline:
                raise CommandFailed(f"zone {zone}: its parent was not asked within {PROBE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
            status = client.get(_find(zone))
        _print_status(zone, status, as_json=as_json)


@takes_organisation
def edit_parent_server(
    connection: Connection,
    zone: ZoneArgument,
    ignore: IgnoreOption = None,
    heed: HeedOption = None,
    until: UntilOption = None,
) -> None:
    """Show the name servers of a zone's parent, or say that one which does not answer is dead.

    Key changes and the end of signing wait until every server of the parent has answered. One that never
    will holds them up; --ignore ends that, for 14 days unless --until says otherwise. What it does say,
    if it comes back, counts.
    """
    if ignore is not None and heed is not None:
        raise CommandFailed("give --ignore or --heed, not both")
    if until is not None and ignore is None:
        raise CommandFailed("--until goes with --ignore")
    with connection.open() as client:
        if ignore is not None:
            body: Json = {} if until is None else {"lifetime": f"{_read_seconds(until)}s"}
            made = client.put(_find_server(zone, ignore), body)
            typer.echo(f"{zone}: the silence of {made['server']} is ignored until {made['until']}")
        elif heed is not None:
            client.delete(_find_server(zone, heed))
            typer.echo(f"{zone}: {heed} is waited for again")
        else:
            _print_servers(zone, client.get(_find(zone)))


def _find_server(zone: str, server: str) -> str:
    return f"{_find(zone)}/parent-servers/{quote(server, safe='')}"


def _read_seconds(until: str) -> int:
    if until.startswith("+"):
        return read_span(until[1:])
    return read_moment(until, 0) - int(time.time())


def _print_servers(zone: str, status: Json) -> None:
    delegation = cast("Json", status.get("delegation") or {})
    servers = cast("list[Json]", delegation.get("servers") or [])
    if not servers:
        typer.echo(f"{zone}: no server of the parent was asked")
    for server in servers:
        said = server.get("error") or (
            "has no DS" if not server["dsRecords"] else ", ".join(cast("list[str]", server["dsRecords"]))
        )
        typer.echo(f"{server['server']}  {server['answeredAt']}  {said}")
    _print_ignored(delegation)


def _print_ignored(delegation: Json) -> None:
    for server in cast("list[Json]", delegation.get("ignoredServers") or []):
        typer.echo(f"  ignored: {server['server']} until {server['until']}, by {server.get('actor', '-')}")


def _find(zone: str) -> str:
    return f"/v1/dns/zones/{zone}/dnssec"


def _print_status(zone: str, status: Json, *, as_json: bool) -> None:
    if as_json:
        print_object(status)
        return
    delegation = cast("Json", status.get("delegation") or {})
    if status.get("stillSigned"):
        typer.echo(f"{zone}: off, and still signed until the parent's DS is gone and forgotten")
    elif not status["enabled"]:
        typer.echo(f"{zone}: not signed")
    elif status.get("lastSignError") and not status.get("lastSignedAt"):
        typer.echo(f"{zone}: on, but not signed yet")
    else:
        typer.echo(
            f"{zone}: signed, " + ("delegated" if status["dsDelegated"] else "the parent has no DS of it yet")
        )
    for name, label in (
        ("kmsKeyIdentity", "KMS key"),
        ("region", "region"),
        ("lastSignedAt", "signed at"),
        ("lastSignError", "cannot be signed"),
        ("nextDsProbeAt", "parent is asked at"),
    ):
        if status.get(name):
            typer.echo(f"  {label}: {status[name]}")
    for record in cast("list[Json]", status.get("dsRecords") or []):
        typer.echo(f"  {zone.rstrip('.')}. IN DS {record['record']}")
    for name, label in (
        ("dsToAdd", "add at the parent"),
        ("dsToRemove", "remove at the parent"),
        ("alarms", "ALARM"),
    ):
        for text in cast("list[str]", delegation.get(name) or []):
            typer.echo(f"  {label}: {text}")
    if delegation.get("dsNotBefore"):
        typer.echo(f"  add it not before: {delegation['dsNotBefore']}, when all caches can have the key")
    elif delegation.get("keyPublished") is False:
        typer.echo("  do not add it yet: the key is in no version in service")
    _print_ignored(delegation)
    if delegation.get("problem"):
        typer.echo(f"  the parent cannot be asked: {delegation['problem']}")
