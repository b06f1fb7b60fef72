"""Alarms as rows, so that their age survives a restart."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select

from signerd.alarm.alarm import Alarm, AlarmKey, RaisedAlarm
from signerd.alarm.tables import alarms


def list_rows(connection: Connection) -> list[RaisedAlarm]:
    """Read all."""
    return [
        RaisedAlarm(row.source, row.zone, Alarm(row.code, row.text, row.who), row.since, row.reminded_at)
        for row in connection.execute(select(alarms))
    ]


def store_changes(connection: Connection, changes: Mapping[AlarmKey, RaisedAlarm | None]) -> None:
    """Write what began or changed, and delete what ended."""
    if not changes:
        return
    connection.execute(
        delete(alarms).where(
            alarms.c.source == bindparam("of_source"),
            alarms.c.zone == bindparam("of_zone"),
            alarms.c.code == bindparam("of_code"),
        ),
        [{"of_source": source, "of_zone": zone, "of_code": code} for source, zone, code in changes],
    )
    rows = [
        {
            "source": raised.source,
            "zone": raised.zone,
            "code": raised.alarm.code,
            "text": raised.alarm.text,
            "who": raised.alarm.who,
            "since": raised.since,
            "reminded_at": raised.reminded_at,
        }
        for raised in changes.values()
        if raised is not None
    ]
    if rows:
        connection.execute(insert(alarms), rows)
