import json

import pytest

from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.parent import ParentHabits
from signerd.simulation.scenario import AbortCommand, Scenario, StartCommand
from signerd.simulation.simulator import simulate
from signerd.timetable.policy import DAY, Step, TimetablePolicy
from signerd.timetable.state import RolloverKind, TimetableState
from signerd.timetable.state_record import BadStateRecord, read_state, write_state

START = 1_798_761_600


def make_state(days: int, *, is_aborted: bool) -> TimetableState:
    deeds = [(START + 10 * DAY, StartCommand(RolloverKind.KSK))]
    scenario = Scenario(
        START,
        START + days * DAY,
        TimetablePolicy(zsk_period=11 * DAY),
        SigningPolicy(),
        ParentHabits(lambda _: 3 * DAY),
        deeds=(*deeds, *([(START + 12 * DAY, AbortCommand())] if is_aborted else [])),
        approved=frozenset(Step),
    )
    return simulate(scenario).state


@pytest.mark.parametrize("is_aborted", [False, True])
@pytest.mark.parametrize("days", [1, 11, 13, 14, 15, 40])
def test_a_state_comes_back_as_it_was(days: int, *, is_aborted: bool) -> None:
    state = make_state(days, is_aborted=is_aborted)

    text = write_state(state)

    assert read_state(text) == state
    assert write_state(read_state(text)) == text


def test_an_empty_state_comes_back() -> None:
    assert read_state(write_state(TimetableState())) == TimetableState()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[]", "has no state in it"),
        ('{"format":2,"state":{}}', "another version"),
        ('{"format":1,"state":{"keys":[{"name":"a","role":"king"}]}}', "does not hold a state"),
        ('{"format":1,"state":{"keys":7}}', "does not hold a state"),
    ],
)
def test_what_is_no_state_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadStateRecord, match=message):
        read_state(text)


def test_a_record_with_a_changed_presence_is_refused() -> None:
    record = json.loads(write_state(make_state(11, is_aborted=False)))
    record["state"]["keys"][0]["dnskey"]["presence"] = "perhaps"
    with pytest.raises(BadStateRecord):
        read_state(json.dumps(record))
