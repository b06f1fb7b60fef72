"""The command `signerd`."""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from signerd.cli.command_errors import PROGRAM
from signerd.garbage import look_for_cycles_seldom, look_for_no_more_cycles

INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


_GROUPS: Mapping[str, str] = {  # what is added, and the first words on the command line that need it
    "run:add_run": "run",
    "status:add_status": "status",
    "delegation_commands:add_ds": "ds",
    "dump:add_dump": "dump",
    "simulate_command:add_simulate": "simulate",
    "zone_commands:add_zone_commands": "reload forget",
    "api_zone_commands:add_api_zone_commands": "zone",
    "dnssec_commands:add_dnssec_commands": "dnssec",
    "rollover_commands:add_rollover_commands": "rollover",
    "config_commands:add_config_commands": "config",
    "doctor:add_doctor": "doctor",
    "alarm_commands:add_alarm_commands": "alarm",
    "webhook_commands:add_webhook_commands": "webhook",
    "clock_commands:add_clock_commands": "clock",
    "audit_commands:add_audit_commands": "audit",
    "openapi_command:add_openapi": "openapi",
    "kms_commands:add_kms_commands": "seal unseal kms",
    "org_commands:add_org_commands": "org user",
    "project_commands:add_project_commands": "project",
    "region_commands:add_region_commands": "region",
    "role_commands:add_role_commands": "role",
    "secret_commands:add_secret_commands": "secret",
    "token_commands:add_token_commands": "token",
}


def make_app(word: str | None = None) -> typer.Typer:
    """Build the command line.

    Args:
        word: The only command or group that is needed: the others are not imported, which takes most of the
            time of a short command. None, and a word that is unknown, builds all.
    """
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_take_global_options)
    needed = [group for group, words in _GROUPS.items() if word in words.split()]
    for group in needed or _GROUPS:
        module, _, adder = group.partition(":")
        getattr(import_module(f"signerd.cli.{module}"), adder)(app)
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
    look_for_cycles_seldom()
    try:
        make_app(next(iter(sys.argv[1:]), None))()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        look_for_no_more_cycles()
