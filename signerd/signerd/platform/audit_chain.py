"""Chains of audit entries and their verification, wherever they are kept.

Leaf n is SHA-256(0x00 || record), and hash n is SHA-256(0x02 || hash n-1 || leaf n). Hash 0 is SHA-256(0x03
|| name of the chain), so that a chain cannot be passed off as another's.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from signerd.platform.checkpoint import Checkpoint, CheckpointMalformed
from signerd.platform.merkle import Frontier, hash_leaf
from signerd.platform.signed_note import NoteRefused, NoteVerifier, open_note

INSTANCE_CHAIN: Final = "instance"
BREAK_ACKNOWLEDGED: Final = "audit.break_acknowledged"
NO_COLUMNS: Final[Mapping[str, object]] = {}


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
        start: Entries before the tree of the checkpoints; see Checkpoint.
    """

    sequence: int
    hash: bytes
    start: int = 0


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept.

    Attributes:
        sequence: Place in the chain.
        record: Canonical JSON: what the hashes cover.
        hash: Of the chain up to and with this entry.
        columns: Copies of members of the record, kept to search by.
    """

    sequence: int
    record: bytes
    hash: bytes
    columns: Mapping[str, object] = field(default_factory=lambda: NO_COLUMNS)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it is kept.

    Attributes:
        sequence: Of the newest entry it covers.
        note: Signed.
        frontier: Of the tree at that point, so that it can grow on when earlier entries are gone.
    """

    sequence: int
    note: str
    frontier: bytes


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a verification found in order.

    Attributes:
        chain: Identity of the organisation, or `instance`.
        head: Where the chain ends.
        first: The first entry that is still kept; earlier ones fell to the retention.
        checkpoints: How many checkpoints were found to fit.
        acknowledged: Breaks that an operator acknowledged, as texts.
    """

    chain: str
    head: ChainHead
    first: int
    checkpoints: int
    acknowledged: tuple[str, ...]

    @property
    def sequence(self) -> int:
        """The newest entry."""
        return self.head.sequence


def compute_first_hash(chain: str) -> bytes:
    """Compute the hash before the first entry of a chain."""
    return hashlib.sha256(b"\x03" + chain.encode()).digest()


def compute_next_hash(previous: bytes, record: bytes) -> bytes:
    """Compute the hash of a chain with one more record."""
    return hashlib.sha256(b"\x02" + previous + hash_leaf(record)).digest()


@dataclass(slots=True)
class _Position:
    """How far a verification has come."""

    head: ChainHead
    frontier: Frontier


class ChainVerifier:
    """Verifies one chain, entry by entry."""

    def __init__(
        self, chain: str, checkpoints: Sequence[StoredCheckpoint], verifiers: Sequence[NoteVerifier]
    ) -> None:
        """Do nothing yet.

        Args:
            chain: Identity of the organisation, or `instance`.
            checkpoints: In order of sequence; not looked at if there are no verifiers.
            verifiers: Public keys that are trusted.
        """
        self._chain = chain
        self._checkpoints = {kept.sequence: kept for kept in checkpoints} if verifiers else {}
        self._trusted = tuple(verifiers)

    def verify(self, entries: Iterable[StoredEntry], head: ChainHead | None) -> ChainReport:
        """Verify from the first entry that is kept to the head.

        Someone who rewrites every later entry and the head too is found out only by a checkpoint that was
        kept elsewhere.

        Args:
            entries: In order of sequence.
            head: As stored; None if it is not there.

        Raises:
            AuditChainBroken: An entry was changed, removed or moved; the message says which.
        """
        left = iter(entries)
        entry = first = next(left, None)
        checked = 0
        acknowledged: list[str] = []
        position: _Position | None = None
        while entry is not None:
            try:
                position = position or self._start(entry)
                if (reason := self._advance(position, entry)) is not None:
                    acknowledged.append(reason)
                checked += self._check_checkpoint(position)
            except AuditChainBroken as broken:
                position = _Position(self._skip_break(entry, left, broken), Frontier())
                acknowledged.append(str(broken))
            entry = next(left, None)
        end = position.head if position else ChainHead(0, compute_first_hash(self._chain))
        self._check_end(end, head)
        first_kept = first.sequence if first else 1
        return ChainReport(self._chain, end, first_kept, checked, tuple(acknowledged))

    def _start(self, first: StoredEntry) -> _Position:
        if first.sequence == 1:
            return _Position(ChainHead(0, compute_first_hash(self._chain)), Frontier())
        # what fell to the retention is vouched for by the checkpoint before the first entry
        kept = self._checkpoints.get(first.sequence - 1)
        if kept is None:
            removed = first.sequence - 1
            raise AuditChainBroken(
                self._chain, 1, "was removed" if removed == 1 else f"up to {removed} were removed"
            )
        checkpoint = self.open_checkpoint(kept)
        frontier = self._open_frontier(kept, checkpoint)
        return _Position(ChainHead(checkpoint.sequence, checkpoint.chain_hash, checkpoint.start), frontier)

    def _advance(self, position: _Position, entry: StoredEntry) -> str | None:
        """Take one more entry; give the reason if it acknowledges a break, after which a new tree begins."""
        expected = position.head.sequence + 1
        if entry.sequence != expected:
            raise AuditChainBroken(self._chain, expected, "was removed")
        fields = decode_record(entry.record)
        if fields is None:
            raise AuditChainBroken(self._chain, expected, "was changed")
        number = fields.get("sequence")
        if isinstance(number, int) and number != expected:
            raise AuditChainBroken(self._chain, expected, f"was reordered: entry {number} is in its place")
        new = compute_next_hash(position.head.hash, entry.record)
        if not hmac.compare_digest(new, entry.hash):
            raise AuditChainBroken(self._chain, expected, "was changed")
        for name, value in entry.columns.items():
            if fields.get(name) != value:
                raise AuditChainBroken(
                    self._chain, expected, f"was changed: column {name} is not as recorded"
                )
        if fields.get("action") == BREAK_ACKNOWLEDGED:
            position.head = ChainHead(expected, new, expected)
            position.frontier = Frontier()
            return str(_get_context(fields).get("reason"))
        position.head = replace(position.head, sequence=expected, hash=new)
        position.frontier = position.frontier.grow([hash_leaf(entry.record)])
        return None

    def _check_checkpoint(self, position: _Position) -> int:
        kept = self._checkpoints.get(position.head.sequence)
        if kept is None:
            return 0
        checkpoint = self.open_checkpoint(kept)
        if checkpoint.start != position.head.start:
            return 0  # of a tree that ended with a break
        if checkpoint.chain_hash != position.head.hash or checkpoint.root != position.frontier.compute_root():
            raise AuditChainBroken(
                self._chain, position.head.sequence, "or one before it is not as its checkpoint says"
            )
        return 1

    def _check_end(self, found: ChainHead, stored: ChainHead | None) -> None:
        last = found.sequence
        if stored is None and last:
            raise AuditChainBroken(self._chain, last, "is the last, and the head of the chain was removed")
        promised = max([*self._checkpoints, stored.sequence if stored else 0])
        if promised > last:
            raise AuditChainBroken(self._chain, last + 1, f"up to {promised} were removed from the end")
        if stored is not None and stored != found:
            raise AuditChainBroken(self._chain, last, "is the last, and the head of the chain was changed")

    def open_checkpoint(self, kept: StoredCheckpoint) -> Checkpoint:
        """Check the signature of a checkpoint and that it is one of this chain.

        Raises:
            AuditChainBroken: It is not; named for the entry it stands at.
        """
        try:
            checkpoint = Checkpoint.parse(open_note(kept.note, self._trusted))
        except (NoteRefused, CheckpointMalformed) as error:
            raise AuditChainBroken(self._chain, kept.sequence, f"has a bad checkpoint: {error}") from error
        if checkpoint.chain != self._chain or checkpoint.sequence != kept.sequence:
            raise AuditChainBroken(self._chain, kept.sequence, "has the checkpoint of another entry")
        return checkpoint

    def _open_frontier(self, kept: StoredCheckpoint, checkpoint: Checkpoint) -> Frontier:
        try:
            frontier = Frontier.parse(checkpoint.sequence - checkpoint.start, kept.frontier)
        except ValueError as error:
            raise AuditChainBroken(self._chain, kept.sequence, "has a checkpoint that was changed") from error
        if frontier.compute_root() != checkpoint.root:
            raise AuditChainBroken(self._chain, kept.sequence, "has a checkpoint that was changed")
        return frontier

    def _skip_break(
        self, entry: StoredEntry, left: Iterator[StoredEntry], broken: AuditChainBroken
    ) -> ChainHead:
        """Go on after the entry by which an operator acknowledged the break."""
        candidate: StoredEntry | None = entry
        while candidate is not None:
            fields = decode_record(candidate.record) or {}
            if fields.get("action") == BREAK_ACKNOWLEDGED:
                context = _get_context(fields)
                previous, since = context.get("previousHash"), context.get("from")
                if isinstance(previous, str) and isinstance(since, int) and since <= broken.sequence:
                    try:
                        expected = compute_next_hash(bytes.fromhex(previous), candidate.record)
                    except ValueError:
                        raise broken from None
                    if hmac.compare_digest(expected, candidate.hash):
                        return ChainHead(candidate.sequence, expected, candidate.sequence)
            candidate = next(left, None)
        raise broken


def _get_context(fields: Mapping[str, object]) -> Mapping[str, object]:
    context = fields.get("context")
    return cast("dict[str, object]", context) if isinstance(context, dict) else {}


def decode_record(record: bytes) -> dict[str, object] | None:
    """Give the members of a record; None if it is no JSON object."""
    try:
        fields: object = json.loads(record)
    except ValueError:
        return None
    return cast("dict[str, object]", fields) if isinstance(fields, dict) else None
