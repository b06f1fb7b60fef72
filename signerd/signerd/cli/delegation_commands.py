"""`signerd ds`: what the parent zone needs."""

from typing import Annotated

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.zone_argument import ZoneArgument, read_zone_argument
from signerd.cli.zone_keys import find_delegation_keys, find_wanted_tags
from signerd.delegation.ds_export import DsFormat, export_ds

FormatOption = Annotated[
    DsFormat,
    typer.Option(
        "--format",
        "-f",
        help="zone: DS records; bind: a dsset file; json; dnskey: the keys; cds: CDS and CDNSKEY records; "
        "epp: secDNS:create; epp-update: secDNS:update that replaces all.",
    ),
]
TtlOption = Annotated[
    int, typer.Option("--ttl", min=0, max=2**31 - 1, help="TTL of the records, in seconds.")
]


def add_ds(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ds")(explain_errors(ds))


def ds(
    zone: ZoneArgument,
    form: FormatOption = DsFormat.ZONE,
    ttl: TtlOption = 3600,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Print the DS set of a zone for its parent: SHA-256 and SHA-384 of each key-signing key.

    Works whether or not the server runs. While keys are replaced, the zone's CDNSKEY records or the server
    say which of them the parent is to have.
    """
    name = read_zone_argument(zone)
    directory = find_state(config, state)
    keys = find_delegation_keys(directory, name)
    wanted = find_wanted_tags(directory, name) if len(keys) > 1 else frozenset[int]()
    keys = [key for key in keys if key.key_tag in wanted] or keys
    typer.echo(export_ds(name, keys, form, ttl), nl=False)
