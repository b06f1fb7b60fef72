"""Alarms as rows, so that their age survives a restart."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

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
    for (source, zone, code), raised in changes.items():
        connection.execute(
            delete(alarms).where(alarms.c.source == source, alarms.c.zone == zone, alarms.c.code == code)
        )
        if raised is not None:
            connection.execute(
                insert(alarms).values(
                    source=source,
                    zone=zone,
                    code=code,
                    text=raised.alarm.text,
                    who=raised.alarm.who,
                    since=raised.since,
                    reminded_at=raised.reminded_at,
                )
            )
