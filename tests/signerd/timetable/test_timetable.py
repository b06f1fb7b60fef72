"""What the timetable does when something is wrong, and what it says."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from signerd.timetable.arrangement import Action, ActionKind
from signerd.timetable.commands import RolloverRefused, abort_rollover, approve_step, start_rollover
from signerd.timetable.duties import list_duties
from signerd.timetable.facts import Facts, ParentServer
from signerd.timetable.policy import DAY, CdsPolicy, Mode, Step, TimetablePolicy
from signerd.timetable.presence import Presence, Trace, TtlMemory
from signerd.timetable.rollover_steps import OPERATOR, PARENT
from signerd.timetable.state import KeyRole, Moment, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome, take_step

NOW = 1_798_761_600
POLICY = TimetablePolicy(zsk_period=None)
THERE = Trace(Presence.OMNIPRESENT, NOW - DAY)
KSK = TimetableKey("ksk-1", KeyRole.KSK, 13, NOW - DAY, dnskey=THERE, ds=THERE)
ZSK = TimetableKey("zsk-1", KeyRole.ZSK, 13, NOW - DAY, dnskey=THERE, data=THERE)
REST = TimetableState(
    (KSK, ZSK),
    {13: THERE},
    next_number=2,
    dnskey_ttl=TtlMemory(3600),
    largest_ttl=TtlMemory(86400),
    ds_ttl=TtlMemory(86400),
    moment=Moment(NOW - 60, 0.0, "boot"),
)


def show(*sets: Iterable[str] | None) -> tuple[ParentServer, ...]:
    return tuple(
        ParentServer(f"server-{number}", None if names is None else frozenset(names), 86400)
        for number, names in enumerate(sets, 1)
    )


FACTS = Facts(
    published=frozenset({"ksk-1", "zsk-1"}),
    signing=frozenset({"zsk-1"}),
    covering=frozenset({13}),
    denial="nsec3",
    dnskey_ttl=3600,
    largest_ttl=86400,
    usable=frozenset({"ksk-1", "zsk-1", "ksk-2", "zsk-2"}),
    is_kms_open=True,
    parent=show(["ksk-1"], ["ksk-1"]),
)


class Zone:
    """A zone whose signer carries everything out at once."""

    def __init__(self, policy: TimetablePolicy = POLICY) -> None:
        self.state = REST
        self.policy = policy
        self.facts = FACTS
        self.now = NOW

    def step(self, seconds: int = 0, *, clock_set: int = 0, boot: str = "boot") -> Outcome:
        last = self.state.moment
        assert last is not None
        self.now += seconds
        moment = Moment(self.now + clock_set, last.monotonic + (self.now - last.wall), boot)
        outcome = take_step(self.state, moment, self.policy, self.facts)
        self.now += clock_set
        self.state = outcome.state
        return outcome

    def carry_out(self, outcome: Outcome) -> None:
        arrangement = outcome.arrangement
        self.facts = replace(
            self.facts,
            published=frozenset(arrangement.published),
            signing=frozenset(arrangement.signing),
        )

    def start(self, kind: RolloverKind) -> None:
        self.state = start_rollover(self.state, kind, self.policy, self.now)

    def roll_ksk_until_ds(self) -> Outcome:
        """Come to the point at which the parent is asked for the new DS."""
        self.start(RolloverKind.KSK)
        self.step()  # finds that the key is made
        self.carry_out(self.step())
        self.step()
        return self.step(2 * 3600)


def find_step(outcome: Outcome) -> Step | None:
    (wait,) = outcome.waits
    return wait.step


def test_at_rest_nothing_is_done() -> None:
    outcome = Zone().step()

    assert outcome.actions == ()
    assert outcome.problem is None
    assert outcome.sentence == "Signed with ksk-1 and zsk-1; nothing is due."
    assert outcome.arrangement.cds == ("ksk-1",)


def test_a_zsk_that_is_old_is_replaced() -> None:
    zone = Zone(TimetablePolicy(zsk_period=90 * DAY))
    outcome = zone.step()
    assert outcome.wake_at == NOW + 30 * DAY
    assert "the next ZSK rollover begins on 2027-03-31" in outcome.sentence

    zone.facts = replace(FACTS, usable=frozenset({"ksk-1", "zsk-1"}))
    outcome = zone.step(90 * DAY)
    assert outcome.actions == (Action(ActionKind.MAKE_KEY, "zsk-2", KeyRole.ZSK, 13),)


def test_a_wait_for_the_ds_never_ends_by_itself() -> None:
    zone = Zone()
    outcome = zone.roll_ksk_until_ds()
    for _ in range(100):
        outcome = zone.step(365 * DAY)

    assert find_step(outcome) is Step.DELEGATE
    assert "ksk-1" in outcome.arrangement.published
    assert "add the DS record of ksk-2 and remove the DS record of ksk-1" in outcome.sentence
    assert "must act since 2027-01-01" in outcome.sentence


@pytest.mark.parametrize(
    "parent", [show(["ksk-2"], ["ksk-1"]), show(["ksk-2"], None), show(["ksk-1", "ksk-2"], ["ksk-2"]), ()]
)
def test_the_old_ksk_stays_until_all_servers_of_the_parent_have_changed(
    parent: tuple[ParentServer, ...],
) -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.facts = replace(zone.facts, parent=parent)
    for _ in range(20):
        zone.step(30 * DAY)

    outcome = zone.step(30 * DAY)
    assert find_step(outcome) is Step.DELEGATE
    assert "ksk-1" in outcome.arrangement.published


def test_a_server_that_goes_back_starts_the_wait_again() -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    assert find_step(zone.step()) is Step.CONFIRM
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-1"]))
    assert find_step(zone.step(3600)) is Step.DELEGATE
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    outcome = zone.step(86400)

    assert find_step(outcome) is Step.CONFIRM
    (wait,) = outcome.waits
    assert wait.until == zone.now + 3600 + 86400


def test_a_step_that_asks_waits_for_its_approval() -> None:
    zone = Zone(replace(POLICY, modes={Step.DELEGATE: Mode.ASK}))
    outcome = zone.roll_ksk_until_ds()
    assert "the step 'delegate' awaits 'signerd rollover approve ZONE 2'" in outcome.sentence
    assert zone.step(9 * DAY).arrangement.cds == ("ksk-1",)

    zone.state = approve_step(zone.state, 2, Step.DELEGATE, zone.policy)
    assert zone.step().arrangement.cds == ("ksk-2",)


def test_a_gate_says_since_when_it_waits_and_how_to_open_it() -> None:
    zone = Zone(replace(POLICY, modes={Step.DELEGATE: Mode.ASK}))
    outcome = zone.roll_ksk_until_ds()
    (wait,) = outcome.waits
    assert wait.since == zone.now, "the DNSKEY record is everywhere since now"
    begun = wait.since
    assert "'signerd rollover approve ZONE 2'" in outcome.sentence
    (wait,) = zone.step(9 * DAY).waits
    assert wait.since == begun


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Step.MAKE, "the step 'make' of rollover 2 has been taken"),
        (Step.SIGN, r"rollover 2 \(ksk\) has no step 'sign'; it has make, publish, delegate"),
    ],
)
def test_a_step_that_was_taken_or_does_not_exist_cannot_be_approved(step: Step, message: str) -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    with pytest.raises(RolloverRefused, match=message):
        approve_step(zone.state, 2, step, zone.policy)
    assert approve_step(zone.state, 2, Step.WITHDRAW, zone.policy).rollovers[0].approved == {Step.WITHDRAW}


def test_the_wait_for_old_signatures_says_when_the_last_is_replaced() -> None:
    zone = Zone(replace(POLICY, signature_life=10 * DAY))
    zone.start(RolloverKind.ZSK)
    zone.step()
    zone.carry_out(zone.step())
    zone.step()
    zone.step(2 * 3600)
    zone.facts = replace(zone.facts, signing=frozenset({"zsk-1", "zsk-2"}))
    (wait,) = zone.step(DAY).waits
    assert wait.step is Step.SIGN
    assert wait.since is not None
    assert wait.until == wait.since + 10 * DAY + 3600 + 86400
    assert (wait := zone.step(20 * DAY).waits[0]).until is None, "it takes longer than it should"
    zone.facts = replace(zone.facts, signing=frozenset({"zsk-2"}))
    assert zone.step(60).waits[0].until == zone.now + 3600 + 86400


def test_a_step_that_is_held_cannot_be_approved() -> None:
    zone = Zone(replace(POLICY, modes={Step.DELEGATE: Mode.HOLD}))
    assert "the policy holds the step 'delegate'" in zone.roll_ksk_until_ds().sentence
    with pytest.raises(RolloverRefused, match="holds"):
        approve_step(zone.state, 2, Step.DELEGATE, zone.policy)


def test_an_abort_turns_the_ds_back_before_the_key_goes() -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-1"]))
    zone.step()
    zone.state = abort_rollover(zone.state, 2)
    outcome = zone.step()
    assert outcome.arrangement.cds == ("ksk-1",)
    assert set(outcome.arrangement.published) == {"ksk-1", "ksk-2", "zsk-1"}

    # a server may still come to show the DS of before, for as long as the parent's lag
    zone.facts = replace(zone.facts, parent=show(["ksk-1"], ["ksk-1"]))
    assert "ksk-2" in zone.step().arrangement.published
    assert "ksk-2" in zone.step(POLICY.parent_lag - 1).arrangement.published
    assert "ksk-2" not in zone.step(1).arrangement.published


def test_a_rollover_that_withdraws_the_old_key_cannot_be_aborted() -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    zone.step()
    assert "ksk-1" not in zone.step(86400 + 3600).arrangement.published
    with pytest.raises(RolloverRefused, match="past the point of return"):
        abort_rollover(zone.state, 2)


def test_commands_that_do_not_fit_are_refused() -> None:
    zone = Zone()
    with pytest.raises(RolloverRefused, match="the zone has no csk"):
        zone.start(RolloverKind.CSK)
    with pytest.raises(RolloverRefused, match="no rollover 7 is under way; under way: none"):
        abort_rollover(zone.state, 7)
    zone.start(RolloverKind.KSK)
    with pytest.raises(RolloverRefused, match="a ksk rollover is under way: number 2"):
        zone.start(RolloverKind.KSK)
    zone.start(RolloverKind.ZSK)
    with pytest.raises(RolloverRefused, match="must wait for the end of rollover 2"):
        zone.start(RolloverKind.INSECURE)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            replace(FACTS, usable=frozenset({"zsk-1"})),
            "key ksk-1 is missing or unusable; restore it in the KMS",
        ),
        (replace(FACTS, published=frozenset({"zsk-1"})), "the DNSKEY record of ksk-1 was taken out"),
        (replace(FACTS, published=FACTS.published | {"x"}), "the timetable does not know it"),
        (replace(FACTS, covering=frozenset()), "not all data has a signature of algorithm 13"),
    ],
)
def test_what_contradicts_the_state_stops_key_changes_and_nothing_else(facts: Facts, expected: str) -> None:
    zone = Zone(TimetablePolicy(zsk_period=60))
    zone.facts = facts
    outcome = zone.step()

    assert expected in (outcome.problem or "")
    assert outcome.sentence.endswith("The zone is served and signed as before.")
    assert outcome.arrangement.published == ("ksk-1", "zsk-1")
    assert outcome.arrangement.signing == ("zsk-1",)
    assert outcome.actions == ()

    zone.facts = FACTS
    assert zone.step().problem is None


def test_a_ds_at_the_parent_before_its_key_is_everywhere_stops_the_timetable() -> None:
    zone = Zone()
    zone.start(RolloverKind.KSK)
    zone.step()
    zone.carry_out(zone.step())
    zone.facts = replace(zone.facts, parent=show(["ksk-1", "ksk-2"], ["ksk-1"]))

    assert "its DNSKEY record is not in all caches" in (zone.step().problem or "")


def test_a_ds_that_came_before_its_key_was_published_holds_nothing_up_once_it_is_gone() -> None:
    zone = Zone(replace(POLICY, modes={Step.PUBLISH: Mode.HOLD}))
    zone.start(RolloverKind.KSK)
    zone.step()
    zone.facts = replace(zone.facts, parent=show(["ksk-1", "ksk-2"], ["ksk-1", "ksk-2"]))
    assert zone.step().problem is not None

    zone.facts, zone.policy = FACTS, POLICY
    zone.step()
    zone.carry_out(zone.step(DAY + 3600))
    assert "ksk-2" in zone.facts.published


def withdraw_old_ksk() -> Zone:
    """Come to the point at which the old key has just been taken out of the zone."""
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    zone.step()
    zone.carry_out(zone.step(DAY + 3600))
    zone.step()
    assert zone.facts.published == {"ksk-2", "zsk-1"}
    return zone


def test_a_key_whose_ds_comes_back_is_published_again_and_withdrawn_when_that_has_gone() -> None:
    zone = withdraw_old_ksk()
    zone.facts = replace(zone.facts, parent=show(["ksk-1"], ["ksk-2"]))
    zone.carry_out(zone.step())
    assert zone.facts.published == {"ksk-1", "ksk-2", "zsk-1"}

    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    zone.step()
    zone.step(2 * 3600)
    for _ in range(4):
        zone.carry_out(zone.step(8 * DAY))
    assert zone.step().problem is None
    assert zone.facts.published == {"ksk-2", "zsk-1"}
    assert not zone.state.rollovers


def test_a_zone_that_goes_insecure_is_signed_again_if_its_ds_comes_back() -> None:
    zone = Zone(replace(POLICY, is_signed=False))
    zone.step()
    zone.facts = replace(zone.facts, parent=show([], []))
    zone.step()
    zone.carry_out(zone.step(2 * DAY))
    zone.facts = replace(zone.facts, covering=frozenset())
    zone.step()
    assert not zone.facts.published

    zone.facts = replace(zone.facts, parent=show(["ksk-1"], ["ksk-1"]))
    zone.carry_out(zone.step())
    assert zone.facts.published == {"ksk-1", "zsk-1"}
    assert zone.facts.signing == {"zsk-1"}
    zone.facts = replace(zone.facts, covering=FACTS.covering)
    zone.step()
    zone.step(5 * DAY)
    assert zone.step().problem is None


def test_a_closed_kms_does_not_count_as_missing_keys() -> None:
    zone = Zone()
    zone.facts = replace(FACTS, usable=frozenset(), is_kms_open=False)
    assert zone.step().problem is None


@pytest.mark.parametrize("clock_set", [-40 * DAY, -3600, 3600, 40 * DAY])
def test_a_clock_that_was_set_changes_no_wait(clock_set: int) -> None:
    zone = Zone()
    zone.start(RolloverKind.ZSK)
    zone.step()
    zone.carry_out(zone.step())
    zone.step()
    outcome = zone.step(100, clock_set=clock_set)
    assert outcome.clock_step == clock_set

    assert "zsk-2" not in zone.step(7200 - 101).arrangement.signing
    assert "zsk-2" in zone.step(1).arrangement.signing


def test_a_clock_that_went_back_over_a_restart_makes_waits_longer_not_shorter() -> None:
    zone = Zone()
    zone.start(RolloverKind.ZSK)
    zone.step()
    zone.carry_out(zone.step())
    zone.step()
    assert zone.step(clock_set=-DAY, boot="next").clock_step == -DAY
    assert "zsk-2" not in zone.step(7199).arrangement.signing
    assert "zsk-2" in zone.step(1).arrangement.signing


def test_after_a_long_absence_all_that_is_due_is_done_in_the_first_step() -> None:
    zone = Zone(TimetablePolicy(zsk_period=90 * DAY))
    zone.start(RolloverKind.KSK)
    zone.step()
    zone.carry_out(zone.step())
    zone.step()
    outcome = zone.step(200 * DAY, boot="next")

    kinds = [(action.kind, action.key) for action in outcome.actions]
    assert (ActionKind.ADD_DS, "ksk-2") in kinds
    assert [rollover.kind for rollover in outcome.state.rollovers] == [RolloverKind.KSK, RolloverKind.ZSK]


@pytest.mark.parametrize(
    ("cds", "at_rest", "asking", "confirmed"),
    [
        (CdsPolicy.NEVER, (), (), ()),
        (CdsPolicy.ALWAYS, ("ksk-1",), ("ksk-2",), ("ksk-2",)),
        (CdsPolicy.ROLLOVER, (), ("ksk-2",), ()),
    ],
)
def test_when_cds_is_published(
    cds: CdsPolicy, at_rest: tuple[str, ...], asking: tuple[str, ...], confirmed: tuple[str, ...]
) -> None:
    zone = Zone(replace(POLICY, cds=cds))
    assert zone.step().arrangement.cds == at_rest
    assert zone.roll_ksk_until_ds().arrangement.cds == asking
    zone.facts = replace(zone.facts, parent=show(["ksk-2"], ["ksk-2"]))
    assert zone.step().arrangement.cds == confirmed


UNWANTED = replace(POLICY, has_parent=False, is_ds_unwanted=True)
ASKED = replace(REST, keys=(replace(KSK, ds=Trace(Presence.RUMOURED, NOW - DAY)), ZSK), ds_ttl=TtlMemory())


def test_a_ds_record_that_the_policy_does_not_want_is_asked_to_go() -> None:
    zone = Zone(UNWANTED)
    outcome = zone.step()
    assert Action(ActionKind.REMOVE_DS, "ksk-1") in outcome.actions
    assert outcome.arrangement.has_cds_delete
    assert outcome.arrangement.cds == ()
    for _ in range(9):
        outcome = zone.step(365 * DAY)
    (duty,) = list_duties(outcome)
    assert (duty.who, duty.rollover, duty.step) == (PARENT, None, Step.DELEGATE)
    assert "all servers of the parent are to remove the DS record of ksk-1" in duty.what
    zone.facts = replace(FACTS, parent=show([], []))
    assert not list_duties(zone.step())
    outcome = zone.step(86400 + 3600)
    assert outcome.sentence == "Signed with ksk-1 and zsk-1; nothing is due."
    assert not outcome.arrangement.has_cds_delete


def test_a_ds_record_that_is_wanted_again_is_asked_for_again() -> None:
    zone = Zone(UNWANTED)
    zone.step()
    zone.policy = POLICY
    outcome = zone.step(60)
    assert Action(ActionKind.ADD_DS, "ksk-1") in outcome.actions
    assert outcome.arrangement.cds == ("ksk-1",)
    assert zone.step(8 * DAY).sentence == "Signed with ksk-1 and zsk-1; nothing is due."


def test_a_ksk_rollover_goes_on_without_the_ds_that_the_policy_does_not_want_any_more() -> None:
    zone = Zone()
    zone.roll_ksk_until_ds()
    zone.policy = UNWANTED
    outcome = zone.step()
    assert Action(ActionKind.REMOVE_DS, "ksk-2") in outcome.actions
    assert "remove the DS record of ksk-2 and remove the DS record of ksk-1" in outcome.sentence
    zone.facts = replace(zone.facts, parent=show([], []))
    for _ in range(9):
        zone.carry_out(zone.step(4 * DAY))
    assert [key.name for key in zone.state.keys] == ["zsk-1", "ksk-2"]


def test_without_a_parent_the_policy_alone_can_say_that_there_is_no_ds() -> None:
    zone = Zone(replace(POLICY, is_signed=False))
    zone.state = ASKED
    zone.facts = replace(FACTS, parent=(), is_parentless=True)
    outcome = zone.step()
    for _ in range(9):
        outcome = zone.step(365 * DAY)
    (duty,) = list_duties(outcome)
    assert duty.who == OPERATOR
    assert "set 'parent_ds: false' in the policy" in duty.what
    assert outcome.arrangement.published == ("ksk-1", "zsk-1")

    zone.policy = replace(UNWANTED, is_signed=False)
    outcome = zone.step(60)
    assert not list_duties(outcome)
    (wait,) = outcome.waits
    assert wait.until is not None
    assert wait.until >= zone.now + DAY
    zone.facts = replace(zone.facts, parent=show(["ksk-1"], None), is_parentless=False)
    assert "not all servers of the parent answer" in zone.step(3600).sentence
    assert zone.step(60 * DAY).arrangement.published == ("ksk-1", "zsk-1"), "there it is"
    zone.facts = replace(zone.facts, parent=(), is_parentless=True)
    zone.step(60)
    zone.step(2 * DAY)
    assert zone.step().arrangement.published == ()


def test_strangers_at_the_parent_are_reported() -> None:
    zone = Zone()
    server = ParentServer("server-1", frozenset({"ksk-1"}), 86400, has_strangers=True)
    zone.facts = replace(FACTS, parent=(server,))
    assert "DS records of no key of this zone (server-1)" in zone.step().sentence
