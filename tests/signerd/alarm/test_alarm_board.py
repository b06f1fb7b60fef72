"""What the board keeps, logs and hands on."""

import logging
from dataclasses import dataclass

import pytest

from signerd.alarm.alarm import MAX_TEXT, Alarm, AlarmEvent, EventKind, RaisedAlarm, format_age
from signerd.alarm.alarm_board import MAX_PENDING_EVENTS, ZONES_SECONDS, AlarmBoard
from signerd.config.alarm_options import Alarms

DAY = 86400
STRAY = Alarm("dnssec.ds_stray", "the parent's DS 7 points to no key", "the registrar")


@dataclass
class SettableClock:
    seconds: int = 1_800_000_000

    def now(self) -> int:
        return self.seconds


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def board(clock: SettableClock) -> AlarmBoard:
    return AlarmBoard(clock.now, DAY)


def kinds(board: AlarmBoard) -> list[tuple[EventKind, str, str]]:
    return [(event.kind, event.zone, event.code) for event in board.take_pending().events]


def test_an_alarm_has_its_age_from_when_it_was_first_heard(board: AlarmBoard, clock: SettableClock) -> None:
    board.update("delegation", "a.test", [STRAY])
    clock.seconds += 100
    board.update("delegation", "a.test", [STRAY])
    [raised] = board.list_alarms()
    assert (raised.zone, raised.alarm, raised.since) == ("a.test", STRAY, clock.seconds - 100)
    assert kinds(board) == [(EventKind.BEGAN, "a.test", "dnssec.ds_stray")]


def test_a_source_that_knows_better_says_since_when(board: AlarmBoard) -> None:
    board.update("rollover", "a.test", [Alarm("rollover.parent_must_act", "no DS", "the parent", since=17)])
    assert [raised.since for raised in board.list_alarms()] == [17]


def test_what_a_source_says_no_more_is_over_and_others_stay(board: AlarmBoard, clock: SettableClock) -> None:
    board.update("delegation", "a.test", [STRAY, Alarm("x.y", "?")])
    board.update("delegation", "b.test", [STRAY])
    board.update("rollover", "a.test", [STRAY])
    board.take_pending()
    clock.seconds += 60
    board.update("delegation", "a.test", [Alarm("x.y", "?")])
    pending = board.take_pending()
    [ended] = pending.events
    assert (ended.kind, ended.zone, ended.source) == (EventKind.ENDED, "a.test", "delegation")
    assert (ended.at, ended.since) == (clock.seconds, clock.seconds - 60)
    assert pending.changes == {("delegation", "a.test", "dnssec.ds_stray"): None}
    assert {(raised.source, raised.zone, raised.alarm.code) for raised in board.list_alarms()} == {
        ("delegation", "a.test", "x.y"),
        ("delegation", "b.test", "dnssec.ds_stray"),
        ("rollover", "a.test", "dnssec.ds_stray"),
    }


def test_begin_and_end_are_logged_with_how_long_it_lasted(
    board: AlarmBoard, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    board.update("delegation", "a.test", [STRAY])
    clock.seconds += 3 * 3600 + 120
    board.update("delegation", "a.test", [])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "ERROR",
            "alarm: zone a.test: the parent's DS 7 points to no key (the registrar must act) "
            "[dnssec.ds_stray]",
        ),
        (
            "INFO",
            "alarm over after 3h2m: zone a.test: the parent's DS 7 points to no key (the registrar must act) "
            "[dnssec.ds_stray]",
        ),
    ]


def test_alarms_of_one_code_are_one_with_both_texts_and_the_older_age(board: AlarmBoard) -> None:
    board.update("s", "a.test", [Alarm("c", "one", since=20), Alarm("c", "two", "somebody", since=10)])
    [raised] = board.list_alarms()
    assert (raised.alarm.text, raised.alarm.who, raised.since) == ("one; two", "somebody", 10)


def test_another_text_is_the_same_alarm(board: AlarmBoard, clock: SettableClock) -> None:
    board.update("s", "a.test", [Alarm("c", "one server")])
    clock.seconds += 5
    board.update("s", "a.test", [Alarm("c", "two servers")])
    [raised] = board.list_alarms()
    assert (raised.alarm.text, raised.since) == ("two servers", clock.seconds - 5)
    pending = board.take_pending()
    assert [event.kind for event in pending.events] == [EventKind.BEGAN]
    assert pending.changes == {raised.key: raised}


def test_texts_are_one_line_that_steers_no_terminal(board: AlarmBoard) -> None:
    board.update("s", "", [Alarm("c", "one\ntwo\x1b[31m " + "x" * 5000)])
    [raised] = board.list_alarms()
    assert raised.alarm.text.startswith("one two?[31m x")
    assert len(raised.alarm.text) == MAX_TEXT


