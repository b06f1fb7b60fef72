"""The rows of the outbox."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from signerd.alarm.alarm import AlarmEvent
from signerd.webhook.message import make_body
from signerd.webhook.tables import webhook_deliveries as table
from signerd.webhook.webhook import Webhook

MOST_AHEAD_SECONDS: Final = 2 * 3600  # an attempt is never put off for longer


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one receiver.

    Attributes:
        number: Of its row; rises from event to event.
        event: Identity of the event.
        body: What is posted.
        created_at: Epoch seconds.
        attempts: How many have failed.
    """

    number: int
    event: str
    body: str
    created_at: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for a receiver: how many events, and since when the oldest."""

    waiting: int
    oldest_at: int | None


def add_events(
    connection: Connection, webhooks: Iterable[Webhook], events: Sequence[AlarmEvent], server: str, now: int
) -> Mapping[str, int]:
    """Put events into the outbox of each receiver that wants them.

    Returns:
        How many events were given up because too many wait, by name of the receiver.
    """
    dropped: dict[str, int] = {}
    for webhook in webhooks:
        wanted = [event for event in events if webhook.wants(event.code)]
        if not wanted:
            continue
        rows = [
            {
                "webhook": webhook.name,
                "event": event.identity,
                "body": make_body(event, server),
                "created_at": now,
                "next_attempt_at": now,
                "attempts": 0,
            }
            for event in wanted
        ]
        connection.execute(insert(table), rows)
        beyond = (
            select(table.c.id)
            .where(table.c.webhook == webhook.name)
            .order_by(table.c.id.desc())
            .offset(webhook.max_waiting)
        )
        if gone := connection.execute(delete(table).where(table.c.id.in_(beyond))).rowcount:
            dropped[webhook.name] = gone
    return dropped


def drop_old(connection: Connection, webhook: str, before: int) -> int:
    """Give up what was put in before a moment.

    Returns:
        How many events.
    """
    return connection.execute(
        delete(table).where(table.c.webhook == webhook, table.c.created_at < before)
    ).rowcount


def drop_unknown(connection: Connection, webhooks: Iterable[str]) -> int:
    """Give up what is for receivers that are not configured any more.

    Returns:
        How many events.
    """
    return connection.execute(delete(table).where(table.c.webhook.not_in(list(webhooks)))).rowcount


def find_due(connection: Connection, webhook: str, now: int) -> Delivery | None:
    """Find the oldest event that is to be delivered now."""
    row = connection.execute(
        select(table).where(table.c.webhook == webhook, _is_due(now)).order_by(table.c.id).limit(1)
    ).first()
    return None if row is None else Delivery(row.id, row.event, row.body, row.created_at, row.attempts)


def _is_due(now: int) -> ColumnElement[bool]:
    # what seems to wait for longer than anything does was put there before the clock was set back
    return (table.c.next_attempt_at <= now) | (table.c.next_attempt_at > now + MOST_AHEAD_SECONDS)


def find_next_attempt(connection: Connection, webhook: str) -> int | None:
    """Say when the next event is due, epoch seconds; None if none waits."""
    found = connection.execute(select(func.min(table.c.next_attempt_at)).where(table.c.webhook == webhook))
    return found.scalar()


def remove(connection: Connection, number: int) -> None:
    """Take an event out: it was delivered, or is given up."""
    connection.execute(delete(table).where(table.c.id == number))


def postpone(connection: Connection, delivery: Delivery, next_attempt_at: int, reason: str) -> None:
    """Note that an attempt failed."""
    connection.execute(
        update(table)
        .where(table.c.id == delivery.number)
        .values(next_attempt_at=next_attempt_at, attempts=delivery.attempts + 1, last_error=reason)
    )


def hurry(connection: Connection, webhook: str, now: int) -> None:
    """Have all that waits for a receiver delivered now: it answers again."""
    connection.execute(
        update(table)
        .where(table.c.webhook == webhook, table.c.next_attempt_at > now)
        .values(next_attempt_at=now)
    )


def count_backlog(connection: Connection, webhook: str) -> Backlog:
    """Count what waits for a receiver."""
    row = connection.execute(
        select(func.count(), func.min(table.c.created_at)).where(table.c.webhook == webhook)
    ).one()
    return Backlog(row[0], row[1])
