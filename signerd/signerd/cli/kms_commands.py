"""`signerd seal`, `signerd unseal` and `signerd kms`: seals and rotation, over the control socket only."""

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.cli.control_client import SLOW_SECONDS, send_command
from signerd.cli.passphrase_input import PassphraseInput
from signerd.cli.status import JsonOption
from signerd.cli.status_report import KmsStatus, SealStatus, read_report
from signerd.cli.status_table import print_seals
from signerd.control.line_server import read_object

PROGRESS_SECONDS = 0.5
UNSEALED = "unsealed"
UNINITIALISED = "uninitialised"

FdOption = Annotated[
    int | None,
    typer.Option(
        "--fd",
        min=0,
        help="Read passphrases from this file descriptor, one a line in the order of the seals; no prompt.",
    ),
]
OrganisationOption = Annotated[
    str | None, typer.Option("--organisation", help="Identity of the only organisation to do this for.")
]
RemoveOption = Annotated[
    str | None, typer.Option("--remove", metavar="SEAL", help="Instead, take the root key from this seal.")
]


def add_kms_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("seal")(explain_errors(seal))
    app.command("unseal")(explain_errors(unseal))
    group = typer.Typer(no_args_is_help=True, help="Look after the seals and keys of the KMS.")
    group.callback()(_describe)
    group.command("status")(explain_errors(status))
    group.command("rotate-root")(explain_errors(rotate_root))
    group.command("rotate-kek")(explain_errors(rotate_kek))
    group.command("rewrap")(explain_errors(rewrap))
    group.command("reseal")(explain_errors(reseal))
    group.command("shred")(explain_errors(shred))
    app.add_typer(group, name="kms")


def _describe() -> None:
    """Look after the seals and keys of the KMS."""


def seal(config: ConfigOption = None, state: StateOption = None) -> None:
    """Wipe all keys from the server's memory.

    Zones are served on, and not signed, until `unseal` or a restart.
    """
    _echo(send_command(_find_socket(config, state), "seal", timeout=SLOW_SECONDS))


def unseal(fd: FdOption = None, config: ConfigOption = None, state: StateOption = None) -> None:
    """Open the KMS, asking for the passphrase if there is a seal that has one."""
    socket = _find_socket(config, state)
    known = _ask_status(socket)
    if known.state == UNSEALED:
        typer.echo("the KMS is unsealed already")
        return
    source = PassphraseInput(fd)
    if known.state == UNINITIALISED:
        passphrases = source.read(known.seals, is_new=True)
        _echo(send_command(socket, "unseal", {"passphrases": passphrases}, timeout=SLOW_SECONDS))
        return
    _echo(_unseal(socket, known.seals, source))


def _unseal(socket: Path, seals: Sequence[SealStatus], source: PassphraseInput) -> dict[str, object]:
    """Try the seals that need nothing, then one passphrase after the other: any one suffices."""
    try:
        return send_command(socket, "unseal", timeout=SLOW_SECONDS)
    except CommandFailed:
        if not any(seal.has_passphrase for seal in seals):
            raise
    failure: CommandFailed | None = None
    for seal_status in seals:
        if seal_status.has_passphrase:
            passphrases = source.read([seal_status], is_new=False)
            try:
                return send_command(socket, "unseal", {"passphrases": passphrases}, timeout=SLOW_SECONDS)
            except CommandFailed as error:
                failure = error
    assert failure is not None  # noqa: S101  # there is a seal with a passphrase
    raise failure


