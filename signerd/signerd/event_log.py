"""What happened to each version of each zone, kept in the database."""

import logging
from collections.abc import Callable

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd.clock import Clock
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.dns.name import Name
from signerd.store.zone_tables import zone_events
from signerd.zones.pipeline import Stage
from signerd.zones.zone_list import format_zone_name

logger = logging.getLogger(__name__)

KEPT_EVENTS = 1000  # of each zone: some months of re-signing; more would only grow the database
_TRIM_EVERY = 100


class EventLog:
    """Records stages; zones are published also when it cannot, since what is on the disk counts."""

    def __init__(
        self, holder: CustodyHolder, clock: Clock, on_stage: Callable[[Name, Stage], None] | None
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._on_stage = on_stage

    def record(self, zone: Name, stage: Stage, serial: int | None, detail: str) -> None:
        """Record that a version reached a stage."""
        text = format_zone_name(zone)
        try:
            with self._holder.custody.engine.begin() as connection:
                row = connection.execute(
                    insert(zone_events).values(
                        zone=text, at=self._clock.now(), stage=stage.value, serial=serial, detail=detail
                    )
                )
                number = row.inserted_primary_key[0] if row.inserted_primary_key else 0
                if number % _TRIM_EVERY == 0:
                    count = select(func.count()).where(zone_events.c.zone == text).scalar_subquery()
                    if (connection.execute(select(count)).scalar() or 0) > KEPT_EVENTS:
                        oldest = (
                            select(zone_events.c.id)
                            .where(zone_events.c.zone == text)
                            .order_by(zone_events.c.id.desc())
                            .offset(KEPT_EVENTS)
                        )
                        connection.execute(delete(zone_events).where(zone_events.c.id.in_(oldest)))
        except (CustodyUnavailable, SQLAlchemyError) as error:
            logger.warning("zone %s: stage %s could not be recorded: %s", text, stage, type(error).__name__)
        if self._on_stage is not None:
            self._on_stage(zone, stage)
