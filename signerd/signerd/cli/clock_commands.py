"""`signerd clock`: what to do about a clock that is not believed."""

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import send_command


def add_clock_commands(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Deal with a clock that the server does not believe.")
    group.callback()(_describe)
    group.command("accept")(explain_errors(accept))
    app.add_typer(group, name="clock")


def _describe() -> None:
    """Deal with a clock that the server does not believe."""


def accept(config: ConfigOption = None, state: StateOption = None) -> None:
    """Take the machine's clock for right, after a step that made the server stop signing."""
    reply = send_command(find_state(config, state).control_socket, "clock_accept")
    message = reply.get("message")
    typer.echo(message if isinstance(message, str) else "the clock is accepted; signing goes on")
