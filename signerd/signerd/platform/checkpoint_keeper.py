"""Signs checkpoints of the audit chains, and lets old entries go behind them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select

from signerd.platform.audit_chain import (
    INSTANCE_CHAIN,
)
from signerd.platform.audit_entry import AuditEntry
from signerd.platform.audit_log import AuditLog
from signerd.platform.canonical_json import Value
from signerd.platform.checkpoint import Checkpoint, name_key
from signerd.platform.checkpoint_rows import (
    list_newest,
    list_verifiers,
)
from signerd.platform.checkpoint_tree import grow_tree
from signerd.platform.signed_note import NoteSigner, NoteVerifier
from signerd.platform.tables import audit_checkpoints, audit_entries, audit_heads, audit_keys
from signerd_kms.audited_store import READ_ONLY, AuditedStore
from signerd_kms.clock import Clock
from signerd_kms.schema import instance as instances
from signerd_kms.wrapping import LiveKey

logger = logging.getLogger(__name__)

_DAY: Final = 86400
_DROPPED_AT_ONCE: Final = 5000  # bounds how long one transaction keeps others waiting


@dataclass(frozen=True, slots=True)
class Due:
    """When a checkpoint is due.

    Attributes:
        entries: So many entries after the last one,
        seconds: or so long, if there is something new.
    """

    entries: int = 1000
    seconds: int = 60


class CheckpointKeeper:
    """Makes what is due. One at a time; for worker threads."""

    def __init__(
        self,
        engine: Engine,
        store: AuditedStore,
        audit: AuditLog,
        derive_seed: Callable[[], LiveKey],
        clock: Clock,
        due: Due,
    ) -> None:
        """Do nothing yet.

        Args:
            engine: The database, migrated, with an initialised KMS.
            store: Commits, together with others.
            audit: Where the retention is recorded.
            derive_seed: Gives the seed of the signing key: `lambda: kms.derive_key(Label.AUDIT_SIGN)`.
            clock: The wall clock.
            due: When a checkpoint is due.
        """
        self._due = due
        self._engine = engine.execution_options(**{READ_ONLY: True})
        self._store = store
        self._audit = audit
        self._derive_seed = derive_seed
        self._clock = clock
        self._known_keys: set[str] = set()
        with self._engine.connect() as connection:
            self._instance = str(connection.execute(select(instances.c.identity)).scalar_one())

    def open_signer(self) -> NoteSigner:
        """Give the signing key, and publish its public half in the database.

        Raises:
            Sealed: There is none now.
        """
        with self._derive_seed() as seed:
            signer = NoteSigner.from_seed(name_key(self._instance), seed.octets)
        text = str(signer.verifier)
        if text not in self._known_keys:
            self._store.write(lambda connection: self._publish_key(connection, text))
            self._known_keys.add(text)
        return signer

    def _publish_key(self, connection: Connection, text: str) -> None:
        if connection.execute(select(audit_keys).where(audit_keys.c.verifier == text)).first() is not None:
            return
        now = self._clock.now()
        connection.execute(insert(audit_keys), {"verifier": text, "created_at": now})
        self._audit.append(
            connection, AuditEntry(now, "audit.key", None, context={"result": "success", "verifier": text})
        )

    def list_verifiers(self) -> list[NoteVerifier]:
        """Give the public keys of all checkpoints."""
        with self._engine.connect() as connection:
            return list_verifiers(connection)

    def list_newest(self) -> dict[str, str]:
        """Give the newest checkpoint of each chain, as notes."""
        with self._engine.connect() as connection:
            return list_newest(connection)

    def sign_due(self) -> list[str]:
        """Sign a checkpoint of each chain for which one is due.

        Returns:
            The chains that have a new one.

        Raises:
            Sealed: The key cannot be had now.
            AuditChainBroken: A chain does not verify since its last checkpoint; those before it were signed.
        """
        due = self._list_due(self._clock.now())
        if due:
            signer = self.open_signer()
            for chain in due:
                self._sign(chain, signer)
        return due

    def _list_due(self, now: int) -> list[str]:
        with self._engine.connect() as connection:
            newest = (
                select(
                    audit_checkpoints.c.chain,
                    func.max(audit_checkpoints.c.sequence).label("sequence"),
                    func.max(audit_checkpoints.c.at).label("at"),
                )
                .group_by(audit_checkpoints.c.chain)
                .subquery()
            )
            rows = connection.execute(
                select(audit_heads.c.chain, audit_heads.c.sequence, newest.c.sequence, newest.c.at).outerjoin(
                    newest, newest.c.chain == audit_heads.c.chain
                )
            ).all()
        return [
            str(chain)
            for chain, head, checked, at in rows
            if head > (checked or 0)
            and (
                head - (checked or 0) >= self._due.entries
                or at is None
                or not 0 <= now - at < self._due.seconds
            )
        ]

    def _sign(self, chain: str, signer: NoteSigner) -> None:
        trusted = self.list_verifiers()
        with self._engine.connect() as connection:
            tree = grow_tree(connection, chain, trusted)
        head = tree.head
        checkpoint = Checkpoint(
            self._instance, chain, head.start, head.sequence, tree.frontier.compute_root(), head.hash
        )
        row = {
            "chain": chain,
            "sequence": head.sequence,
            "at": self._clock.now(),
            "note": signer.sign(checkpoint.render()),
            "frontier": tree.frontier.octets,
        }
        self._store.write(lambda connection: connection.execute(insert(audit_checkpoints), row))

    def drop_expired(self, retention_seconds: int) -> int:
        """Remove entries older than that, up to a checkpoint which vouches for them.

        The last checkpoint of each day stays for ever: with it what is left can be verified.

        Returns:
            How many entries were removed.
        """
        now = self._clock.now()
        dropped = 0
        with self._engine.connect() as connection:
            ends = connection.execute(
                select(audit_checkpoints.c.chain, func.max(audit_checkpoints.c.sequence))
                .where(audit_checkpoints.c.at < now - retention_seconds)
                .group_by(audit_checkpoints.c.chain)
            ).all()
            firsts = {
                str(chain): int(first)
                for chain, first in connection.execute(
                    select(audit_entries.c.chain, func.min(audit_entries.c.sequence)).group_by(
                        audit_entries.c.chain
                    )
                )
            }
        for chain, end in ends:
            first = firsts.get(chain)
            if first is not None and first <= end:
                self._drop_up_to(chain, first, end, now)
                dropped += end - first + 1
        return dropped

    def _drop_up_to(self, chain: str, first: int, end: int, now: int) -> None:
        for start in range(first, end + 1, _DROPPED_AT_ONCE):
            last = min(start + _DROPPED_AT_ONCE - 1, end)
            self._store.write(lambda connection: self._drop(connection, chain, last))  # noqa: B023  # runs now
        self._store.write(lambda connection: self._finish_drop(connection, chain, first, end, now))

    def _drop(self, connection: Connection, chain: str, last: int) -> None:
        connection.execute(
            delete(audit_entries).where(audit_entries.c.chain == chain, audit_entries.c.sequence <= last)
        )

    def _finish_drop(self, connection: Connection, chain: str, first: int, end: int, now: int) -> None:
        """Record what was removed, and thin out the checkpoints inside of it."""
        last_of_days = (
            select(func.max(audit_checkpoints.c.sequence))
            .where(audit_checkpoints.c.chain == chain)
            .group_by(audit_checkpoints.c.at // _DAY)
        )
        connection.execute(
            delete(audit_checkpoints).where(
                audit_checkpoints.c.chain == chain,
                audit_checkpoints.c.sequence < end,
                audit_checkpoints.c.sequence.not_in(last_of_days),
            )
        )
        organisation = None if chain == INSTANCE_CHAIN else chain
        context: dict[str, Value] = {"first": first, "last": end, "result": "success"}
        self._audit.append(
            connection, AuditEntry(now, "audit.retention", organisation, context=context), chain
        )
