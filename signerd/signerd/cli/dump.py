"""`signerd dump`: the signed zone as it is served."""

import sys

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.published_zones import load_published
from signerd.cli.zone_argument import ZoneArgument, read_zone_argument
from signerd.zones.printer import write_master_file


def add_dump(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dump")(explain_errors(dump))


def dump(zone: ZoneArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Print the signed zone as it is served, as a master file.

    Works whether or not the server runs.
    """
    published = load_published(find_state(config, state), read_zone_argument(zone))
    sys.stdout.writelines(write_master_file(published))
