"""`signerd status`: zones, serials, keys and how long the signatures last."""

import json
import sys
from typing import Annotated

import typer

from signerd.cli.command_errors import PROGRAM, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import NotRunning, send_command
from signerd.cli.status_report import read_report, report_published
from signerd.cli.status_table import print_status

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Print all that is known of each zone.")]


def add_status(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(explain_errors(status))


def status(
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Show the zones, their serials, keys and runway (how long until the first signature expires).

    With the server stopped, what it published last is shown.
    """
    directory = find_state(config, state)
    try:
        reply = send_command(directory.control_socket, "status")
    except NotRunning as error:
        report = report_published(directory)
        typer.echo(f"{PROGRAM}: {error}; this is what is published", err=True)
        document: object = report.model_dump(mode="json")
    else:
        report = read_report(reply)
        document = {"running": True} | {name: value for name, value in reply.items() if name != "ok"}
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        print_status(report, sys.stdout, is_verbose=verbose)