def status(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Show whether the KMS is sealed, and which seals hold the root key."""
    known = _ask_status(_find_socket(config, state))
    if as_json:
        typer.echo(json.dumps(known.model_dump(mode="json"), indent=2))
    else:
        print_seals(known, sys.stdout)


def rotate_root(fd: FdOption = None, config: ConfigOption = None, state: StateOption = None) -> None:
    """Make a new root key. Every seal that holds it must be at hand."""
    socket = _find_socket(config, state)
    holders = [known for known in _ask_status(socket).seals if known.holds_root_key]
    passphrases = PassphraseInput(fd).read(holders, is_new=False)
    _work(socket, "kms_rotate_root", {"passphrases": passphrases})


def rotate_kek(
    organisation: OrganisationOption = None, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Make new key-encryption keys and wrap all keys under them. May be interrupted; the server goes on."""
    _work(_find_socket(config, state), "kms_rotate_kek", {"organisation": organisation})


def rewrap(config: ConfigOption = None, state: StateOption = None) -> None:
    """Go on wrapping keys under the newest key-encryption keys, and destroy old ones that nothing needs."""
    _work(_find_socket(config, state), "kms_rewrap", {})


def reseal(
    remove: RemoveOption = None,
    fd: FdOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Wrap the root key anew under every configured seal, also under new ones."""
    socket = _find_socket(config, state)
    seals = _ask_status(socket).seals
    if remove is None:
        passphrases = PassphraseInput(fd).read(seals, is_new=True)
    else:  # another seal must open the root key; a passphrase is asked for only if nothing else is left
        others = [
            known for known in seals if known.id != remove and known.configured and known.holds_root_key
        ]
        is_asked = all(known.has_passphrase for known in others)
        passphrases = PassphraseInput(fd).read(others, is_new=False) if is_asked else {}
    _work(socket, "kms_reseal", {"passphrases": passphrases, "remove": remove})


def shred(
    organisation: Annotated[
        str, typer.Option("--organisation", help="Identity or slug of the organisation.")
    ],
    region: Annotated[str | None, typer.Option("--region", help="Only the keys of this region.")] = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm", metavar="IDENTITY", help="Identity of the organisation; instead of asking."
        ),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Destroy all keys of an organisation, and all that they encrypt. This cannot be undone."""
    socket = _find_socket(config, state)
    place = {"organisation": organisation, "region": region}
    found = read_object(send_command(socket, "kms_shred", place, timeout=SLOW_SECONDS).get("shred")) or {}
    identity, zones = str(found.get("organisation")), found.get("zones")
    where = f", region {found.get('region')}" if region is not None else ""
    typer.echo(
        f"This destroys {found.get('keys')} keys and {found.get('keks')} key-encryption keys of organisation "
        f"{identity}{where}, and with them everything encrypted by these keys, secrets included.",
        err=True,
    )
    if isinstance(zones, list) and zones:
        names = ", ".join(map(str, cast("list[object]", zones)))
        typer.echo(f"Zones that can be signed no more: {names}", err=True)
    if confirm is None:
        if not sys.stdin.isatty():
            raise CommandFailed(
                "nobody is there to ask: confirm it with --confirm and the organisation's identity"
            )
        confirm = typer.prompt("Type the identity of the organisation to go on", err=True)
    if confirm != identity:
        raise CommandFailed(f"not confirmed: that is not {identity}; nothing is destroyed")
    _echo(send_command(socket, "kms_shred", {**place, "token": found.get("token")}, timeout=SLOW_SECONDS))


def _find_socket(config: Path | None, state: Path | None) -> Path:
    return find_state(config, state).control_socket


def _ask_status(socket: Path) -> KmsStatus:
    reply = send_command(socket, "kms_status")
    found = read_report({"kms": reply.get("kms")}).kms
    if found is None:
        raise CommandFailed("the server's reply is not understood: it does not describe the KMS")
    return found


def _work(socket: Path, command: str, arguments: Mapping[str, object]) -> None:
    """Have work done and show how far it is, on a terminal."""
    done = threading.Event()
    watcher = threading.Thread(target=_show_progress, args=(socket, done), daemon=True)
    if os.isatty(sys.stderr.fileno()):
        watcher.start()
    try:
        reply = send_command(socket, command, arguments, timeout=SLOW_SECONDS)
    finally:
        done.set()
        if watcher.is_alive():
            watcher.join()
    _echo(reply)


def _show_progress(socket: Path, done: threading.Event) -> None:
    while not done.wait(PROGRESS_SECONDS):
        try:
            progress = _ask_status(socket).progress
        except CommandFailed:
            continue
        if progress is not None:
            seen, rewrapped = progress.get("seen"), progress.get("rewrapped")
            typer.echo(f"{progress.get('source')}: {seen} seen, {rewrapped} rewrapped", err=True)


def _echo(reply: dict[str, object]) -> None:
    message = reply.get("message")
    typer.echo(message if isinstance(message, str) else "done")
