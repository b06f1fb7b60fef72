"""`signerd alarm`: what is wrong now, since when, and who must act."""

import json
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import send_command
from signerd.cli.status_report import AlarmList
from signerd.cli.status_table import make_console, print_alarms

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_alarm_commands(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="See what is wrong and who must act.")
    group.callback()(_describe)
    group.command("list")(explain_errors(list_alarms))
    app.add_typer(group, name="alarm")


def _describe() -> None:
    """See what is wrong and who must act."""


def list_alarms(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """List what is wrong now, what has been so for longest first."""
    reply = send_command(find_state(config, state).control_socket, "alarm_list")
    if as_json:
        typer.echo(json.dumps({"alarms": reply.get("alarms", [])}, indent=2))
        return
    try:
        found = AlarmList.model_validate(reply)
    except ValidationError as error:
        raise CommandFailed("the server's reply is not understood") from error
    if not found.alarms:
        typer.echo("no alarms")
        return
    print_alarms(make_console(sys.stdout), found.alarms)
