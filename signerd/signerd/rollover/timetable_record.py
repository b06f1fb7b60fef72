"""The stored timetables of zones."""

from dataclasses import dataclass, field

from sqlalchemy import Engine, delete, insert, select, update

from signerd.delegation.parent_view import ParentView
from signerd.delegation.view_record import read_view, write_view
from signerd.dns.name import Name, format_name
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import zone_timetables
from signerd.timetable.state import TimetableState
from signerd.timetable.state_record import read_state, write_state


@dataclass(frozen=True, slots=True)
class TimetableRecord:
    """What is kept of a zone.

    Attributes:
        state: Of its timetable.
        view: What its parent said.
        probed_at: When the parent was asked last, epoch seconds.
    """

    state: TimetableState
    view: ParentView = field(default_factory=ParentView)
    probed_at: int | None = None


def read_record(engine: Engine, zone: Name) -> TimetableRecord | None:
    """Read the record of a zone; None if there is none.

    Raises:
        BadStateRecord: It cannot be read.
    """
    table = zone_timetables
    with connect_to_read(engine) as connection:
        row = connection.execute(select(table).where(table.c.zone == format_name(zone))).first()
    if row is None:
        return None
    return TimetableRecord(read_state(row.state), read_view(row.parent), row.probed_at)


def has_record(engine: Engine, zone: Name) -> bool:
    """Say if a zone has a record."""
    table = zone_timetables
    with connect_to_read(engine) as connection:
        query = select(table.c.zone).where(table.c.zone == format_name(zone))
        return connection.execute(query).first() is not None


def delete_record(engine: Engine, zone: Name) -> None:
    """Delete the record of a zone."""
    table = zone_timetables
    with engine.begin() as connection:
        connection.execute(delete(table).where(table.c.zone == format_name(zone)))


def write_record(engine: Engine, zone: Name, record: TimetableRecord, now: int) -> None:
    """Write the record of a zone, durably."""
    table = zone_timetables
    values = {
        "state": write_state(record.state),
        "parent": write_view(record.view),
        "probed_at": record.probed_at,
        "updated_at": now,
    }
    with engine.begin() as connection:
        changed = connection.execute(update(table).where(table.c.zone == format_name(zone)).values(**values))
        if changed.rowcount == 0:
            connection.execute(insert(table).values(zone=format_name(zone), **values))
