"""`signerd run`: the server itself."""

from collections.abc import Callable
from importlib import import_module

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config
from signerd.config.options import Config

DAEMON = "signerd.daemon"  # imported only to run it: loading it takes longer than other commands need


def add_run(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(explain_errors(run))


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Load the zones, sign them, check them and answer queries until stopped."""
    options = read_config(config, state)
    start: Callable[[Config], None] = import_module(DAEMON).run
    start(options)
