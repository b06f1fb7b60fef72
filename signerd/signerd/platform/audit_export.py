"""The audit log as JSON lines, and back: what is needed to verify it goes with it.

One object for each chain (its head and checkpoints), followed by one for each of its entries, in order.
"""

import base64
import binascii
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from sqlalchemy import Connection

from signerd.platform.audit_chain import (
    AuditChainBroken,
    ChainHead,
    ChainReport,
    ChainVerifier,
    StoredCheckpoint,
    StoredEntry,
    decode_record,
)
from signerd.platform.audit_log import list_checkpoints, read_head, walk_entries
from signerd.platform.canonical_json import Value, encode_canonical
from signerd.platform.signed_note import NoteVerifier

T = TypeVar("T")
FORMAT: Final = "signerd-audit/1"


class ExportMalformed(Exception):
    """The text is no export of an audit log."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The line before the entries of a chain."""

    chain: str
    head: ChainHead | None
    checkpoints: Sequence[StoredCheckpoint]


def export_chains(connection: Connection, chains: Sequence[str]) -> Iterator[str]:
    """Give the lines of an export.

    Args:
        connection: Sees one state for as long as this takes.
        chains: Which.
    """
    for chain in chains:
        head = read_head(connection, chain)
        yield _dump(
            {
                "format": FORMAT,
                "chain": chain,
                "head": _describe_head(head),
                "checkpoints": [
                    {
                        "sequence": kept.sequence,
                        "note": kept.note,
                        "frontier": base64.b64encode(kept.frontier).decode(),
                    }
                    for kept in list_checkpoints(connection, chain)
                ],
            }
        )
        for entry in walk_entries(connection, chain):
            yield _dump(
                {
                    "sequence": entry.sequence,
                    "hash": entry.hash.hex(),
                    "record": decode_record(entry.record),
                }
            )


def verify_export(
    lines: Iterable[str], verifiers: Sequence[NoteVerifier]
) -> Iterator[ChainReport | AuditChainBroken]:
    """Verify each chain of an export.

    Args:
        lines: Of the export.
        verifiers: Public keys of checkpoints that are trusted.

    Yields:
        The report of each chain, or why it does not verify.

    Raises:
        ExportMalformed: A line is none of an export.
    """
    reader = _Reader(lines)
    while (header := reader.next_header()) is not None:
        verifier = ChainVerifier(header.chain, header.checkpoints, verifiers)
        entries = reader.walk_entries()
        try:
            yield verifier.verify(entries, header.head)
        except AuditChainBroken as broken:
            for _ in entries:  # go on with the next chain
                pass
            yield broken


class _Reader:
    """Takes an export apart without holding all of it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._number = 0
        self._ahead: dict[str, object] | None = self._read()

    def _read(self) -> dict[str, object] | None:
        for line in self._lines:
            self._number += 1
            if not line.strip():
                continue
            members = decode_record(line.encode())
            if members is None:
                raise ExportMalformed(f"line {self._number} is no JSON object")
            return members
        return None

    def next_header(self) -> _Header | None:
        """Read the header of the next chain."""
        members = self._ahead
        if members is None:
            return None
        try:
            if members["format"] != FORMAT:
                raise ValueError
            head = cast("dict[str, object] | None", members["head"])
            kept = cast("list[dict[str, object]]", members["checkpoints"])
            header = _Header(
                _need(members["chain"], str),
                None if head is None else _read_head(head),
                [
                    StoredCheckpoint(
                        _need(one["sequence"], int),
                        _need(one["note"], str),
                        base64.b64decode(_need(one["frontier"], str), validate=True),
                    )
                    for one in kept
                ],
            )
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ExportMalformed(f"line {self._number} is not the beginning of a chain") from error
        self._ahead = self._read()
        return header

    def walk_entries(self) -> Generator[StoredEntry]:
        """Give the entries up to the next header."""
        while self._ahead is not None and "format" not in self._ahead:
            members = self._ahead
            self._ahead = None
            try:
                record = cast("dict[str, Value]", members["record"])
                entry = StoredEntry(
                    _need(members["sequence"], int),
                    encode_canonical(record),
                    bytes.fromhex(_need(members["hash"], str)),
                )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ExportMalformed(f"line {self._number} is no entry") from error
            self._ahead = self._read()
            yield entry


def _need(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _describe_head(head: ChainHead | None) -> dict[str, str | int] | None:
    if head is None:
        return None
    return {"sequence": head.sequence, "hash": head.hash.hex(), "start": head.start}


def _read_head(members: dict[str, object]) -> ChainHead:
    return ChainHead(
        _need(members["sequence"], int),
        bytes.fromhex(_need(members["hash"], str)),
        _need(members["start"], int),
    )


def _dump(members: object) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")) + "\n"
