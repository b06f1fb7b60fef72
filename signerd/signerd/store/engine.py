"""The SQLite engine: durable commits, one writer at a time, a file only its owner reads."""

import contextlib
import os
import sqlite3
import stat
import threading
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from signerd_kms.audited_store import READ_ONLY

BUSY_TIMEOUT_SECONDS = 10  # how long a writer waits for another process's transaction
MAX_CONNECTIONS = 64  # threads that use the database at once; more wait

_RETRY_SECONDS = 0.01
_HAS_TURN = "signerd_has_turn"  # in the notes of a connection: it holds up other writers
_CREATION = threading.Lock()
_SETTINGS = (
    "PRAGMA synchronous = FULL",  # a commit is on disk before it returns: the audit promises it
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # overwrite what is deleted: wrapped keys are destroyed for good
)


class DatabaseRefused(Exception):
    """The database file is not what it must be: kind, owner or mode."""


def open_database(path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """Open the database file, made with mode 0600 if it is not there.

    Transactions begin with BEGIN IMMEDIATE, so that no two writers meet half way; with the execution option
    `signerd_read_only` they begin as readers, which see one state and never wait.

    Args:
        path: The file.
        busy_timeout_seconds: How long a writer waits for another one, of this process or of others.

    Raises:
        DatabaseRefused: The file is no regular file, belongs to another user or is readable by others.
        OSError: It cannot be made.
    """
    _prepare_file(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": busy_timeout_seconds},
        pool_size=MAX_CONNECTIONS,  # opening one costs more than a query, so none is closed again
        max_overflow=0,
        hide_parameters=True,  # errors and logs must not carry the values of statements
    )
    turns = _Turns(busy_timeout_seconds)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", turns.begin)
    event.listen(engine, "checkin", turns.end)
    return engine


def connect_to_read(engine: Engine) -> Connection:
    """Give a connection whose transactions only read: they wait for no writer, and none waits for them."""
    return engine.connect().execution_options(**{READ_ONLY: True})


def _configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # leave BEGIN to _begin: the driver's own would come too late
    cursor = connection.cursor()
    try:
        _keep_write_ahead_log(cursor)
        for setting in _SETTINGS:
            cursor.execute(setting)
    finally:
        cursor.close()


def _keep_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    # Where several open a new file at once, each holds a read lock and wants the exclusive one. SQLite then
    # answers "locked" to some of them at once, without the wait of its busy timeout: wait here.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


class _Turns:
    """Has the writers of this process take turns.

    SQLite lets a writer that finds another at work look again after some time, up to 0.1 s, so that waiting
    takes longer than what is waited for, and who comes later may be served first. It still decides between
    processes.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._lock = threading.Lock()
        self._timeout_seconds = timeout_seconds

    def begin(self, connection: Connection) -> None:
        """Begin a transaction, as the execution options of the connection say."""
        if connection.get_execution_options().get(READ_ONLY, False):
            connection.exec_driver_sql("BEGIN")
            return
        if not connection.info.get(_HAS_TURN):
            # Should it take too long, SQLite says so.
            connection.info[_HAS_TURN] = self._lock.acquire(timeout=self._timeout_seconds)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def end(self, connection: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
        """Let the next one begin: a connection is given back, and its transaction is over."""
        del connection
        if record.info.pop(_HAS_TURN, False):
            self._lock.release()


def _prepare_file(path: Path) -> None:
    # Closing any descriptor of the file gives up the locks which SQLite holds on it in this process, so a
    # file that is there is never opened here, and none is opened elsewhere while it is being made.
    with _CREATION:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseRefused(f"{path}: the database is no regular file")
    if status.st_uid != os.geteuid():
        raise DatabaseRefused(f"{path}: the database belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise DatabaseRefused(f"{path}: the database has mode {mode:04o}; it must be 0600")
