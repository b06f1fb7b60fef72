"""`signerd audit`: verify the log, take it along, and the keys to check it with."""

import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from signerd.cli.command_errors import FAILED, CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, find_state
from signerd.config.state_directory import StateDirectory
from signerd.platform.audit_chain import AuditChainBroken, ChainReport
from signerd.platform.audit_export import ExportMalformed, export_chains, verify_export
from signerd.platform.audit_log import list_chains, verify_chain
from signerd.platform.checkpoint_rows import list_newest, list_verifiers
from signerd.platform.signed_note import NoteRefused, NoteVerifier
from signerd.store.engine import DatabaseRefused, open_database
from signerd_kms.audited_store import READ_ONLY

ExportFile = Annotated[
    Path | None,
    typer.Argument(metavar="[EXPORT]", help="Made by `signerd audit export`; - is input."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--public-key", metavar="FILE", help="Trusted keys, as printed by `signerd audit key`."),
]
ChainOption = Annotated[
    list[str] | None,
    typer.Option("--chain", metavar="NAME", help="An organisation's identity, or `instance`; default all."),
]


def add_audit_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The audit log.")
    group.command("export")(explain_errors(export))
    group.command("checkpoint")(explain_errors(checkpoint))
    group.command("key")(explain_errors(key))
    group.command("verify")(explain_errors(verify))
    app.add_typer(group, name="audit")


def verify(
    file: ExportFile = None,
    public_key: KeyFile = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Verify the log, or an export of it, and say which entry was changed, removed or reordered.

    Works whether or not the server runs. With --public-key checkpoints count only if those keys signed them;
    keep a copy of the key elsewhere, since whoever can change the database can change the key in it.
    """
    trusted = _read_keys(public_key) if public_key is not None else None
    if file is not None:
        if trusted is None:
            raise CommandFailed("an export is verified with --public-key FILE; `signerd audit key` prints it")
        broken = _report(_verify_file(file, trusted))
    else:
        with _open(find_state(config, state)) as connection:
            keys = list_verifiers(connection) if trusted is None else trusted
            broken = _report(_verify_database(connection, keys))
    if broken:
        raise typer.Exit(FAILED)


def export(chain: ChainOption = None, config: ConfigOption = None, state: StateOption = None) -> None:
    """Print the log as JSON lines, with all that is needed to verify it."""
    with _open(find_state(config, state)) as connection:
        sys.stdout.writelines(export_chains(connection, _choose(connection, chain)))


def checkpoint(chain: ChainOption = None, config: ConfigOption = None, state: StateOption = None) -> None:
    """Print the newest signed checkpoint of each chain, to be kept elsewhere."""
    with _open(find_state(config, state)) as connection:
        notes = list_newest(connection)
        for name in _choose(connection, chain):
            if name in notes:
                typer.echo(notes[name])


def key(config: ConfigOption = None, state: StateOption = None) -> None:
    """Print the public keys that verify checkpoints, one a line, the newest last."""
    with _open(find_state(config, state)) as connection:
        for verifier in list_verifiers(connection):
            typer.echo(str(verifier))


@contextmanager
def _open(state: StateDirectory) -> Generator[Connection]:
    if not state.database.exists():
        raise CommandFailed(f"{state.database}: there is no database; name the state directory with --state")
    try:
        engine = open_database(state.database)
        with engine.execution_options(**{READ_ONLY: True}).connect() as connection:
            yield connection
        engine.dispose()
    except DatabaseRefused as error:
        raise CommandFailed(str(error)) from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or type(error).__name__
        raise CommandFailed(f"{state.database}: the database cannot be read: {reason}") from error


def _choose(connection: Connection, wanted: Sequence[str] | None) -> Sequence[str]:
    known = list_chains(connection)
    for name in wanted or ():
        if name not in known:
            raise CommandFailed(f"there is no chain {name}; there are: {', '.join(known)}")
    return wanted or known


def _read_keys(file: Path) -> list[NoteVerifier]:
    try:
        return [NoteVerifier.parse(line) for line in file.read_text().splitlines() if line.strip()]
    except NoteRefused as error:
        raise CommandFailed(f"{file}: {error}") from error


def _verify_database(
    connection: Connection, keys: Sequence[NoteVerifier]
) -> Iterator[ChainReport | AuditChainBroken]:
    for name in list_chains(connection):
        try:
            yield verify_chain(connection, name, keys)
        except AuditChainBroken as broken:
            yield broken


def _verify_file(file: Path, keys: Sequence[NoteVerifier]) -> Iterator[ChainReport | AuditChainBroken]:
    try:
        if str(file) == "-":
            yield from verify_export(sys.stdin, keys)
            return
        with file.open(encoding="utf-8") as lines:
            yield from verify_export(lines, keys)
    except ExportMalformed as error:
        raise CommandFailed(f"{file}: {error}") from error


def _report(results: Iterable[ChainReport | AuditChainBroken]) -> bool:
    """Print what was found; say if anything is broken."""
    is_broken = False
    for result in results:
        if isinstance(result, AuditChainBroken):
            typer.echo(str(result), err=True)
            is_broken = True
            continue
        for text in result.acknowledged:
            typer.echo(f"{text} (acknowledged by an operator)")
        typer.echo(
            f"audit chain {result.chain}: entries {result.first} to {result.sequence} are in order, "
            f"{result.checkpoints} checkpoints fit"
        )
    return is_broken
