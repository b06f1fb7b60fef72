"""The database of the KMS: reads of one state, writes that share a commit, audit events inside them."""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from signerd_kms.attribution import Attribution
from signerd_kms.audit import NO_DETAILS, AuditEvent, AuditSink, GatheringSink
from signerd_kms.clock import Clock
from signerd_kms.errors import AuditNotWritten, KmsError, StoreUnavailable
from signerd_kms.group_commit import GroupCommit
from signerd_kms.key import Key, Scope

T = TypeVar("T")


class _Held(threading.local):
    """What one thread reads with."""

    connection: Connection | None = None
    readers: int = 0  # blocks of `read` that are open
    is_kept: bool = False  # whether a block of `hold` is open


RESOURCE_TYPE = "kms_key"
READ_ONLY = "signerd_read_only"  # execution option: the engine begins a transaction that takes no write lock


class AuditedStore:
    """What every part of the KMS reads from and writes to. Safe to use from several threads."""

    def __init__(self, engine: Engine, clock: Clock, audit: AuditSink) -> None:
        self._engine = engine
        self._writer = GroupCommit(engine, audit.gather if isinstance(audit, GatheringSink) else None)
        self._held = _Held()
        self._clock = clock
        self._audit = audit

    def now(self) -> int:
        """Give whole seconds since 1970, UTC."""
        return self._clock.now()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Give a connection that sees one state of the database for as long as it is held.

        Inside of another one of the same thread it is that one, with the state it sees.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        held = self._held
        try:
            connection = held.connection
            if connection is None:
                connection = self._engine.connect().execution_options(**{READ_ONLY: True})
                held.connection = connection
            held.readers += 1
            try:
                yield connection
            finally:
                held.readers -= 1
                if not held.is_kept:
                    self._release()
        except SQLAlchemyError as error:
            self._release()  # it may be broken
            raise StoreUnavailable(f"the database cannot be read: {type(error).__name__}") from error

    @contextmanager
    def hold(self) -> Generator[None]:
        """Let all reads of this thread see one state, and cost less, until the block ends or it writes.

        A writer lets go of what it read with: a thread that waits for a commit must not keep from others a
        connection that they need for theirs.
        """
        held = self._held
        if held.is_kept:
            yield
            return
        held.is_kept = True
        try:
            yield
        finally:
            held.is_kept = False
            self._release()

    def _release(self) -> None:
        held = self._held
        if held.readers == 0 and held.connection is not None:
            connection, held.connection = held.connection, None
            connection.close()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run the work in a write transaction; return its result after the commit is on disk.

        Raises:
            StoreUnavailable: The database did not commit; nothing of it is stored.
        """
        self._release()
        return self._writer.write(work)

    def overwrite_deleted(self) -> None:
        """Bring the overwriting of deleted rows from SQLite's log into its file. Elsewhere it does nothing.

        Raises:
            StoreUnavailable: It failed; the rows are deleted all the same.
        """
        if self._engine.dialect.name != "sqlite":
            return
        self._release()  # it waits for readers
        raw = self._engine.raw_connection()  # no transaction: a checkpoint inside one fails
        try:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise StoreUnavailable(f"the database cannot be tidied: {error}") from error
        finally:
            raw.close()

    def record(self, connection: Connection, event: AuditEvent) -> None:
        """Store an audit event in the transaction of what it records.

        Raises:
            AuditNotWritten: The sink failed, so the transaction must not be committed.
        """
        try:
            self._audit.record(connection, event)
        except SQLAlchemyError:
            raise  # the database itself: the transaction fails as a whole
        except Exception as error:
            raise AuditNotWritten(f"the audit event {event.action} was not stored") from error

    def record_key_event(
        self,
        connection: Connection,
        action: str,
        key: Key,
        by: Attribution,
        *,
        version: int | None = None,
        error: KmsError | None = None,
        details: Mapping[str, str | int] = NO_DETAILS,
    ) -> None:
        """Store what was done with a key, or refused if there is an error."""
        event = AuditEvent(
            at=self.now(),
            action=action,
            succeeded=error is None,
            organisation=key.scope.organisation,
            region=key.scope.region,
            project=key.scope.project,
            actor=by.actor,
            via=by.via,
            request_id=by.request_id,
            credential=by.credential,
            address=by.address,
            resource_type=RESOURCE_TYPE,
            resource=key.identity,
            key_version=version,
            error=None if error is None else error.code,
            details=details,
        )
        self.record(connection, event)

    def record_place_event(
        self,
        connection: Connection,
        action: str,
        scope: Scope,
        by: Attribution,
        *,
        error: KmsError | None = None,
        details: Mapping[str, str | int] = NO_DETAILS,
    ) -> None:
        """Store what was done or refused in a scope, and concerns no key that is there."""
        event = AuditEvent(
            at=self.now(),
            action=action,
            succeeded=error is None,
            organisation=scope.organisation,
            region=scope.region,
            project=scope.project,
            actor=by.actor,
            via=by.via,
            request_id=by.request_id,
            credential=by.credential,
            address=by.address,
            error=None if error is None else error.code,
            details=details,
        )
        self.record(connection, event)


def raise_error(outcome: T | KmsError) -> T:
    """Raise an error that came out of a transaction as a value, so that its audit event was committed."""
    if isinstance(outcome, KmsError):
        raise outcome
    return outcome
