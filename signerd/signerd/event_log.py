"""What happened to each version of each zone, kept in the database."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd.clock import Clock
from signerd.custody import CustodyUnavailable
from signerd.dns.name import Name
from signerd.store.zone_tables import zone_events
from signerd.zones.pipeline import Stage
from signerd.zones.zone_list import format_zone_name

logger = logging.getLogger(__name__)

KEPT_EVENTS = 1000  # of each zone: some months of re-signing; more would only grow the database
STORE_SECONDS = 1.0  # how often the daemon stores the stages of versions that are not done yet
_TRIM_EVERY = 100
_LAST_STAGES: Final = frozenset({Stage.PUBLISHED, Stage.REJECTED, Stage.FAILED})

_Row = dict[str, str | int | None]


class EventLog:
    """Records stages; zones are published also when it cannot, since what is on the disk counts.

    The stages of a version are stored together with its last one: a commit for each of them would wait for
    the disk each time, and the version would too. What takes longer is stored by whoever calls `store` now
    and then. Safe to use from several threads.
    """

    def __init__(
        self, find_engine: Callable[[], Engine], clock: Clock, on_stage: Callable[[Name, Stage], None] | None
    ) -> None:
        """Do nothing yet.

        Args:
            find_engine: Gives the database. May raise CustodyUnavailable.
            clock: Tells when a stage was reached.
            on_stage: Told of each stage.
        """
        self._find_engine = find_engine
        self._clock = clock
        self._on_stage = on_stage
        self._storing = threading.Lock()  # what was recorded first is stored first
        self._waiting_lock = threading.Lock()
        self._waiting: list[_Row] = []

    def record(self, zone: Name, stage: Stage, serial: int | None, detail: str) -> None:
        """Record that a version reached a stage."""
        row: _Row = {
            "zone": format_zone_name(zone),
            "at": self._clock.now(),
            "stage": stage.value,
            "serial": serial,
            "detail": detail,
        }
        with self._waiting_lock:
            self._waiting.append(row)
        if stage in _LAST_STAGES:
            self.store()
        if self._on_stage is not None:
            self._on_stage(zone, stage)

    def store(self) -> None:
        """Store what was recorded so far."""
        with self._storing:
            with self._waiting_lock:
                rows, self._waiting = self._waiting, []
            if not rows:
                return
            try:
                with self._find_engine().begin() as connection:
                    _store_rows(connection, rows)
            except (CustodyUnavailable, SQLAlchemyError) as error:
                for row in rows:
                    logger.warning(
                        "zone %s: stage %s could not be recorded: %s",
                        row["zone"],
                        row["stage"],
                        type(error).__name__,
                    )


def _store_rows(connection: Connection, rows: Sequence[_Row]) -> None:
    table = zone_events
    connection.execute(insert(table), rows)
    last = connection.execute(select(func.max(table.c.id))).scalar_one()
    if last // _TRIM_EVERY == (last - len(rows)) // _TRIM_EVERY:
        return
    for zone in {row["zone"] for row in rows}:
        oldest_kept = (
            select(table.c.id)
            .where(table.c.zone == zone)
            .order_by(table.c.id.desc())
            .offset(KEPT_EVENTS - 1)
            .limit(1)
            .scalar_subquery()
        )
        connection.execute(delete(table).where(table.c.zone == zone, table.c.id < oldest_kept))