def test_people_are_reminded_each_day(
    board: AlarmBoard, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    board.update("s", "a.test", [STRAY])
    board.take_pending()
    reminded: list[int] = []
    for hour in range(1, 73):
        clock.seconds += 3600
        board.remind()
        reminded += [hour for event in board.take_pending().events if event.kind is EventKind.REMINDER]
    assert reminded == [24, 48, 72]
    assert caplog.messages[-1].startswith("alarm for 3d: zone a.test:")


def test_what_was_on_before_a_restart_keeps_its_age_and_is_not_told_anew(
    board: AlarmBoard, clock: SettableClock
) -> None:
    board.restore([RaisedAlarm("delegation", "a.test", STRAY, 1000, 2000)])
    assert not board.list_alarms()  # until its source says so
    board.update("delegation", "a.test", [STRAY])
    assert [(raised.since, raised.reminded_at) for raised in board.list_alarms()] == [(1000, 2000)]
    assert kinds(board) == []


def test_the_same_when_the_database_opens_after_the_source_spoke(board: AlarmBoard) -> None:
    board.update("delegation", "a.test", [STRAY])
    board.update("delegation", "b.test", [STRAY])
    board.restore([RaisedAlarm("delegation", "a.test", STRAY, 1000)])
    assert {raised.zone: raised.since for raised in board.list_alarms()}["a.test"] == 1000
    assert kinds(board) == [(EventKind.BEGAN, "b.test", "dnssec.ds_stray")]


def test_what_is_not_said_again_after_a_restart_is_over(board: AlarmBoard) -> None:
    board.restore([RaisedAlarm("delegation", "a.test", STRAY, 1000)])
    board.update("delegation", "a.test", [])
    pending = board.take_pending()
    assert [event.kind for event in pending.events] == [EventKind.ENDED]
    assert pending.changes == {("delegation", "a.test", "dnssec.ds_stray"): None}


def test_alarms_of_zones_that_are_gone_are_over(board: AlarmBoard, clock: SettableClock) -> None:
    board.restore([RaisedAlarm("delegation", "old.test", STRAY, 1000)])
    for zone in ("a.test", "gone.test", ""):
        board.update("s", zone, [STRAY])
    board.take_pending()
    board.keep_zones(["a.test"])
    assert kinds(board) == [(EventKind.ENDED, "gone.test", "dnssec.ds_stray")]
    clock.seconds += ZONES_SECONDS  # right after a restart zones of the API may not have been found yet
    board.keep_zones(["a.test"])
    assert kinds(board) == [(EventKind.ENDED, "old.test", "dnssec.ds_stray")]
    assert [raised.zone for raised in board.list_alarms()] == ["", "a.test"]


def test_what_could_not_be_stored_comes_again_and_what_came_since_counts(board: AlarmBoard) -> None:
    board.update("s", "a.test", [STRAY])
    pending = board.take_pending()
    board.update("s", "a.test", [])
    board.put_back(pending)
    again = board.take_pending()
    assert [event.kind for event in again.events] == [EventKind.BEGAN, EventKind.ENDED]
    assert again.changes == {("s", "a.test", "dnssec.ds_stray"): None}


def test_without_a_database_the_oldest_events_are_given_up(board: AlarmBoard) -> None:
    for number in range(MAX_PENDING_EVENTS + 5):
        board.note_event("key.made", f"z{number}.test", "a key was made")
    events = board.take_pending().events
    assert len(events) == MAX_PENDING_EVENTS
    assert events[0].zone == "z5.test"


def test_no_two_events_have_the_same_identity(board: AlarmBoard) -> None:
    board.note_event("key.made", "a.test", "a key was made")
    board.note_event("key.made", "a.test", "a key was made")
    first, second = board.take_pending().events
    assert isinstance(first, AlarmEvent)
    assert first.identity != second.identity


def test_whoever_stores_is_told(board: AlarmBoard) -> None:
    told: list[str] = []
    board.on_change = lambda: told.append("changed")
    board.update("s", "a.test", [])
    assert not told
    board.update("s", "a.test", [STRAY])
    board.note_event("key.made", "a.test", "a key was made")
    assert len(told) == 2


def test_what_the_operator_ignores_is_not_raised_and_ends_if_it_was_on(clock: SettableClock) -> None:
    ignore = ("disk.low", "dnssec@a.test", "zone.file_refused@B.test.")
    board = AlarmBoard(clock.now, DAY, Alarms(ignore=ignore).make_filter())
    board.restore([RaisedAlarm("s", "a.test", STRAY, 1000)])
    board.update("s", "a.test", [STRAY, Alarm("zone.file_refused", "?")])
    board.update("s", "b.test", [STRAY, Alarm("zone.file_refused", "?")])
    board.update("s", "", [Alarm("disk.low", "?"), Alarm("disk.failed", "?")])
    assert {(raised.zone, raised.alarm.code) for raised in board.list_alarms()} == {
        ("a.test", "zone.file_refused"),
        ("b.test", "dnssec.ds_stray"),
        ("", "disk.failed"),
    }
    assert (EventKind.ENDED, "a.test", "dnssec.ds_stray") in kinds(board)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (59, "59s"),
        (3600, "1h"),
        (3660, "1h1m"),
        (86400 * 13 + 5 * 3600 + 60, "13d5h"),
        (86460, "1d1m"),
    ],
)
def test_ages_are_printed_in_their_two_largest_units(seconds: int, text: str) -> None:
    assert format_age(seconds) == text
