"""What people are told of the steps of a rollover, and of what they must do."""

from dataclasses import replace

import pytest

from signerd.timetable.commands import RolloverRefused, abort_rollover, approve_step, start_rollover
from signerd.timetable.duties import Duty, list_duties
from signerd.timetable.facts import Facts, ParentServer
from signerd.timetable.policy import Mode, Step, TimetablePolicy
from signerd.timetable.presence import Presence, Trace, TtlMemory
from signerd.timetable.rollover_progress import StepState, list_steps
from signerd.timetable.rollover_steps import OPERATOR, PARENT
from signerd.timetable.state import KeyRole, Moment, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome, take_step

NOW = 1_800_000_000
THERE = Trace(Presence.OMNIPRESENT, NOW - 9)
POLICY = TimetablePolicy(zsk_period=None, propagation=1, parent_propagation=1, parent_lag=1)
KSK = TimetableKey("ksk-1", KeyRole.KSK, 13, NOW - 9, dnskey=THERE, ds=THERE)
ZSK = TimetableKey("zsk-1", KeyRole.ZSK, 13, NOW - 9, dnskey=THERE, data=THERE)
CSK = TimetableKey("csk-1", KeyRole.CSK, 13, NOW - 9, dnskey=THERE, data=THERE, ds=THERE)


class World:
    """A zone whose signer and parent do at once what they are asked for."""

    def __init__(self, *keys: TimetableKey, policy: TimetablePolicy = POLICY) -> None:
        self.state = TimetableState(
            keys,
            {13: THERE},
            next_number=2,
            dnskey_ttl=TtlMemory(1),
            largest_ttl=TtlMemory(1),
            ds_ttl=TtlMemory(1),
        )
        self.policy = policy
        self.now = NOW
        self.parent = frozenset(key.name for key in keys if key.ds.is_wanted)
        self.is_parent_awake = True
        self.is_parent_silent = False
        self.has_strangers = False

    def step(self) -> Outcome:
        names = frozenset(key.name for key in self.state.keys)
        if self.is_parent_awake:
            self.parent = frozenset(key.name for key in self.state.keys if key.ds.is_wanted)
        seen = None if self.is_parent_silent else self.parent
        server = ParentServer("ns.parent", seen, 1, has_strangers=self.has_strangers)
        facts = Facts(
            published=frozenset(key.name for key in self.state.keys if key.dnskey.is_wanted),
            signing=frozenset(key.name for key in self.state.keys if key.data.is_wanted),
            covering=frozenset(key.algorithm for key in self.state.keys if key.data.is_wanted),
            denial="nsec3",
            dnskey_ttl=1,
            largest_ttl=1,
            usable=names,
            is_kms_open=True,
            parent=(server,),
        )
        moment = Moment(self.now, float(self.now), "boot")
        outcome = take_step(self.state, moment, self.policy, facts)
        self.state = outcome.state
        self.now += 1
        return outcome

    def describe(self, outcome: Outcome) -> list[str]:
        [rollover] = self.state.rollovers
        [wait] = outcome.waits
        marks = {StepState.DONE: "done", StepState.CURRENT: "now", StepState.TO_COME: "-"}
        return [f"{p.step} {marks[p.state]}" for p in list_steps(self.state, rollover, wait)]


def start(world: World, kind: RolloverKind) -> None:
    world.state = start_rollover(world.state, kind, world.policy, world.now)


def test_the_steps_of_a_ksk_rollover_are_done_one_after_the_other() -> None:
    world = World(KSK, ZSK)
    start(world, RolloverKind.KSK)
    seen: list[list[str]] = []
    while True:
        outcome = world.step()
        if not world.state.rollovers:
            break
        described = world.describe(outcome)
        if described not in seen:
            seen.append(described)
    currents = [next(text for text in row if text.endswith("now")) for row in seen]
    assert currents == ["publish now", "delegate now", "confirm now", "withdraw now"]
    for row in seen:
        number = [text.endswith("now") for text in row].index(True)
        assert all(text.endswith("done") for text in row[:number])
        assert all(text.endswith("-") for text in row[number + 1 :])
    assert [text.split()[0] for text in seen[0]] == [
        "make", "publish", "delegate", "confirm", "withdraw", "forget"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "kind", "change", "steps"),
    [
        ((KSK, ZSK), RolloverKind.ZSK, {}, "make publish sign withdraw forget"),
        ((CSK,), RolloverKind.CSK, {"is_csk": True}, "make publish sign delegate confirm withdraw forget"),
        (
            (KSK, ZSK),
            RolloverKind.ALGORITHM,
            {"algorithm": 14},
            "make sign publish delegate confirm withdraw forget",
        ),
        ((KSK, ZSK), RolloverKind.INSECURE, {"is_signed": False}, "delegate confirm withdraw forget"),
        ((), RolloverKind.SECURE, {}, "make publish sign forget"),
        (
            (replace(KSK, ds=Trace()), ZSK),
            RolloverKind.KSK,
            {"has_parent": False},
            "make publish withdraw forget",
        ),
    ],
)
def test_each_kind_has_its_order_of_steps(
    keys: tuple[TimetableKey, ...], kind: RolloverKind, change: dict[str, object], steps: str
) -> None:
    world = World(*keys, policy=replace(POLICY, **change))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    start(world, kind)
    [rollover] = world.state.rollovers
    progress = list_steps(world.state, rollover, None)
    assert " ".join(part.step for part in progress) == steps


