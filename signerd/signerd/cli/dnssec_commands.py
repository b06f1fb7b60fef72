"""`signerd dnssec`: DNSSEC of zones that are kept over the API; zones of files follow their policy."""

from typing import Annotated, cast

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config
from signerd.cli.platform_client import (
    Json,
    JsonOption,
    OrganisationOption,
    TokenFileOption,
    UrlOption,
    connect_platform,
    print_object,
)

ZoneArgument = Annotated[str, typer.Argument(metavar="ZONE", help="Name or identity.")]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="Of the key; default: the configured one."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="KMS key to be the KSK; default: one is made."),
]


def add_dnssec_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="DNSSEC of zones that are kept over the API.")
    group.command("enable")(explain_errors(enable))
    group.command("disable")(explain_errors(disable))
    group.command("status")(explain_errors(show_status))
    app.add_typer(group, name="dnssec")


def enable(
    zone: ZoneArgument,
    region: RegionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Sign a zone, and print the DS set for its parent. Another key than now starts a change of keys."""
    place = region or read_config(config, state).region.slug
    with connect_platform(config, state, url, token_file) as client:
        body: Json = {"region": place} if key is None else {"region": place, "kmsKeyIdentity": key}
        _print_status(zone, client.within(org).put(_find(zone), body), as_json=as_json)


def disable(
    zone: ZoneArgument,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Stop signing a zone, as soon as nobody can have a DS of it any more."""
    with connect_platform(config, state, url, token_file) as client:
        client.within(org).delete(_find(zone))
        status = client.within(org).get(_find(zone))
    if status.get("stillSigned"):
        typer.echo(
            f"{zone}: off; it stays signed until the parent's DS is gone and forgotten. Remove it there."
        )
    else:
        typer.echo(f"{zone}: off")


def show_status(
    zone: ZoneArgument,
    as_json: JsonOption = False,
    org: OrganisationOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show how DNSSEC of a zone stands, and what is to be done at its parent."""
    with connect_platform(config, state, url, token_file) as client:
        _print_status(zone, client.within(org).get(_find(zone)), as_json=as_json)


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
    if delegation.get("problem"):
        typer.echo(f"  the parent cannot be asked: {delegation['problem']}")
