"""`signerd run`: the server itself."""

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config


def add_run(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(explain_errors(run))


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Load the zones, sign them, check them and answer queries until stopped."""
    options = read_config(config, state)
    # only here: loading it takes longer than the other commands need
    from signerd import daemon

    try:
        daemon.run(options)
    except daemon.StartRefused as error:
        raise CommandFailed(str(error)) from error
