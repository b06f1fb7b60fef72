"""What the board hears of the key timetable of a zone."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from signerd.alarm.alarm import Alarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.rollover_alarms import FIRST_DS_SECONDS, RolloverListener, find_rollover_alarms
from signerd.rollover.key_plan import KeyPlan
from signerd.timetable.arrangement import arrange
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.presence import Presence, Trace
from signerd.timetable.rollover_steps import OPERATOR, PARENT, Wait
from signerd.timetable.state import KeyRole, Rollover, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome

NOW = 1_800_000_000
POLICY = TimetablePolicy()
EVERYWHERE = Trace(Presence.OMNIPRESENT, NOW - 10_000_000)
KSK = TimetableKey("ksk-1", KeyRole.KSK, 13, NOW - 10_000_000, EVERYWHERE, EVERYWHERE, EVERYWHERE)
ROLLOVER = Rollover(3, RolloverKind.KSK, ("ksk-3",), ("ksk-1",), NOW - 1000)


@dataclass
class SettableClock:
    seconds: int = NOW

    def now(self) -> int:
        return self.seconds


def make_plan(
    *waits: Wait,
    rollovers: tuple[Rollover, ...] = (),
    keys: tuple[TimetableKey, ...] = (KSK,),
    problem: str | None = None,
    strangers: tuple[str, ...] = (),
    clock_step: int = 0,
    zone: str = "a.test",
) -> KeyPlan:
    state = TimetableState(keys=keys, rollovers=rollovers)
    outcome = Outcome(
        state, arrange(state, POLICY), (), NOW + 3600, "A sentence.", waits, problem, clock_step, strangers
    )
    return KeyPlan(zone, "default", POLICY, outcome, NOW)


def find(plan: KeyPlan) -> list[Alarm]:
    return list(find_rollover_alarms(plan, NOW))


def test_time_alone_is_no_alarm() -> None:
    wait = Wait(3, Step.CONFIRM, "the old DS is in caches", until=NOW + 3600)
    assert find(make_plan(wait, rollovers=(ROLLOVER,))) == []


@pytest.mark.parametrize(
    ("who", "code"), [(OPERATOR, "rollover.operator_must_act"), (PARENT, "rollover.parent_must_act")]
)
def test_a_wait_for_a_person_is_an_alarm_with_its_age(who: str, code: str) -> None:
    wait = Wait(3, Step.DELEGATE, "the DS is awaited", who, since=NOW - 777)
    assert find(make_plan(wait, rollovers=(ROLLOVER,))) == [
        Alarm(code, "ksk rollover 3, step delegate: the DS is awaited", who, NOW - 777)
    ]


def test_a_timetable_that_has_stopped_is_an_alarm_and_nothing_else_counts() -> None:
    wait = Wait(3, Step.DELEGATE, "the DS is awaited", PARENT)
    [alarm] = find(make_plan(wait, rollovers=(ROLLOVER,), problem="ksk-1 is missing", strangers=("ns1",)))
    assert alarm.code == "rollover.stopped"
    assert alarm.who == OPERATOR
    assert "ksk-1 is missing" in alarm.text


def test_ds_records_of_no_key_are_an_alarm_that_names_the_servers() -> None:
    assert find(make_plan(strangers=("ns1.test", "ns2.test"))) == [
        Alarm(
            "dnssec.ds_stray", "the parent has DS records of no key of this zone (ns1.test, ns2.test)", PARENT
        )
    ]


def test_a_first_ds_that_is_missing_is_an_alarm_after_a_day() -> None:
    def plan(age: int) -> KeyPlan:
        reason = "the parent has no DS record of ksk-1 yet"
        return make_plan(Wait(None, None, reason, PARENT, since=NOW - age), keys=(KSK,))

    assert find(plan(FIRST_DS_SECONDS - 1)) == []
    [alarm] = find(plan(FIRST_DS_SECONDS))
    assert (alarm.code, alarm.who, alarm.since) == ("dnssec.ds_missing", PARENT, NOW - FIRST_DS_SECONDS)


def listen() -> tuple[Callable[[KeyPlan], None], Callable[[], list[tuple[str, str, str]]], SettableClock]:
    """Give a listener, and what the board was told since the last look."""
    clock = SettableClock()
    board = AlarmBoard(clock.now, 86400)

    def told() -> list[tuple[str, str, str]]:
        return [(event.code, event.zone, event.text) for event in board.take_pending().events]

    return RolloverListener(board, clock.now), told, clock


def test_begin_and_end_of_rollovers_are_told_once() -> None:
    hear, told, _ = listen()
    hear(make_plan())
    hear(make_plan(rollovers=(ROLLOVER,)))
    hear(make_plan(rollovers=(ROLLOVER,)))
    assert told() == [("rollover.begun", "a.test", "ksk rollover 3 has begun: from ksk-1 to ksk-3")]
    hear(make_plan(rollovers=(replace(ROLLOVER, is_aborted=True),)))
    hear(make_plan())
    assert [code for code, _, _ in told()] == ["rollover.aborted", "rollover.finished"]


def test_what_was_under_way_before_the_start_is_not_told_as_new() -> None:
    hear, told, _ = listen()
    hear(make_plan(rollovers=(ROLLOVER,)))
    assert told() == []


def test_a_step_of_the_clock_is_told_once_for_all_zones() -> None:
    hear, told, clock = listen()
    for zone in ("a.test", "b.test"):
        hear(make_plan(clock_step=-7200, zone=zone))
    [(code, zone, text)] = told()
    assert (code, zone) == ("clock.stepped", "")
    assert "backwards by 7200 s" in text
    clock.seconds += 86400
    hear(make_plan(clock_step=7200))
    assert len(told()) == 1


def test_an_alarm_is_over_with_its_wait() -> None:
    hear, told, _ = listen()
    hear(make_plan(Wait(3, Step.DELEGATE, "the DS is awaited", PARENT), rollovers=(ROLLOVER,)))
    hear(make_plan(rollovers=(ROLLOVER,)))
    assert [code for code, _, _ in told()] == ["rollover.parent_must_act", "rollover.parent_must_act"]
