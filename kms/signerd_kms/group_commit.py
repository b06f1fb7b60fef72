"""Write transactions that share a commit: many callers at once, one fsync."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from signerd_kms.audit import Gathered
from signerd_kms.errors import StoreUnavailable

MAX_GROUP = 64  # bounds how long the first caller of a group waits for the statements of the others

T = TypeVar("T")
Gather = Callable[[Connection], AbstractContextManager[Gathered]]


class _Job:
    """One caller's work and, once done, what came of it."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], object]) -> None:
        self.work = work
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None


class GroupCommit:
    """Runs callers' work, each in its own savepoint, and commits together what has come together.

    There is no thread of its own: a caller who finds no leader leads one group and goes; those who came
    meanwhile wait, and one of them leads the next. Work must be short and must not call `write` itself.
    """

    def __init__(self, engine: Engine, gather: Gather | None = None) -> None:
        """Do nothing yet.

        Args:
            engine: Of the database.
            gather: Keeps the audit events of a group, to store them together before the commit.
        """
        self._engine = engine
        self._gather = gather or _gather_nothing
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._is_led = False

    @property
    def waiting(self) -> int:
        """How many callers wait for a group to be led: a figure for metrics."""
        return len(self._waiting)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run the work in a write transaction; return its result after the commit is on disk.

        Raises:
            StoreUnavailable: The transaction could not be begun or committed; nothing of it is stored.
            Exception: What the work raised; nothing it did is stored.
        """
        job = _Job(work)
        with self._changed:
            self._waiting.append(job)
        while not self._finish_or_lead(job):
            pass
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def _finish_or_lead(self, job: _Job) -> bool:
        with self._changed:
            while self._is_led and not job.done:
                self._changed.wait()
            if job.done:
                return True
            self._is_led = True
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
        try:
            self._commit(group)
        finally:
            with self._changed:
                for member in group:
                    if not member.done:  # the leader itself was interrupted
                        member.error = StoreUnavailable("the database transaction was interrupted")
                        member.done = True
                self._is_led = False
                self._changed.notify_all()
        return job.done

    def _commit(self, group: list[_Job]) -> None:
        try:
            with self._engine.begin() as connection, self._gather(connection) as gathered:
                for job in group:
                    before = len(gathered)
                    _run(connection, job)
                    if job.error is not None:
                        gathered.forget(before)
        except SQLAlchemyError as error:
            _fail(group, f"the database did not commit: {_describe(error)}", error)
        except Exception as error:  # nobody's own: those are handed on
            _fail(group, f"the audit events were not stored: {type(error).__name__}", error)
        for job in group:
            job.done = True


def _fail(group: list[_Job], reason: str, cause: Exception) -> None:
    for job in group:  # one instance each: a raised exception belongs to one thread
        job.result = None
        job.error = StoreUnavailable(reason)
        job.error.__cause__ = cause


class _NothingGathered:
    def __len__(self) -> int:
        return 0

    def forget(self, since: int) -> None:
        pass


def _gather_nothing(connection: Connection) -> AbstractContextManager[Gathered]:
    del connection
    return nullcontext(_NothingGathered())


def _run(connection: Connection, job: _Job) -> None:
    try:
        with connection.begin_nested():
            job.result = job.work(connection)
    except IntegrityError as error:
        job.error = error
    except SQLAlchemyError:
        raise  # a full disk rolls back the whole transaction, also what others of the group have done
    except Exception as error:  # handed to the caller whose work it was
        job.error = error


def _describe(error: SQLAlchemyError) -> str:
    """Give the driver's own words for the first failure, without the statement and its parameters."""
    first: BaseException = error
    link: BaseException | None = error
    while link is not None:  # rolling back after a full disk fails as well
        if isinstance(link, SQLAlchemyError):
            first = link
        link = link.__context__
    return str(getattr(first, "orig", None) or type(first).__name__)
