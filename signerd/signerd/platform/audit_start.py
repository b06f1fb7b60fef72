"""Looks at the audit log before anything is appended: is it whole, and is it the newest there was?"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update

from signerd.platform.audit_chain import (
    BREAK_ACKNOWLEDGED,
    INSTANCE_CHAIN,
    AuditChainBroken,
    ChainHead,
    compute_first_hash,
)
from signerd.platform.audit_entry import AuditEntry
from signerd.platform.audit_log import AuditLog, list_chains, read_head, verify_chain, verify_newest
from signerd.platform.checkpoint import Checkpoint, CheckpointMalformed
from signerd.platform.checkpoint_rows import list_newest, list_verifiers, read_newest
from signerd.platform.errors import AuditRefused
from signerd.platform.signed_note import NoteRefused, NoteVerifier, open_note
from signerd.platform.tables import audit_entries, audit_heads
from signerd_kms.audited_store import READ_ONLY
from signerd_kms.clock import Clock
from signerd_kms.group_commit import GroupCommit

logger = logging.getLogger(__name__)


class AuditStart:
    """The check at the start of a server. Blocks."""

    def __init__(self, engine: Engine, audit: AuditLog, clock: Clock) -> None:
        self._engine = engine.execution_options(**{READ_ONLY: True})
        self._writer = GroupCommit(engine)
        self._audit = audit
        self._clock = clock

    def check_chains(self, *, acknowledge_break: bool) -> None:
        """Verify the newest part of each chain.

        Args:
            acknowledge_break: Record a break in the chain, as the first entry after it, and go on.

        Raises:
            AuditRefused: A chain is broken, and nobody has acknowledged that.
        """
        with self._engine.connect() as connection:
            chains = list_chains(connection)
            trusted = list_verifiers(connection)
        for chain in chains:
            try:
                with self._engine.connect() as connection:
                    verify_newest(connection, chain, trusted)
            except AuditChainBroken as broken:
                if not acknowledge_break:
                    raise AuditRefused(
                        f"{broken}; nothing is appended to a broken log. Find out what happened "
                        "(signerd audit verify), then start once with --acknowledge-break"
                    ) from broken
                first = self._find_first_break(chain, trusted) or broken
                logger.warning("acknowledged: %s", first)
                self._acknowledge(first)

    def _find_first_break(self, chain: str, trusted: Sequence[NoteVerifier]) -> AuditChainBroken | None:
        """Look at the whole chain: what was seen since the last checkpoint may not be all of it."""
        try:
            with self._engine.connect() as connection:
                verify_chain(connection, chain, trusted)
        except AuditChainBroken as broken:
            return broken
        return None

    def _acknowledge(self, broken: AuditChainBroken) -> None:
        """Go on after the break with an entry that says so; the tree of checkpoints starts anew after it."""
        chain = broken.chain

        def append(connection: Connection) -> None:
            last = connection.execute(
                select(audit_entries.c.sequence, audit_entries.c.hash)
                .where(audit_entries.c.chain == chain)
                .order_by(audit_entries.c.sequence.desc())
                .limit(1)
            ).first()
            head = read_head(connection, chain)
            kept = read_newest(connection, chain)
            until = max(
                last.sequence if last else 0, head.sequence if head else 0, kept.sequence if kept else 0
            )
            base = head.hash if head else last.hash if last else compute_first_hash(chain)
            if head is None:
                connection.execute(insert(audit_heads), {"chain": chain, "sequence": until, "hash": base})
            else:
                connection.execute(
                    update(audit_heads).where(audit_heads.c.chain == chain).values(sequence=until)
                )
            entry = AuditEntry(
                self._clock.now(),
                BREAK_ACKNOWLEDGED,
                None if chain == INSTANCE_CHAIN else chain,
                context={
                    "from": broken.sequence,
                    "previousHash": base.hex(),
                    "reason": str(broken),
                    "until": until,
                },
            )
            new = self._audit.append(connection, entry, chain)
            connection.execute(
                update(audit_heads).where(audit_heads.c.chain == chain).values(start=new.sequence)
            )

        self._writer.write(append)

    def check_rollback(self, outside: Mapping[str, str], *, accept_rollback: bool) -> int | None:
        """Compare the log with the newest checkpoints that were kept elsewhere.

        Args:
            outside: Note of each chain.
            accept_rollback: Record that the database is older than that, and go on.

        Returns:
            How many entries of one chain are known to be lost at most; None if the database is the newest.

        Raises:
            AuditRefused: The database is an older one, or another, and nobody has accepted that.
        """
        with self._engine.connect() as connection:
            trusted = list_verifiers(connection)
            is_bare = not outside and bool(list_newest(connection))
        if is_bare:
            logger.warning(
                "no checkpoints are kept outside: the database may be a copy put back, and counts so"
            )
            return 0
        found = [
            problem
            for chain, note in sorted(outside.items())
            if (problem := self._find_rollback(chain, note, trusted)) is not None
        ]
        if not found:
            return None
        problems = [problem.text for problem in found]
        if not accept_rollback:
            raise AuditRefused(
                f"{problems[0]}; the database seems to be restored or rolled back. If that was meant, start "
                "once with --accept-rollback"
            )
        logger.warning("accepted: %s", "; ".join(problems))
        self._writer.write(lambda connection: self._record_rollback(connection, problems))
        return max(problem.lost for problem in found)

    def _record_rollback(self, connection: Connection, problems: Sequence[str]) -> None:
        for problem in problems:
            entry = AuditEntry(
                self._clock.now(), "audit.rollback_accepted", None, context={"reason": problem}
            )
            self._audit.append(connection, entry)

    def _find_rollback(self, chain: str, note: str, trusted: Sequence[NoteVerifier]) -> "_Rollback | None":
        try:
            checkpoint = Checkpoint.parse(open_note(note, trusted))
        except (NoteRefused, CheckpointMalformed) as error:
            return _Rollback(
                f"audit chain {chain}: the checkpoint outside is not of this database: {error}", 0
            )
        if checkpoint.chain != chain:
            return _Rollback(f"audit chain {chain}: the checkpoint outside is one of {checkpoint.chain}", 0)
        with self._engine.connect() as connection:
            head = read_head(connection, chain) or ChainHead(0, b"")
            if head.sequence < checkpoint.sequence:
                return _Rollback(
                    f"audit chain {chain} ends at entry {head.sequence}, and a checkpoint outside "
                    f"says {checkpoint.sequence}",
                    checkpoint.sequence - head.sequence,
                )
            found = _find_hash(connection, chain, checkpoint.sequence, trusted)
        if found is not None and found != checkpoint.chain_hash:
            return _Rollback(
                f"audit chain {chain}: entry {checkpoint.sequence} is another than the one that a "
                "checkpoint outside covers",
                checkpoint.sequence,
            )
        return None


@dataclass(frozen=True, slots=True)
class _Rollback:
    """What shows that a database is an older one, and how many entries of a chain it lacks at most."""

    text: str
    lost: int


def _find_hash(
    connection: Connection, chain: str, sequence: int, trusted: Sequence[NoteVerifier]
) -> bytes | None:
    """Give the hash of a chain at an entry, from the entry or, if that is gone, from a checkpoint."""
    query = select(audit_entries.c.hash).where(
        audit_entries.c.chain == chain, audit_entries.c.sequence == sequence
    )
    found: bytes | None = connection.execute(query).scalar()
    if found is None:
        kept = read_newest(connection, chain)
        if kept is not None and kept.sequence == sequence:
            found = Checkpoint.parse(open_note(kept.note, trusted)).chain_hash
    return found
