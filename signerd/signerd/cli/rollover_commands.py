"""`signerd rollover`: the replacement of keys, as it stands and on command."""

import json
import time
from typing import Annotated

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import send_command
from signerd.cli.rollover_report import print_report, read_report
from signerd.cli.zone_argument import ZoneArgument, read_zone_argument
from signerd.zones.zone_list import format_zone_name

PERSON_NEEDED = 3  # exit status of `status --exit-code`; 1 and 2 say that the command itself failed

NumberArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", help="Of the rollover, as 'signerd rollover status' says.")
]


def add_rollover_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Show, start, approve and abort the replacement of keys.")
    group.command("status")(explain_errors(show_status))
    group.command("start")(explain_errors(start))
    group.command("approve")(explain_errors(approve))
    group.command("abort")(explain_errors(abort))
    app.add_typer(group, name="rollover")


def show_status(
    zone: Annotated[str | None, typer.Argument(metavar="[ZONE]", help="Without it, all zones.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With the state of each key and each step.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"Exit with {PERSON_NEEDED} if a person must act.")
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say in one sentence a zone where its keys stand, what they wait for and who must act."""
    name = None if zone is None else format_zone_name(read_zone_argument(zone))
    reply = send_command(find_state(config, state).control_socket, "rollover_status", {"zone": name})
    report = read_report(reply)
    if as_json:
        document = {member: value for member, value in reply.items() if member != "ok"}
        typer.echo(json.dumps(document, indent=2))
    else:
        print_report(report, int(time.time()), is_verbose=verbose)
    if exit_code and any(plan.duties for plan in report.zones):
        raise typer.Exit(PERSON_NEEDED)


def start(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="zsk, ksk, csk; or algorithm, which is only needed if it does not begin by itself.",
        ),
    ],
    zone: ZoneArgument,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Begin to replace keys, ahead of the policy's time."""
    _command("rollover_start", zone, {"kind": kind.lower()}, config, state)


def approve(
    zone: ZoneArgument,
    number: NumberArgument,
    step: Annotated[
        str | None,
        typer.Argument(metavar="[STEP]", help="Without it, the step that waits for approval."),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let a step happen that the policy has set to 'ask'."""
    step = None if step is None else step.lower()
    _command("rollover_approve", zone, {"number": number, "step": step}, config, state)


def abort(
    zone: ZoneArgument, number: NumberArgument, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Turn a rollover back, with the same care. Possible until the old key is being withdrawn."""
    _command("rollover_abort", zone, {"number": number}, config, state)


def _command(
    command: str, zone: str, arguments: dict[str, object], config: ConfigOption, state: StateOption
) -> None:
    name = format_zone_name(read_zone_argument(zone))
    reply = send_command(find_state(config, state).control_socket, command, {"zone": name, **arguments})
    message = reply.get("message")
    if isinstance(message, str):
        typer.echo(message)
