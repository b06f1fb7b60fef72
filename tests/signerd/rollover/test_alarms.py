"""Moments by zone."""

from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import Name, parse_name
from signerd.rollover.alarms import Alarms

NAMES = [parse_name(f"zone-{number}.") for number in range(5)]
CHANGES = st.lists(st.tuples(st.sampled_from(NAMES), st.none() | st.integers(0, 20)), max_size=400)


@given(CHANGES, st.integers(0, 20))
def test_what_is_due_is_what_was_said_last(changes: list[tuple[Name, int | None]], now: int) -> None:
    alarms, model = Alarms(), dict[Name, int]()
    for name, at in changes:
        if at is None:
            alarms.discard(name)
            model.pop(name, None)
        else:
            alarms.set(name, at)
            model[name] = at
    assert alarms.find_next() == min(model.values(), default=None)
    due = alarms.take_due(now)
    assert [model[name] for name in due] == sorted(at for at in model.values() if at <= now)
    assert sorted(alarms) == sorted(model.keys() - set(due))
    assert alarms.find_next() == min((at for at in model.values() if at > now), default=None)


def test_a_moment_that_is_set_again_and_again_takes_no_room() -> None:
    alarms = Alarms()
    for at in range(10_000):
        alarms.set(NAMES[0], at)
    assert alarms.count_kept() < 100
    assert alarms.take_due(10_000) == [NAMES[0]]
