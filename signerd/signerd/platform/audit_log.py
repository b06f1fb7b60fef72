"""The audit log in the database: a hash chain for each organisation and one for the instance."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from signerd.platform.audit_chain import (
    INSTANCE_CHAIN,
    ChainHead,
    ChainReport,
    ChainVerifier,
    StoredCheckpoint,
    StoredEntry,
    compute_first_hash,
    compute_next_hash,
)
from signerd.platform.audit_entry import AuditEntry, make_entry
from signerd.platform.canonical_json import encode_canonical
from signerd.platform.signed_note import NoteVerifier
from signerd.platform.tables import audit_checkpoints, audit_entries, audit_heads
from signerd_kms.audit import AuditEvent
from signerd_kms.identity import new_identity

_BATCH: Final = 1000  # entries read at a time when a chain is verified
_COLUMNS: Final = ("at", "action", "actor", "resource_type", "resource", "request_id", "event_id", "status")

_READ_HEAD: Final = (
    select(audit_heads.c.sequence, audit_heads.c.hash, audit_heads.c.start)
    .where(audit_heads.c.chain == bindparam("name"))
    .with_for_update()  # where several write at once; SQLite has one writer and ignores it
)
_MOVE_HEAD: Final = update(audit_heads).where(audit_heads.c.chain == bindparam("name"))
_ADD_ENTRY: Final = insert(audit_entries)


class AuditLog:
    """An audit sink that keeps events in the tables."""

    def __init__(self) -> None:
        self._gathering = _Gathering()

    def record(self, connection: Connection, event: AuditEvent) -> None:
        """Append an event to the chain of its organisation; the caller commits."""
        self.add(connection, make_entry(event))

    def add(self, connection: Connection, entry: AuditEntry) -> None:
        """Append an entry to the chain of its organisation, or at the end of `gather`; the caller commits."""
        gathering = self._gathering
        if gathering.connection is connection:
            encode_canonical(
                entry.render()
            )  # what cannot be stored fails here, not others who share a commit
            gathering.entries.append(entry)
        else:
            self.append(connection, entry)

    @contextmanager
    def gather(self, connection: Connection) -> Generator["GatheredEntries"]:
        """Keep what this thread adds in a transaction until the block ends, and append it then."""
        gathering = self._gathering
        gathering.connection, gathering.entries = connection, []
        try:
            yield GatheredEntries(gathering.entries)
            chains: dict[str, list[AuditEntry]] = {}
            for entry in gathering.entries:
                chains.setdefault(entry.organisation or INSTANCE_CHAIN, []).append(entry)
            for chain, entries in chains.items():
                _append_all(connection, chain, entries)
        finally:
            gathering.connection, gathering.entries = None, []

    def append(self, connection: Connection, entry: AuditEntry, chain: str | None = None) -> ChainHead:
        """Append an entry at once; the caller commits.

        Args:
            connection: Inside a write transaction.
            entry: What happened.
            chain: To append to; that of the entry's organisation if None.

        Returns:
            The new head.
        """
        return _append_all(connection, chain or entry.organisation or INSTANCE_CHAIN, [entry])


class _Gathering(threading.local):
    """What a thread gathers."""

    connection: Connection | None = None

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []


class GatheredEntries:
    """Entries of a transaction under way that are not appended yet."""

    def __init__(self, entries: list[AuditEntry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        """Say how many there are."""
        return len(self._entries)

    def forget(self, since: int) -> None:
        """Drop those from a number on."""
        del self._entries[since:]


def _append_all(connection: Connection, chain: str, entries: Sequence[AuditEntry]) -> ChainHead:
    """Append entries to a chain, which is read and moved once."""
    stored = read_head(connection, chain)
    head = stored or ChainHead(0, compute_first_hash(chain))
    rows: list[dict[str, object]] = []
    for entry in entries:
        sequence = head.sequence + 1
        event_id = new_identity("ev")
        record = encode_canonical(
            {**entry.render(), "chain": chain, "event_id": event_id, "sequence": sequence}
        )
        head = ChainHead(sequence, compute_next_hash(head.hash, record), head.start)
        rows.append(
            {
                "chain": chain,
                "sequence": sequence,
                "event_id": event_id,
                "at": entry.at,
                "action": entry.action,
                "actor": entry.actor,
                "resource_type": entry.resource_type,
                "resource": entry.resource,
                "request_id": entry.request_id,
                "status": entry.status,
                "description": entry.description,
                "record": record,
                "hash": head.hash,
            }
        )
    connection.execute(_ADD_ENTRY, rows)
    if stored is None:
        connection.execute(
            insert(audit_heads), {"chain": chain, "sequence": head.sequence, "hash": head.hash}
        )
    else:
        connection.execute(_MOVE_HEAD, {"name": chain, "sequence": head.sequence, "hash": head.hash})
    return head


def list_chains(connection: Connection) -> list[str]:
    """Give the names of all chains, of those that lost their head as well."""
    names = set(connection.execute(select(audit_entries.c.chain).distinct()).scalars())
    names.update(connection.execute(select(audit_heads.c.chain)).scalars())
    return sorted(names)


def verify_chain(connection: Connection, chain: str, verifiers: Sequence[NoteVerifier] = ()) -> ChainReport:
    """Verify a chain from the first entry that is kept to its head.

    Args:
        connection: Sees one state for as long as this takes.
        chain: Identity of the organisation, or `instance`.
        verifiers: Public keys of checkpoints; without them checkpoints are not looked at.

    Raises:
        AuditChainBroken: An entry was changed, removed or moved; the message says which.
    """
    verifier = ChainVerifier(chain, list_checkpoints(connection, chain) if verifiers else (), verifiers)
    return verifier.verify(walk_entries(connection, chain), read_head(connection, chain))


def verify_newest(connection: Connection, chain: str, verifiers: Sequence[NoteVerifier]) -> ChainReport:
    """Verify the newest part of a chain: what came since the last checkpoint but one.

    Raises:
        AuditChainBroken: An entry was changed, removed or moved; the message says which.
    """
    kept = list_checkpoints(connection, chain)[-2:]
    after = kept[0].sequence if len(kept) == 2 else 0
    verifier = ChainVerifier(chain, kept, verifiers)
    return verifier.verify(walk_entries(connection, chain, after), read_head(connection, chain))


def walk_entries(connection: Connection, chain: str, after: int = 0) -> Iterator[StoredEntry]:
    """Give the entries of a chain in order.

    Args:
        connection: Sees one state for as long as this takes.
        chain: Identity of the organisation, or `instance`.
        after: Sequence of the entry after which to begin.
    """
    while batch := connection.execute(
        select(audit_entries)
        .where(audit_entries.c.chain == chain, audit_entries.c.sequence > after)
        .order_by(audit_entries.c.sequence)
        .limit(_BATCH)
    ).all():
        for row in batch:
            after = row.sequence
            columns = {name: getattr(row, name) for name in _COLUMNS}
            yield StoredEntry(row.sequence, row.record, row.hash, columns)


def list_checkpoints(connection: Connection, chain: str) -> list[StoredCheckpoint]:
    """Give the checkpoints of a chain in order of sequence."""
    query = (
        select(audit_checkpoints)
        .where(audit_checkpoints.c.chain == chain)
        .order_by(audit_checkpoints.c.sequence)
    )
    return [StoredCheckpoint(row.sequence, row.note, row.frontier) for row in connection.execute(query)]


def read_head(connection: Connection, chain: str) -> ChainHead | None:
    """Give where a chain ends; None if it has no entries."""
    row = connection.execute(_READ_HEAD, {"name": chain}).first()
    return None if row is None else ChainHead(row.sequence, row.hash, row.start or 0)
