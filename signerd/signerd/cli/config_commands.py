"""`signerd config`: checking and showing the configuration."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from signerd.cli.command_errors import FAILED, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config
from signerd.cli.zone_check import check_zone_files
from signerd.config.loader import load_config
from signerd.zones.notice import Severity

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration file.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def add_config_commands(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Check and show the configuration.")
    group.command("check")(explain_errors(check))
    group.command("show")(explain_errors(show))
    app.add_typer(group, name="config")


def check(file: FileArgument, quiet: QuietOption = False) -> None:
    """Check a configuration file, and the zone files it leads to.

    Prints every problem as FILE:LINE: OPTION: REASON and exits with 1 if there is an error.
    """
    config = load_config(file)
    report = check_zone_files(config)
    errors = [notice for notice in report.notices if notice.severity is Severity.ERROR]
    for notice in errors if quiet else report.notices:
        typer.echo(str(notice), err=notice.severity is Severity.ERROR)
    if errors:
        raise typer.Exit(FAILED)
    if not quiet:
        zones = "1 zone" if report.zones == 1 else f"{report.zones} zones"
        policies = "1 policy" if len(config.policies) == 1 else f"{len(config.policies)} policies"
        addresses = " ".join(map(str, config.listen))
        typer.echo(f"{file}: good: {zones}, {policies}, listens on {addresses}")


def show(config: ConfigOption = None, state: StateOption = None) -> None:
    """Print the configuration in force, defaults included, as YAML."""
    options = read_config(config, state)
    members = options.model_dump(mode="json")
    # Some versions of the stubs leave the type of `width` open, which pyright does not like.
    text = yaml.safe_dump(members, sort_keys=False, allow_unicode=True)  # pyright: ignore[reportUnknownMemberType]
    typer.echo(text, nl=False)
