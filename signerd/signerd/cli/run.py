"""`signerd run`: the server itself."""

from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config


def add_run(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(explain_errors(run))


def run(
    config: ConfigOption = None,
    state: StateOption = None,
    acknowledge_break: Annotated[
        bool, typer.Option("--acknowledge-break", help="Go on with a broken audit log; recorded in it.")
    ] = False,
    accept_rollback: Annotated[
        bool,
        typer.Option("--accept-rollback", help="Go on with a database older than its checkpoints; recorded."),
    ] = False,
) -> None:
    """Load the zones, sign them, check them and answer queries until stopped."""
    options = read_config(config, state)
    # only here: loading it takes longer than the other commands need
    from signerd import daemon
    from signerd.custody import Acknowledged

    try:
        daemon.run(options, acknowledged=Acknowledged(acknowledge_break, accept_rollback))
    except daemon.StartRefused as error:
        raise CommandFailed(str(error)) from error
