"""The stored timetables of zones."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Engine, delete, insert, select, update

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


def read_record(engine: Engine, zone: Name, identity: str | None = None) -> TimetableRecord | None:
    """Read the record of a zone; None if there is none.

    Args:
        engine: The database.
        zone: The apex.
        identity: Of the zone, if it is one of the API: the record of another of its name is none.

    Raises:
        BadStateRecord: It cannot be read.
    """
    query = select(zone_timetables).where(*_of(zone, identity))
    with connect_to_read(engine) as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return TimetableRecord(read_state(row.state), read_view(row.parent), row.probed_at)


def has_record(engine: Engine, zone: Name, identity: str | None = None) -> bool:
    """Say if a zone has a record; see `read_record`."""
    with connect_to_read(engine) as connection:
        query = select(zone_timetables.c.zone).where(*_of(zone, identity))
        return connection.execute(query).first() is not None


def delete_record(engine: Engine, zone: Name, identity: str | None = None) -> None:
    """Delete the record of a zone; see `read_record`."""
    with engine.begin() as connection:
        connection.execute(delete(zone_timetables).where(*_of(zone, identity)))


def write_record(
    engine: Engine, zone: Name, record: TimetableRecord, now: int, identity: str | None = None
) -> None:
    """Write the record of a zone, durably; in the place of that of another zone of the name."""
    table, values = zone_timetables, _list_values(record, now)
    with engine.begin() as connection:
        changed = connection.execute(update(table).where(*_of(zone, identity)).values(**values))
        if changed.rowcount == 0:
            connection.execute(delete(table).where(*_of(zone, None)))
            connection.execute(insert(table).values(zone=format_name(zone), identity=identity, **values))


def change_record(engine: Engine, zone: Name, record: TimetableRecord, now: int, identity: str) -> bool:
    """Write the record of a zone of the API, durably, if it has one; say if it has.

    It goes in the transaction that deletes the zone, after which there must be none again.
    """
    change = update(zone_timetables).where(*_of(zone, identity)).values(**_list_values(record, now))
    with engine.begin() as connection:
        return connection.execute(change).rowcount == 1


def _list_values(record: TimetableRecord, now: int) -> dict[str, str | int | None]:
    return {
        "state": write_state(record.state),
        "parent": write_view(record.view),
        "probed_at": record.probed_at,
        "updated_at": now,
    }


def _of(zone: Name, identity: str | None) -> list[ColumnElement[bool]]:
    own = [] if identity is None else [zone_timetables.c.identity == identity]
    return [zone_timetables.c.zone == format_name(zone), *own]
