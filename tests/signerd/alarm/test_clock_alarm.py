"""A clock that is not believed is an alarm."""

from signerd.alarm.clock_alarm import find_clock_alarms


def test_a_clock_that_is_believed_is_no_alarm() -> None:
    assert find_clock_alarms(None) == []


def test_a_clock_that_is_not_believed_takes_the_operator() -> None:
    [alarm] = find_clock_alarms("the clock jumped by +88000 s; say 'signerd clock accept'")
    assert (alarm.code, alarm.who) == ("clock.not_believed", "the operator")
    assert "nothing is signed and no keys change: the clock jumped by +88000 s" in alarm.text
