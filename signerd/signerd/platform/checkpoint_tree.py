"""The tree that a checkpoint signs the root of, grown from the checkpoint before."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from signerd.platform.audit_chain import (
    AuditChainBroken,
    ChainHead,
    ChainVerifier,
    compute_first_hash,
    compute_next_hash,
)
from signerd.platform.audit_log import read_head, walk_entries
from signerd.platform.checkpoint_rows import read_newest
from signerd.platform.merkle import Frontier, hash_leaf
from signerd.platform.signed_note import NoteVerifier
from signerd.platform.tables import audit_entries


@dataclass(frozen=True, slots=True)
class Tree:
    """A chain up to its head, with the tree over its entries."""

    head: ChainHead
    frontier: Frontier


def grow_tree(connection: Connection, chain: str, trusted: Sequence[NoteVerifier]) -> Tree:
    """Go from the newest checkpoint of a chain to its head, and verify the way.

    Args:
        connection: Sees one state for as long as this takes.
        chain: Identity of the organisation, or `instance`.
        trusted: Public keys of checkpoints.

    Raises:
        AuditChainBroken: It does not verify.
    """
    stored = read_head(connection, chain)
    if stored is None:
        raise AuditChainBroken(chain, 1, "or the head of the chain was removed")
    position = ChainHead(0, compute_first_hash(chain), 0)
    frontier = Frontier()
    kept = read_newest(connection, chain)
    if kept is not None:
        checkpoint = ChainVerifier(chain, [kept], trusted).open_checkpoint(kept)
        position = ChainHead(checkpoint.sequence, checkpoint.chain_hash, checkpoint.start)
        frontier = Frontier.parse(checkpoint.sequence - checkpoint.start, kept.frontier)
    if stored.start > position.start:  # a break was acknowledged since
        position, frontier = _restart(connection, chain, stored.start), Frontier()
    for entry in walk_entries(connection, chain, position.sequence):
        new = compute_next_hash(position.hash, entry.record)
        if entry.sequence != position.sequence + 1 or new != entry.hash:
            raise AuditChainBroken(chain, position.sequence + 1, "was changed or removed")
        position = ChainHead(entry.sequence, new, position.start)
        frontier = frontier.grow([hash_leaf(entry.record)])
    if position != stored:
        raise AuditChainBroken(chain, position.sequence, "is not where the head of the chain stands")
    return Tree(position, frontier)


def _restart(connection: Connection, chain: str, start: int) -> ChainHead:
    query = select(audit_entries.c.hash).where(
        audit_entries.c.chain == chain, audit_entries.c.sequence == start
    )
    return ChainHead(start, connection.execute(query).scalar_one(), start)
