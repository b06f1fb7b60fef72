"""The task that stores the board of alarms, and what is to be told of it, in the database."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from signerd.alarm import alarm_rows
from signerd.alarm.alarm import Alarm, AlarmEvent
from signerd.alarm.alarm_board import AlarmBoard, Pending
from signerd.custody import CustodyUnavailable
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

REMIND_SECONDS: Final = 60.0  # how often it is looked whether people are to be reminded
RETRY_SECONDS: Final = 5.0  # after the database failed, or while it is closed
MOST_AT_ONCE: Final = 500  # in one transaction: others wait for it
LAST_SECONDS: Final = 5.0
SOURCE: Final = "database"


class AlarmKeeper:
    """Stores what the board has to store as soon as it can: the board never waits for it."""

    def __init__(
        self,
        board: AlarmBoard,
        open_store: Callable[[], AuditedStore],
        add_events: Callable[[Connection, Sequence[AlarmEvent]], None] = lambda _connection, _events: None,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        """Do nothing yet.

        Args:
            board: What is stored.
            open_store: Gives the database; raises CustodyUnavailable while it is closed.
            add_events: Stores what is to be told to others, in the transaction of the alarms.
            on_events: Called in the event loop after it did.
        """
        self._board = board
        self._open_store = open_store
        self._add_events = add_events
        self._on_events = on_events
        self._is_restored = False
        self._is_waiting = False
        self._token: trio.lowlevel.TrioToken | None = None
        self._changed = trio.Event()
        board.on_change = self._wake

    def _wake(self) -> None:
        token = self._token
        if token is not None:
            with suppress(trio.RunFinishedError):  # the server has stopped; what is on is found again
                token.run_sync_soon(self._note_change, idempotent=True)

    def _note_change(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Store until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        try:
            while True:
                self._changed = trio.Event()
                if await trio.to_thread.run_sync(self.store):
                    self._on_events()
                with trio.move_on_after(RETRY_SECONDS if self._is_waiting else REMIND_SECONDS):
                    await self._changed.wait()
                    if self._is_waiting:  # a database that fails is not asked for each change
                        await trio.sleep(RETRY_SECONDS)
        finally:
            self._token = None
            with trio.move_on_after(LAST_SECONDS, shield=True):
                await trio.to_thread.run_sync(self.store)  # what came while the server was stopping

    def restore(self) -> None:
        """Take in what was on before the restart, before anybody says anything, so that it is not told anew.

        Blocks. While the database is closed this comes later.
        """
        with suppress(CustodyUnavailable, KmsError, SQLAlchemyError):  # the task finds it again, and says so
            self._restore(self._open_store())

    def _restore(self, store: AuditedStore) -> None:
        if not self._is_restored:
            with store.read() as connection:
                kept = alarm_rows.list_rows(connection)
            self._board.restore(kept)
            self._is_restored = True

    def store(self) -> bool:
        """Store what there is; for a worker thread.

        Returns:
            Whether there were events, and they are stored.
        """
        self._board.remind()
        try:
            store = self._open_store()
        except CustodyUnavailable:
            self._is_waiting = True  # whoever opens it says why it is not open
            return False
        try:
            self._restore(store)
            return self._store_pending(store)
        except (KmsError, SQLAlchemyError) as error:
            self._is_waiting = True
            reason = f"alarms and events cannot be stored: {error}"
            self._board.update(SOURCE, "", [Alarm("database.failed", reason, "the operator")])
            return False

    def _store_pending(self, store: AuditedStore) -> bool:
        has_events = False
        while pending := self._board.take_pending(MOST_AT_ONCE):
            has_events |= bool(pending.events)
            self._store_part(store, pending)
        self._is_waiting = False
        self._board.update(SOURCE, "", ())
        return has_events

    def _store_part(self, store: AuditedStore, pending: Pending) -> None:
        try:
            store.write(lambda connection: self._write(connection, pending))
        except BaseException:
            self._board.put_back(pending)
            raise

    def _write(self, connection: Connection, pending: Pending) -> None:
        alarm_rows.store_changes(connection, pending.changes)
        self._add_events(connection, pending.events)
