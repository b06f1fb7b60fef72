"""New key-encryption keys, and the rewrapping of everything under them: in steps that survive any crash.

Each row carries the generation it is wrapped under, and every generation opens until no row needs it. A crash
loses nothing: the next run goes on behind the last row that was committed.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert, select

from signerd_kms.attribution import Attribution
from signerd_kms.audit import AuditEvent
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyUnknown, UnwrapFailed
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.schema import keks, rewraps
from signerd_kms.state import Task
from signerd_kms.wrapped_rows import KeyVersionRows, Use, WrappedRow, WrappedRows, list_generations
from signerd_kms.wrapping import WrappedKey, unwrap, wrap

logger = logging.getLogger(__name__)

BATCH_ROWS = 64  # a transaction with so many holds others up for some milliseconds
KEK_GRACE_SECONDS = 86_400  # how long a service may take to store what was wrapped for it


@dataclass(frozen=True, slots=True)
class RewrapProgress:
    """How far a rewrapping has come.

    Attributes:
        source: The table that is gone through.
        position: The last row of it that is done.
        seen: Rows that were looked at by this run.
        rewrapped: Rows wrapped anew, also by runs that this one goes on for.
        failed: Rows that do not open, and were left as they are.
        destroyed: Old key-encryption keys that no row needed and that are gone.
        kept: Old key-encryption keys that are kept for now.
    """

    source: str
    position: str
    seen: int = 0
    rewrapped: int = 0
    failed: int = 0
    destroyed: int = 0
    kept: int = 0


OnProgress = Callable[[RewrapProgress], None]


def _ignore(progress: RewrapProgress) -> None:
    del progress


class KekRotation:
    """Rotates key-encryption keys."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store
        self._running = threading.Lock()  # two runs would go through the same rows
        self._sources: dict[str, WrappedRows] = {}
        self.add_source(KeyVersionRows())

    def add_source(self, source: WrappedRows) -> None:
        """Have rewrapping go through another table, too: all must be known before the first run."""
        self._sources[source.name] = source

    def rotate_kek(self, by: Attribution, *, organisation: str | None = None) -> list[Use]:
        """Make the next key-encryption key of each region of an organisation, or of all organisations.

        What is wrapped under the earlier ones stays so until `rewrap`.

        Returns:
            The new ones.

        Raises:
            KeyUnknown: The organisation has none yet.
        """
        with self._custodian.unsealed(Task.USE) as hierarchy:
            with self._store.read() as connection:
                places = sorted(
                    place for place in list_generations(connection) if organisation in (None, place[0])
                )
            if organisation is not None and not places:
                raise KeyUnknown(f"organisation {organisation} has no key-encryption key yet")
            return [(*place, self._custodian.rotate_kek(hierarchy, *place, by)) for place in places]

    def needs_rewrap(self) -> bool:
        """Say if there is more than one key-encryption key anywhere, or a run that did not end."""
        with self._store.read() as connection:
            if connection.execute(select(rewraps.c.only)).first() is not None:
                return True
            return any(len(generations) > 1 for generations in list_generations(connection).values())

    def rewrap(self, report: OnProgress = _ignore) -> RewrapProgress:
        """Wrap every row that needs it under the newest key-encryption key, then destroy the old ones.

        Goes on where a run that was interrupted has stopped. A row that does not open is left as it is, with
        its key-encryption key, and is in the log and the audit.

        Args:
            report: Called after each batch is committed.

        Raises:
            Sealed: The KMS was sealed meanwhile; a later run goes on.
        """
        with self._running:
            return self._rewrap(report)

    def _rewrap(self, report: OnProgress) -> RewrapProgress:
        progress = self._resume()
        is_whole = not progress.position
        progress = self._pass_through(progress, report)
        if not is_whole:  # there may be newer key-encryption keys than when the rows before it were done
            progress = replace(progress, source=next(iter(self._sources)), position="")
            progress = self._pass_through(progress, report)
        progress = self._destroy_unused(progress)
        report(progress)
        return progress

    def _pass_through(self, progress: RewrapProgress, report: OnProgress) -> RewrapProgress:
        names = list(self._sources)
        for name in names[names.index(progress.source) :]:
            if name != progress.source:
                progress = replace(progress, source=name, position="")
            while (following := self._rewrap_batch(self._sources[name], progress)) is not None:
                progress = following
                report(progress)
        return progress

    def _resume(self) -> RewrapProgress:
        self._custodian.require(Task.USE)
        with self._store.read() as connection:
            row = connection.execute(select(rewraps)).first()
        if row is None or row.source not in self._sources:
            return RewrapProgress(next(iter(self._sources)), "")
        return RewrapProgress(row.source, row.cursor, rewrapped=row.rewrapped, failed=row.failed)

    def _rewrap_batch(self, source: WrappedRows, progress: RewrapProgress) -> RewrapProgress | None:
        with self._custodian.unsealed(Task.USE) as hierarchy:
            with self._store.read() as connection:
                batch = source.read_batch(connection, hierarchy, progress.position, BATCH_ROWS)
                newest = {place: max(known) for place, known in list_generations(connection).items()}
            if not batch:
                return None
            changes: list[tuple[WrappedRow, WrappedKey, int]] = []
            failures: list[WrappedRow] = []
            for row in batch:
                generation = newest.get((row.organisation, row.region), row.kek_generation)
                if row.kek_generation >= generation:
                    continue
                try:
                    changes.append((row, self._wrap_anew(hierarchy, row, generation), generation))
                except UnwrapFailed as error:
                    logger.error("%s does not open and is not rewrapped: %s", row.what, error)
                    failures.append(row)

            def store(connection: Connection) -> RewrapProgress:
                stored = sum(source.replace(connection, *change) for change in changes)
                following = replace(
                    progress,
                    position=batch[-1].position,
                    seen=progress.seen + len(batch),
                    rewrapped=progress.rewrapped + stored,
                    failed=progress.failed + len(failures),
                )
                self._store_progress(connection, following)
                for row in failures:
                    self._record(connection, "kms.rewrap", row, UnwrapFailed.code, what=row.what)
                return following

            return self._store.write(store)

    def _wrap_anew(self, hierarchy: KeyHierarchy, row: WrappedRow, generation: int) -> WrappedKey:
        with self._store.read() as connection:
            old = hierarchy.load_kek(connection, row.organisation, row.region, row.kek_generation)
            new = hierarchy.load_kek(connection, row.organisation, row.region, generation)
        with unwrap(old, row.wrapped, row.encode(row.kek_generation)) as secret:
            return wrap(new, secret.octets, row.encode(generation))

    def _store_progress(self, connection: Connection, progress: RewrapProgress) -> None:
        started = connection.execute(select(rewraps.c.started_at)).scalar() or self._store.now()
        connection.execute(delete(rewraps))
        connection.execute(
            insert(rewraps).values(
                only=1,
                source=progress.source,
                cursor=progress.position,
                rewrapped=progress.rewrapped,
                failed=progress.failed,
                started_at=started,
            )
        )

    def _destroy_unused(self, progress: RewrapProgress) -> RewrapProgress:
        """Destroy key-encryption keys that no row needs, once no service can still have one in its hands."""

        def store(connection: Connection) -> tuple[list[Use], int]:
            now = self._store.now()
            used: set[Use] = set()
            for source in self._sources.values():
                used |= source.list_uses(connection)
            unused: list[Use] = []
            kept = 0
            for (organisation, region), generations in list_generations(connection).items():
                for generation in sorted(generations)[:-1]:
                    replaced_at = min(at for number, at in generations.items() if number > generation)
                    place = (organisation, region, generation)
                    if place in used or now - replaced_at < KEK_GRACE_SECONDS:
                        kept += 1
                    else:
                        unused.append(place)
            for place in unused:
                self._destroy(connection, place, now)
            if progress.rewrapped:
                details = {"rewrapped": progress.rewrapped, "failed": progress.failed, "kept": kept}
                self._store.record(connection, AuditEvent(now, "kms.rewrap", True, None, details=details))
            connection.execute(delete(rewraps))
            return unused, kept

        with self._custodian.unsealed(Task.USE) as hierarchy:
            unused, kept = self._store.write(store)
            for place in unused:
                hierarchy.forget_kek(*place)
        return replace(progress, destroyed=len(unused), kept=kept)

    def _destroy(self, connection: Connection, place: Use, now: int) -> None:
        organisation, region, generation = place
        connection.execute(
            delete(keks).where(
                keks.c.organisation == organisation,
                keks.c.region == region,
                keks.c.generation == generation,
            )
        )
        details = {"generation": generation}
        event = AuditEvent(now, "kms.kek.destroy", True, organisation, region, details=details)
        self._store.record(connection, event)

    def _record(
        self, connection: Connection, action: str, row: WrappedRow, error: str, **details: str | int
    ) -> None:
        event = AuditEvent(
            self._store.now(), action, False, row.organisation, row.region, error=error, details=details
        )
        self._store.record(connection, event)
