"""What is published and not answered for."""

from dataclasses import dataclass, field, replace

import pytest

from signerd.alarm.alarm import Alarm, RaisedAlarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.serving_watch import PATIENCE_SECONDS, Serving, ServingWatch

ALL_WELL = Serving(("a.test", "b.test"), (), 2, 2)


@dataclass
class World:
    serving: Serving = ALL_WELL
    ticks: float = 5000.0
    board: AlarmBoard = field(default_factory=lambda: AlarmBoard(lambda: 1_800_000_000, 86400))

    def __post_init__(self) -> None:
        self.watch = ServingWatch(lambda: self.serving, self.board, lambda: self.ticks)

    def look(self, seconds: float = 0) -> list[tuple[str, str]]:
        self.ticks += seconds
        self.watch.look()
        return [(raised.alarm.code, raised.zone) for raised in self.board.list_alarms()]


@pytest.fixture
def world() -> World:
    return World()


def test_a_zone_that_no_responder_loads_is_an_alarm_after_a_while(world: World) -> None:
    world.serving = replace(ALL_WELL, unserved=("b.test",))
    assert world.look() == []
    assert world.look(PATIENCE_SECONDS - 1) == []
    assert world.look(1) == [("zone.not_served", "b.test")]
    world.serving = ALL_WELL
    assert world.look(1) == []


def test_what_lasts_over_a_restart_is_not_over_in_between(world: World) -> None:
    world.serving = replace(ALL_WELL, unserved=("b.test",))
    text = "no responder has loaded it"
    world.board.restore([RaisedAlarm("serving", "b.test", Alarm("zone.not_served", text), 1000)])
    world.look()
    world.look(PATIENCE_SECONDS)
    assert [raised.since for raised in world.board.list_alarms()] == [1000]
    assert not world.board.take_pending().events


def test_a_zone_that_is_late_each_time_it_changes_is_none(world: World) -> None:
    for _ in range(5):
        world.serving = replace(ALL_WELL, unserved=("b.test",))
        assert world.look(PATIENCE_SECONDS / 2) == []
        world.serving = ALL_WELL
        assert world.look(PATIENCE_SECONDS / 2) == []


def test_responders_that_stay_away_are_an_alarm(world: World) -> None:
    world.serving = replace(ALL_WELL, running=1)
    assert world.look() == []
    assert world.look(PATIENCE_SECONDS) == [("responder.down", "")]
    [raised] = world.board.list_alarms()
    assert raised.alarm.text == "1 of 2 responders run"
    world.serving = ALL_WELL
    assert world.look(1) == []
