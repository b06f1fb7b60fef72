"""How the keys of a zone are called before people."""

from dataclasses import replace

import pytest

from signerd.rollover.key_plan import KeyPlan
from signerd.timetable.arrangement import arrange
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.rollover_steps import PARENT, Wait
from signerd.timetable.state import TimetableState
from signerd.timetable.timetable import Outcome

STATE, POLICY = TimetableState(), TimetablePolicy()
OUTCOME = Outcome(
    STATE,
    arrange(STATE, POLICY),
    (),
    9,
    "Remove the DS record of ksk-1.",
    (Wait(2, Step.DELEGATE, "remove the DS record of ksk-1", PARENT),),
    None,
    0,
)
PLAN = KeyPlan("a.test", "default", POLICY, OUTCOME, 9, {"ksk-1": 12345, "ksk-11": 678})


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("remove ksk-1, add ksk-11", "remove ksk-1 (tag 12345), add ksk-11 (tag 678)"),
        ("ksk-12 is to be made", "ksk-12 is to be made"),
        ("zsk-1 and task-1", "zsk-1 and task-1"),
        ("say 'signerd rollover approve ZONE 2'", "say 'signerd rollover approve a.test 2'"),
    ],
)
def test_keys_are_named_with_their_tags(text: str, spelt: str) -> None:
    assert PLAN.spell_keys(text) == spelt
    assert replace(PLAN, tags={}).spell_keys(text) == text.replace("ZONE", "a.test")


def test_the_next_look_may_come_before_what_the_timetable_waits_for() -> None:
    assert PLAN.looks_again_at == 9
    assert replace(PLAN, next_look=7).looks_again_at == 7


def test_what_people_are_told_names_tags() -> None:
    assert PLAN.sentence == "Remove the DS record of ksk-1 (tag 12345)."
    assert [duty.what for duty in PLAN.list_duties()] == ["remove the DS record of ksk-1 (tag 12345)"]
    assert PLAN.problem is None
    stopped = replace(PLAN, outcome=replace(OUTCOME, problem="key ksk-1 is missing"))
    assert stopped.problem == "key ksk-1 (tag 12345) is missing"
