"""Random histories of a board: causes come and go, the database fails, the server crashes."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from signerd.alarm.alarm import Alarm, AlarmEvent, AlarmKey, EventKind, RaisedAlarm
from signerd.alarm.alarm_board import AlarmBoard

PLACES = [("zones", "a.test"), ("zones", "b.test"), ("kms", "")]
CODES = ["x.one", "x.two"]
Say = tuple[int, frozenset[str]]  # a place, and what is wrong there from now on


@dataclass
class World:
    """A server: what is really wrong, its board, and what the database has."""

    now: int = 1000
    wrong: dict[tuple[str, str], frozenset[str]] = field(
        default_factory=lambda: dict.fromkeys(PLACES, frozenset[str]())
    )
    rows: dict[AlarmKey, RaisedAlarm] = field(default_factory=dict[AlarmKey, RaisedAlarm])
    events: list[AlarmEvent] = field(default_factory=list[AlarmEvent])

    def __post_init__(self) -> None:
        self.board = AlarmBoard(lambda: self.now, 86400)

    def say(self, place: tuple[str, str]) -> None:
        self.board.update(*place, [Alarm(code, "text") for code in sorted(self.wrong[place])])

    def store(self, *, works: bool) -> None:
        pending = self.board.take_pending()
        if not works:
            self.board.put_back(pending)
            return
        for key, raised in pending.changes.items():
            if raised is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = raised
        self.events += pending.events

    def crash(self, *, database_first: bool) -> None:
        """Begin anew; the database opens before the first look or after it."""
        self.board = AlarmBoard(lambda: self.now, 86400)
        if database_first:
            self.board.restore(self.rows.values())
        for place in PLACES:
            self.say(place)
        if not database_first:
            self.board.restore(self.rows.values())
            for place in PLACES:  # sources say it again and again
                self.say(place)

    @property
    def raised(self) -> dict[AlarmKey, RaisedAlarm]:
        return {raised.key: raised for raised in self.board.list_alarms()}


says = st.tuples(st.integers(0, len(PLACES) - 1), st.frozensets(st.sampled_from(CODES)))
steps = st.one_of(
    st.tuples(st.just("say"), says),
    st.tuples(st.just("store"), st.booleans()),
    st.tuples(st.just("crash"), st.booleans()),
)


@given(st.lists(steps, max_size=40))
def test_what_is_wrong_is_on_and_each_begin_and_end_is_told_once(
    history: list[tuple[str, Say] | tuple[str, bool]],
) -> None:
    world = World()
    for what, how in history:
        world.now += 10
        if isinstance(how, tuple):
            number, codes = how
            world.wrong[PLACES[number]] = codes
            world.say(PLACES[number])
        elif what == "store":
            world.store(works=how)
        else:
            world.crash(database_first=how)
        expected = {(*place, code) for place, codes in world.wrong.items() for code in codes}
        assert set(world.raised) == expected
    world.store(works=True)
    assert world.rows == world.raised
    for key in {(event.source, event.zone, event.code) for event in world.events}:
        told = [event for event in world.events if (event.source, event.zone, event.code) == key]
        # strictly in turn, and an end knows the begin that was told
        for number, event in enumerate(told):
            assert event.kind is (EventKind.ENDED if number % 2 else EventKind.BEGAN)
            if number % 2:
                assert event.since == told[number - 1].since
        assert (len(told) % 2 == 1) is (key in world.rows)


@given(st.lists(st.tuples(st.integers(1, 100_000), st.booleans()), max_size=20))
def test_an_alarm_that_stays_keeps_its_begin_over_any_number_of_crashes(
    waits: list[tuple[int, bool]],
) -> None:
    world = World()
    world.wrong[PLACES[0]] = frozenset({"x.one"})
    world.say(PLACES[0])
    world.store(works=True)
    for seconds, database_first in waits:
        world.now += seconds
        world.crash(database_first=database_first)
        world.store(works=True)
    assert [raised.since for raised in world.board.list_alarms()] == [1000]
    assert [event.kind for event in world.events] == [EventKind.BEGAN]
