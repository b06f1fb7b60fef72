"""The board of alarms: what is wrong now, since when, and what is to be told of it."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from signerd.alarm.alarm import (
    Alarm,
    AlarmEvent,
    AlarmKey,
    EventKind,
    RaisedAlarm,
    format_age,
    tidy_text,
)

logger = logging.getLogger(__name__)

MAX_PENDING_EVENTS: Final = 10_000  # while the database is closed; beyond, the oldest are not handed on
ZONES_SECONDS: Final = 600  # after the database was opened zones of the API are still to be found
_Place = tuple[str, str]  # source, zone


@dataclass(frozen=True, slots=True)
class Pending:
    """What is to be stored.

    Attributes:
        changes: Alarms that began or changed; None for those that ended.
        events: To be told to others, oldest first.
    """

    changes: Mapping[AlarmKey, RaisedAlarm | None]
    events: Sequence[AlarmEvent]

    def __bool__(self) -> bool:
        """Say if there is anything."""
        return bool(self.changes or self.events)


class AlarmBoard:
    """Keeps what each source says of each zone. Safe to use from any thread; does not block.

    It works without a database. Whoever has one restores what was on before the restart, takes what is to be
    stored, and puts it back if that fails.
    """

    def __init__(
        self,
        now: Callable[[], int],
        remind_seconds: int,
        is_ignored: Callable[[str, str], bool] = lambda _code, _zone: False,
    ) -> None:
        """Prepare an empty board.

        Args:
            now: The wall clock, epoch seconds.
            remind_seconds: People are reminded of an alarm each time it has been on for so long.
            is_ignored: Says of a code and a zone whether that alarm is no concern.
        """
        self._now = now
        self._remind_seconds = remind_seconds
        self._is_ignored = is_ignored
        self._lock = threading.Lock()
        self._raised: dict[_Place, dict[str, RaisedAlarm]] = {}
        # of before the restart, until a source speaks
        self._remembered: dict[_Place, dict[str, RaisedAlarm]] = {}
        self._restored_at = 0
        self._changes: dict[AlarmKey, RaisedAlarm | None] = {}
        self._events: deque[AlarmEvent] = deque(maxlen=MAX_PENDING_EVENTS)
        self.on_change: Callable[[], None] = lambda: None
        """Called when there is something to store, in the thread that brought it."""

    # What sources say

    def update(self, source: str, zone: str, alarms: Sequence[Alarm]) -> None:
        """Replace what a source said of a zone.

        Alarms of the same code are one. What began and what ended is logged.

        Args:
            source: Which part of the server speaks.
            zone: Without final dot; empty for what is not about a zone.
            alarms: All that is wrong.
        """
        place = (source, zone)
        if not alarms and place not in self._raised and place not in self._remembered:
            return  # nearly all zones, nearly always
        wanted = _merge([alarm for alarm in alarms if not self._is_ignored(alarm.code, zone)])
        with self._lock:
            before = self._raised.get(place, {})
            after = {code: self._raise(place, before.get(code), alarm) for code, alarm in wanted.items()}
            for code, raised in before.items():
                if code not in after:
                    self._end(raised)
            for raised in self._remembered.pop(place, {}).values():
                self._end(raised)
            if after:
                self._raised[place] = after
            else:
                self._raised.pop(place, None)
            is_changed = bool(self._changes)
        if is_changed:
            self.on_change()

    def note_event(self, code: str, zone: str, text: str) -> None:
        """Log and hand on that something happened once, such as that a rollover began."""
        text = tidy_text(text)
        logger.info("%s%s [%s]", f"zone {zone}: " if zone else "", text, code)
        with self._lock:
            self._events.append(AlarmEvent(EventKind.HAPPENED, code, zone, text, self._now()))
        self.on_change()

    def keep_zones(self, zones: Iterable[str]) -> None:
        """End the alarms of all zones but these: nobody speaks of a zone that is gone.

        Args:
            zones: Without final dot.
        """
        known = {"", *zones}
        with self._lock:
            places = {place for place in self._raised if place[1] not in known}
            if self._now() - self._restored_at >= ZONES_SECONDS:
                places |= {place for place in self._remembered if place[1] not in known}
        for source, zone in places:
            self.update(source, zone, ())

    def remind(self) -> None:
        """Remind people of what has been on for long."""
        now = self._now()
        with self._lock:
            for alarms in self._raised.values():
                for code, raised in alarms.items():
                    last = raised.since if raised.reminded_at is None else raised.reminded_at
                    if now - last < self._remind_seconds:
                        continue
                    alarms[code] = reminded = replace(raised, reminded_at=now)
                    age = format_age(now - raised.since)
                    logger.error("alarm for %s: %s [%s]", age, raised.describe(), code)
                    self._note(EventKind.REMINDER, reminded)
            is_changed = bool(self._changes)
        if is_changed:
            self.on_change()

    def _raise(self, place: _Place, before: RaisedAlarm | None, alarm: Alarm) -> RaisedAlarm:
        source, zone = place
        key = (source, zone, alarm.code)
        now = self._now()
        before = before or self._remembered.get(place, {}).pop(alarm.code, None)
        if before is not None and alarm.code not in self._raised.get(place, {}):
            logger.warning("alarm still on: %s [%s]", replace(before, alarm=alarm).describe(), alarm.code)
        if before is None:
            since = now if alarm.since is None else alarm.since
            raised = RaisedAlarm(source, zone, alarm, since)
            logger.error("alarm: %s [%s]", raised.describe(), alarm.code)
            self._note(EventKind.BEGAN, raised)
            return raised
        since = before.since if alarm.since is None else alarm.since
        raised = replace(before, alarm=alarm, since=since)
        if raised != before:
            if alarm.text != before.alarm.text:
                logger.info("alarm goes on: %s [%s]", raised.describe(), alarm.code)
            self._changes[key] = raised
        return raised

    def _end(self, raised: RaisedAlarm) -> None:
        age = format_age(self._now() - raised.since)
        logger.info("alarm over after %s: %s [%s]", age, raised.describe(), raised.alarm.code)
        self._note(EventKind.ENDED, raised)

    def _note(self, kind: EventKind, raised: RaisedAlarm) -> None:
        alarm = raised.alarm
        self._changes[raised.key] = None if kind is EventKind.ENDED else raised
        self._events.append(
            AlarmEvent(
                kind,
                alarm.code,
                raised.zone,
                alarm.text,
                self._now(),
                alarm.who,
                raised.since,
                raised.source,
            )
        )

    # What is told

    def list_alarms(self) -> Sequence[RaisedAlarm]:
        """List what is wrong now, what has been so for longest first."""
        with self._lock:
            raised = [alarm for alarms in self._raised.values() for alarm in alarms.values()]
        return sorted(raised, key=lambda alarm: (alarm.since, alarm.key))

    # What is stored

    def restore(self, kept: Iterable[RaisedAlarm]) -> None:
        """Take in what was on before the restart.

        It counts once its source says it again, and is then not told anew; or its source does not, and it is
        over.
        """
        with self._lock:
            self._restored_at = self._now()
            for before in kept:
                key = before.key
                current = self._raised.get((before.source, before.zone), {}).get(before.alarm.code)
                if current is not None:
                    since = current.since if current.alarm.since is not None else before.since
                    merged = replace(current, since=since, reminded_at=before.reminded_at)
                    self._raised[before.source, before.zone][before.alarm.code] = merged
                    self._changes[key] = merged
                    self._events = deque(
                        (event for event in self._events if not _tells(event, EventKind.BEGAN, key)),
                        MAX_PENDING_EVENTS,
                    )
                elif key not in self._changes:  # otherwise it has ended
                    self._remembered.setdefault((before.source, before.zone), {})[before.alarm.code] = before

    def take_pending(self, most: int | None = None) -> Pending:
        """Take what is to be stored.

        Events come first: a crash may have one told twice, but none not at all.

        Args:
            most: Bounds the number of events, and that of changes; None takes all.
        """
        with self._lock:
            most = max(len(self._events), len(self._changes)) if most is None else most
            events = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            keys = [] if self._events else list(self._changes)[:most]
            return Pending({key: self._changes.pop(key) for key in keys}, events)

    def put_back(self, pending: Pending) -> None:
        """Give back what could not be stored."""
        with self._lock:
            self._changes = {**pending.changes, **self._changes}
            self._events = deque((*pending.events, *self._events), MAX_PENDING_EVENTS)


def _tells(event: AlarmEvent, kind: EventKind, key: AlarmKey) -> bool:
    return event.kind is kind and (event.source, event.zone, event.code) == key


def _merge(alarms: Sequence[Alarm]) -> dict[str, Alarm]:
    """Make one alarm of those with the same code."""
    merged: dict[str, Alarm] = {}
    for alarm in alarms:
        other = merged.get(alarm.code)
        if other is None:
            merged[alarm.code] = replace(alarm, text=tidy_text(alarm.text))
            continue
        known = [since for since in (other.since, alarm.since) if since is not None]
        merged[alarm.code] = replace(
            other,
            text=tidy_text(f"{other.text}; {alarm.text}"),
            who=other.who or alarm.who,
            since=min(known, default=None),
        )
    return merged
