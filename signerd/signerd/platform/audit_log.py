"""The audit log: a hash chain for each organisation and one for the instance, in the database.

Leaf n is SHA-256(0x00 || record), and hash n is SHA-256(0x02 || hash n-1 || leaf n). Hash 0 is SHA-256(0x03
|| name of the chain), so that a chain cannot be passed off as another's.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from signerd.platform.audit_entry import AuditEntry, make_entry
from signerd.platform.canonical_json import encode_canonical
from signerd.platform.tables import audit_entries, audit_heads
from signerd_kms.audit import AuditEvent
from signerd_kms.identity import new_identity

INSTANCE_CHAIN = "instance"
_BATCH = 1000  # entries read at a time when a chain is verified


class AuditChainBroken(Exception):
    """A chain does not verify.

    Attributes:
        chain: Identity of the organisation, or `instance`.
        sequence: The entry at which it breaks.
    """

    def __init__(self, chain: str, sequence: int, reason: str) -> None:
        super().__init__(f"audit chain {chain}: entry {sequence} {reason}")
        self.chain = chain
        self.sequence = sequence


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a chain ends.

    Attributes:
        sequence: Of the newest entry, counted from 1; 0 for an empty chain.
        hash: Of the chain up to it, 32 octets.
    """

    sequence: int
    hash: bytes


class AuditLog:
    """An audit sink that keeps events in the tables."""

    def record(self, connection: Connection, event: AuditEvent) -> None:
        """Append an event to the chain of its organisation; the caller commits."""
        self.append(connection, make_entry(event))

    def append(self, connection: Connection, entry: AuditEntry) -> None:
        """Append an entry to the chain of its organisation; the caller commits."""
        chain = entry.organisation or INSTANCE_CHAIN
        stored = _read_head(connection, chain)
        head = stored or ChainHead(0, compute_first_hash(chain))
        sequence = head.sequence + 1
        event_id = new_identity("ev")
        record = _encode(entry, chain, sequence, event_id)
        new = compute_next_hash(head.hash, record)
        connection.execute(
            insert(audit_entries).values(
                chain=chain,
                sequence=sequence,
                event_id=event_id,
                at=entry.at,
                action=entry.action,
                actor=entry.actor,
                resource_type=entry.resource_type,
                resource=entry.resource,
                request_id=entry.request_id,
                record=record,
                hash=new,
            )
        )
        if stored is None:
            connection.execute(insert(audit_heads).values(chain=chain, sequence=sequence, hash=new))
        else:
            connection.execute(
                update(audit_heads).where(audit_heads.c.chain == chain).values(sequence=sequence, hash=new)
            )


def list_chains(connection: Connection) -> list[str]:
    """Give the names of all chains, of those that lost their head as well."""
    names = set(connection.execute(select(audit_entries.c.chain).distinct()).scalars())
    names.update(connection.execute(select(audit_heads.c.chain)).scalars())
    return sorted(names)


def verify_chain(connection: Connection, chain: str) -> ChainHead:
    """Verify a chain from its first entry to its head.

    Someone who rewrites every later entry and the head too is not found out: compare the result with one that
    was kept elsewhere.

    Raises:
        AuditChainBroken: An entry was changed, removed or moved; the message says which.
    """
    head = ChainHead(0, compute_first_hash(chain))
    while batch := connection.execute(
        select(audit_entries)
        .where(audit_entries.c.chain == chain, audit_entries.c.sequence > head.sequence)
        .order_by(audit_entries.c.sequence)
        .limit(_BATCH)
    ).all():
        for row in batch:
            expected = head.sequence + 1
            if row.sequence != expected:
                raise AuditChainBroken(chain, expected, "was removed")
            fields = _decode(row.record)
            if fields is None:
                raise AuditChainBroken(chain, expected, "was changed")
            number = fields.get("sequence")
            if isinstance(number, int) and number != expected:
                raise AuditChainBroken(chain, expected, f"was reordered: entry {number} is in its place")
            new = compute_next_hash(head.hash, row.record)
            if not hmac.compare_digest(new, row.hash):
                raise AuditChainBroken(chain, expected, "was changed")
            for name in ("at", "action", "actor", "resource_type", "resource", "request_id", "event_id"):
                if fields.get(name) != getattr(row, name):
                    raise AuditChainBroken(chain, expected, f"was changed: column {name} is not as recorded")
            head = ChainHead(expected, new)
    stored = _read_head(connection, chain)
    if stored is None and head.sequence:
        raise AuditChainBroken(chain, head.sequence, "is the last, and the head of the chain was removed")
    if stored is not None and stored.sequence > head.sequence:
        raise AuditChainBroken(chain, head.sequence + 1, f"up to {stored.sequence} were removed from the end")
    if stored is not None and stored != head:
        raise AuditChainBroken(chain, head.sequence, "is the last, and the head of the chain was changed")
    return head


def compute_first_hash(chain: str) -> bytes:
    """Compute the hash before the first entry of a chain."""
    return hashlib.sha256(b"\x03" + chain.encode()).digest()


def compute_next_hash(previous: bytes, record: bytes) -> bytes:
    """Compute the hash of a chain with one more record."""
    leaf = hashlib.sha256(b"\x00" + record).digest()
    return hashlib.sha256(b"\x02" + previous + leaf).digest()


def _read_head(connection: Connection, chain: str) -> ChainHead | None:
    row = connection.execute(
        select(audit_heads.c.sequence, audit_heads.c.hash)
        .where(audit_heads.c.chain == chain)
        .with_for_update()  # where several write at once; SQLite has one writer and ignores it
    ).first()
    return None if row is None else ChainHead(row.sequence, row.hash)


def _encode(entry: AuditEntry, chain: str, sequence: int, event_id: str) -> bytes:
    return encode_canonical({**entry.render(), "chain": chain, "event_id": event_id, "sequence": sequence})


def _decode(record: bytes) -> dict[str, object] | None:
    try:
        fields: object = json.loads(record)
    except ValueError:
        return None
    return {str(name): value for name, value in fields.items()} if isinstance(fields, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
