"""Reading the tables of checkpoints."""

from sqlalchemy import Connection, func, select

from signerd.platform.audit_chain import StoredCheckpoint
from signerd.platform.signed_note import NoteVerifier
from signerd.platform.tables import audit_checkpoints, audit_keys


def list_verifiers(connection: Connection) -> list[NoteVerifier]:
    """Give the public keys of all checkpoints, the oldest first."""
    query = select(audit_keys.c.verifier).order_by(audit_keys.c.created_at)
    return [NoteVerifier.parse(text) for text in connection.execute(query).scalars()]


def read_newest(connection: Connection, chain: str) -> StoredCheckpoint | None:
    """Give the newest checkpoint of a chain."""
    row = connection.execute(
        select(audit_checkpoints)
        .where(audit_checkpoints.c.chain == chain)
        .order_by(audit_checkpoints.c.sequence.desc())
        .limit(1)
    ).first()
    return None if row is None else StoredCheckpoint(row.sequence, row.note, row.frontier)


def list_newest(connection: Connection) -> dict[str, str]:
    """Give the newest checkpoint of each chain, as notes."""
    newest = (
        select(audit_checkpoints.c.chain, func.max(audit_checkpoints.c.sequence).label("sequence"))
        .group_by(audit_checkpoints.c.chain)
        .subquery()
    )
    query = select(audit_checkpoints.c.chain, audit_checkpoints.c.note).join(
        newest,
        (newest.c.chain == audit_checkpoints.c.chain) & (newest.c.sequence == audit_checkpoints.c.sequence),
    )
    return {str(chain): str(note) for chain, note in connection.execute(query)}
