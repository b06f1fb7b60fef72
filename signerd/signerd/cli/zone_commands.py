"""`signerd reload` and `signerd forget`: what is done to one zone."""

from typing import Annotated, cast

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import SLOW_SECONDS, send_command
from signerd.cli.zone_argument import ZoneArgument, read_zone_argument
from signerd.zones.zone_list import format_zone_name

OptionalZoneArgument = Annotated[
    str | None, typer.Argument(metavar="[ZONE]", help="Without it, all zones and the list of zones.")
]


def add_zone_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("reload")(explain_errors(reload))
    app.command("forget")(explain_errors(forget))


def reload(
    zone: OptionalZoneArgument = None,
    allow_mass_deletion: Annotated[
        bool,
        typer.Option("--allow-mass-deletion", help="Take files that leave out most of what is served."),
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Read zone files again, and sign and publish what changed in them."""
    name = None if zone is None else format_zone_name(read_zone_argument(zone))
    socket = find_state(config, state).control_socket
    arguments = {"zone": name, "allow_mass_deletion": allow_mass_deletion}
    _print_reply(send_command(socket, "reload", arguments, timeout=SLOW_SECONDS))


def forget(zone: ZoneArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Stop serving a zone whose file is gone. Its keys stay."""
    name = format_zone_name(read_zone_argument(zone))
    _print_reply(send_command(find_state(config, state).control_socket, "forget", {"zone": name}))


def _print_reply(reply: dict[str, object]) -> None:
    """Print what the server has to say, if anything."""
    messages = reply.get("messages", reply.get("message"))
    for line in cast("list[object]", messages) if isinstance(messages, list) else [messages]:
        if isinstance(line, str):
            typer.echo(line)
