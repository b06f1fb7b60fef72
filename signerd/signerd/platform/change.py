"""Reading and changing the platform's tables; a change and its audit event are one transaction."""

from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from signerd.platform.answers import Answers, raise_generation
from signerd.platform.errors import AlreadyThere
from signerd_kms.attribution import Attribution
from signerd_kms.audit import NO_DETAILS, AuditEvent
from signerd_kms.audited_store import AuditedStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """A write under way.

    Attributes:
        connection: Inside the transaction.
        now: Seconds since 1970, UTC.
        by: Who does it.
        store: Keeps the audit events.
    """

    connection: Connection
    now: int
    by: Attribution
    store: AuditedStore

    def record(
        self,
        action: str,
        organisation: str | None,
        resource_type: str,
        resource: str,
        *,
        project: str | None = None,
        region: str | None = None,
        details: Mapping[str, str | int] = NO_DETAILS,
    ) -> None:
        """Record what is changed, in the same transaction.

        Args:
            action: Such as `iam.role.create`.
            organisation: Whose chain it goes into; None for the instance's.
            resource_type: Such as `iam_role`.
            resource: Identity of the object.
            project: The project that it concerns, if any.
            region: The region that it concerns, if any.
            details: Further safe facts.
        """
        event = AuditEvent(
            at=self.now,
            action=action,
            succeeded=True,
            organisation=organisation,
            region=region,
            project=project,
            actor=self.by.actor,
            via=self.by.via,
            request_id=self.by.request_id,
            credential=self.by.credential,
            address=self.by.address,
            resource_type=resource_type,
            resource=resource,
            details=details,
        )
        self.store.record(self.connection, event)


class PlatformStore:
    """The database as the platform uses it. Safe to use from several threads; blocks."""

    def __init__(self, store: AuditedStore) -> None:
        """Do nothing yet.

        Args:
            store: The one of the KMS, so that all writers of the database share commits.
        """
        self._store = store
        self._answers = Answers()

    def now(self) -> int:
        """Give whole seconds since 1970, UTC."""
        return self._store.now()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Give a connection that sees one state of the database for as long as it is held."""
        with self._store.read() as connection:
            yield connection

    def hold(self) -> AbstractContextManager[None]:
        """Let all reads of this thread see one state, and cost less, until the block ends or it writes."""
        return self._store.hold()

    def recall(self, question: Hashable, find_answer: Callable[[Connection], T]) -> T:
        """Give an answer that follows from the platform's tables and the question alone.

        It comes from memory if no change came since it was found, in this process or another; see `Answers`.
        """
        with self._store.read() as connection:
            return self._answers.recall(connection, question, find_answer)

    def change(self, by: Attribution, work: Callable[[Change], T]) -> T:
        """Run the work in a transaction; return its result after the commit is on disk.

        Raises:
            AlreadyThere: Another writer was first to store what must be there once.
            StoreUnavailable: The database did not commit; nothing of it is stored.
        """

        def run(connection: Connection) -> T:
            raise_generation(connection)
            return work(Change(connection, self._store.now(), by, self._store))

        try:
            return self._store.write(run)
        except IntegrityError as error:
            raise AlreadyThere("another change came first; look again") from error

    def record(self, event: AuditEvent) -> None:
        """Store an event that is not part of a change, such as a refusal."""
        self._store.write(lambda connection: self._store.record(connection, event))
