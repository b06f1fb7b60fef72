"""Passphrases, and PINs of tokens, from the terminal or from a file descriptor."""

import getpass
import os
from collections.abc import Iterator, Sequence

from signerd.cli.command_errors import CommandFailed
from signerd.cli.status_report import SealStatus

MAX_INPUT_OCTETS = 1 << 16


class PassphraseInput:
    """Asks for the passphrases of seals."""

    def __init__(self, descriptor: int | None) -> None:
        """Choose where they come from: a file descriptor, the terminal if None."""
        self._lines = None if descriptor is None else iter(_read_lines(descriptor))

    def read(self, seals: Sequence[SealStatus], *, is_new: bool) -> dict[str, str]:
        """Ask for the passphrase of each seal that has one.

        Args:
            seals: All seals.
            is_new: Whether the passphrases are set now, so that a slip of the finger would lock the KMS.

        Returns:
            Passphrases by seal; empty if no seal has one.

        Raises:
            CommandFailed: There is none, or two entries differ.
        """
        wanted = [seal for seal in seals if seal.has_passphrase]
        if self._lines is not None:
            return {seal.id: _take(self._lines, seal.id) for seal in wanted}
        return {seal.id: _ask(seal, is_new=is_new) for seal in wanted}


def _read_lines(descriptor: int) -> list[str]:
    octets = b""
    try:
        while chunk := os.read(descriptor, MAX_INPUT_OCTETS):
            octets += chunk
            if len(octets) > MAX_INPUT_OCTETS:
                raise CommandFailed(
                    f"more than {MAX_INPUT_OCTETS} octets came from file descriptor {descriptor}"
                )
    except OSError as error:
        raise CommandFailed(f"file descriptor {descriptor} cannot be read: {error.strerror}") from error
    try:
        return octets.decode().splitlines()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"what came from file descriptor {descriptor} is not UTF-8") from error


def _take(lines: Iterator[str], seal_id: str) -> str:
    passphrase = next(lines, "")
    if not passphrase:
        raise CommandFailed(f"no line with the passphrase of seal {seal_id!r} came from the file descriptor")
    return passphrase


def _ask(seal: SealStatus, *, is_new: bool) -> str:
    try:
        passphrase = getpass.getpass(f"{seal.secret_name} of seal {seal.id}: ")
        if not passphrase:
            raise CommandFailed(f"no {'PIN' if seal.kind == 'pkcs11' else 'passphrase'} was given")
        # a token knows its PIN already, and says so at once if it is another
        if is_new and seal.kind == "passphrase" and getpass.getpass("Once more: ") != passphrase:
            raise CommandFailed("the two entries differ")
    except EOFError as error:
        raise CommandFailed("there is no terminal to ask for the passphrase: use --fd") from error
    return passphrase