def test_the_keys_of_an_algorithm_are_not_replaced_by_the_same() -> None:
    world = World(KSK, ZSK)
    with pytest.raises(
        RolloverRefused, match="algorithm 13 already, as the policy says; change the key type"
    ):
        start(world, RolloverKind.ALGORITHM)


def test_a_step_that_asks_is_a_duty_of_the_operator_until_it_is_approved() -> None:
    world = World(KSK, ZSK, policy=replace(POLICY, modes={Step.PUBLISH: Mode.ASK}))
    start(world, RolloverKind.ZSK)
    world.step()
    outcome = world.step()
    [duty] = list_duties(outcome)
    assert (duty.who, duty.rollover, duty.step) == (OPERATOR, 2, Step.PUBLISH)
    world.state = approve_step(world.state, 2, Step.PUBLISH, world.policy)
    outcome = world.step()
    assert list_duties(outcome) == ()
    [rollover] = world.state.rollovers
    approved = [part.step for part in list_steps(world.state, rollover, None) if part.is_approved]
    assert approved == [Step.PUBLISH]


def test_what_the_parent_has_to_do_is_a_duty_with_its_beginning() -> None:
    world = World(KSK, ZSK)
    start(world, RolloverKind.KSK)
    world.is_parent_awake = False
    for _ in range(8):
        world.step()
    [duty] = list_duties(world.step())
    assert (duty.who, duty.step) == (PARENT, Step.DELEGATE)
    assert "add the DS record of ksk-2 and remove the DS record of ksk-1" in duty.what
    assert duty.since is not None
    assert NOW <= duty.since < world.now


def test_a_parent_without_a_ds_is_a_duty_though_nothing_is_replaced() -> None:
    world = World(replace(KSK, ds=Trace()), ZSK)
    world.is_parent_awake = False
    outcome = world.step()
    assert list_duties(outcome) == (Duty(PARENT, "the parent has no DS record of ksk-1 yet", NOW),)
    world.is_parent_awake = True
    world.step()
    assert list_duties(world.step()) == ()


def test_a_parent_that_does_not_answer_is_named_while_its_first_ds_is_awaited() -> None:
    world = World(replace(KSK, ds=Trace()), ZSK)
    world.is_parent_awake = False
    assert "answer" not in world.step().sentence
    world.is_parent_silent = True
    outcome = world.step()
    [duty] = list_duties(outcome)
    assert duty.what == (
        "it is not known whether the parent has the DS record of ksk-1: "
        "no server of the parent answers: ns.parent"
    )
    assert f"no server of the parent answers: ns.parent (CDS is published); {PARENT} must act" in (
        outcome.sentence
    )


def test_a_timetable_that_has_stopped_and_a_ds_of_nobody_are_duties() -> None:
    world = World(KSK, ZSK)
    world.has_strangers = True
    [duty] = list_duties(world.step())
    assert duty == Duty(PARENT, "the parent has DS records of no key of this zone (ns.parent)")
    world.state = replace(world.state, keys=(replace(KSK, dnskey=Trace()), ZSK))
    [duty] = list_duties(world.step())
    assert duty.who == OPERATOR
    assert duty.what.startswith("key changes have stopped: ")


def test_an_aborted_rollover_shows_the_way_back() -> None:
    world = World(KSK, ZSK)
    start(world, RolloverKind.ZSK)
    for _ in range(4):
        world.step()
    world.state = abort_rollover(world.state, 2)
    [rollover] = world.state.rollovers
    states = {part.step: part.state for part in list_steps(world.state, rollover, None)}
    assert states[Step.MAKE] is states[Step.PUBLISH] is StepState.DONE
    assert states[Step.FORGET] is StepState.TO_COME
