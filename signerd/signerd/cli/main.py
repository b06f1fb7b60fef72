"""The command `signerd`."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from signerd.cli.audit_commands import add_audit_commands
from signerd.cli.clock_commands import add_clock_commands
from signerd.cli.command_errors import PROGRAM
from signerd.cli.config_commands import add_config_commands
from signerd.cli.delegation_commands import add_ds
from signerd.cli.dump import add_dump
from signerd.cli.kms_commands import add_kms_commands
from signerd.cli.openapi_command import add_openapi
from signerd.cli.org_commands import add_org_commands
from signerd.cli.project_commands import add_project_commands
from signerd.cli.region_commands import add_region_commands
from signerd.cli.role_commands import add_role_commands
from signerd.cli.run import add_run
from signerd.cli.secret_commands import add_secret_commands
from signerd.cli.status import add_status
from signerd.cli.token_commands import add_token_commands
from signerd.cli.zone_commands import add_zone_commands

INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


def make_app() -> typer.Typer:
    """Build the command line with all command groups."""
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_take_global_options)
    add_run(app)
    add_status(app)
    add_ds(app)
    add_dump(app)
    add_zone_commands(app)
    add_config_commands(app)
    add_clock_commands(app)
    add_audit_commands(app)
    add_openapi(app)
    add_kms_commands(app)
    add_org_commands(app)
    add_project_commands(app)
    add_region_commands(app)
    add_role_commands(app)
    add_secret_commands(app)
    add_token_commands(app)
    return app


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"{PROGRAM} {version('signerd')}")
        raise typer.Exit


def _take_global_options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Serve DNS zones and sign what is served."""
    del show_version  # dealt with by its callback


def main() -> None:
    """Run the command line; the entry point of the package."""
    try:
        make_app()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
