"""`signerd webhook`: try receivers of events, see what waits for them, give them the secret."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, cast

import typer

from signerd.cli.command_errors import explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import send_command
from signerd.cli.status_table import clean_text

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WebhookArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME|URL]", help="One webhook; without it, all.", show_default=False)
]
VersionOption = Annotated[
    int | None, typer.Option("--version", help="Of the key, as in the signature; the newest without it.")
]
TEST_SECONDS = 90.0  # an attempt takes up to a minute


def add_webhook_commands(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Try webhooks, and see what waits for them.")
    group.callback()(_describe)
    group.command("list")(explain_errors(list_webhooks))
    group.command("test")(explain_errors(try_webhooks))
    group.command("secret")(explain_errors(print_secret))
    app.add_typer(group, name="webhook")


def _describe() -> None:
    """Try webhooks, and see what waits for them."""


def list_webhooks(
    as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None
) -> None:
    """List the webhooks, what was delivered since the start and what waits."""
    reply = send_command(find_state(config, state).control_socket, "webhook_list")
    webhooks = cast("list[Mapping[str, object]]", reply.get("webhooks", []))
    if as_json:
        typer.echo(json.dumps({"webhooks": webhooks}, indent=2))
        return
    for webhook in webhooks:
        waiting = "?" if webhook.get("waiting") is None else webhook["waiting"]
        line = (
            f"{webhook.get('name')}: {webhook.get('sent')} sent, {waiting} waiting, "
            f"{webhook.get('failed_attempts')} attempts failed, {webhook.get('given_up')} given up"
        )
        error = webhook.get("last_error")
        typer.echo(clean_text(f"{line}; last error: {error}" if error else line))
    if not webhooks:
        typer.echo("no webhooks; see `webhooks` in config/signerd.yaml")


def try_webhooks(
    webhook: WebhookArgument = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Send a test event now, once, and say what came of it."""
    socket = find_state(config, state).control_socket
    reply = send_command(socket, "webhook_test", {"webhook": webhook}, timeout=TEST_SECONDS)
    results = cast("list[Mapping[str, object]]", reply.get("results", []))
    if as_json:
        typer.echo(json.dumps({"results": results}, indent=2))
    else:
        for result in results:
            outcome = "delivered" if result.get("delivered") else f"not delivered: {result.get('reason')}"
            typer.echo(clean_text(f"{result.get('webhook')}: {outcome}"))
    if not all(result.get("delivered") for result in results):
        raise typer.Exit(1)


def print_secret(
    webhook: WebhookArgument = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Print the secret (base64) that a receiver checks signatures with; the audit log tells of it."""
    socket = find_state(config, state).control_socket
    reply = send_command(socket, "webhook_secret", {"webhook": webhook, "version": version})
    if as_json:
        typer.echo(json.dumps({name: reply.get(name) for name in ("key", "version", "secret")}, indent=2))
        return
    typer.echo(f"key {reply.get('key')}, version {reply.get('version')}:", err=True)
    sys.stdout.write(f"{reply.get('secret')}\n")
