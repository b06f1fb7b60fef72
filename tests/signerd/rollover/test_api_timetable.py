"""Zones of the API, whose owners choose their KSKs, in simulated time."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from pipeline_world import ORIGIN
from rollover_world import RolloverWorld
from signerd.dns import rdatatype as rt
from signerd.dnssec.ds import make_ds_set
from signerd.rollover.timetable_record import delete_record, has_record, read_record
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.policy import Step
from signerd.timetable.state import RolloverKind
from signerd.zone_dnssec.settings import ACTIVE, INCOMING, OUTGOING, RETIRED, DnssecState, forget_zone
from signerd_kms.key import KeyType

DAY = 86400


def begin(folder: Path, policy: str = "") -> RolloverWorld:
    world = RolloverWorld(folder, policy=policy, is_of_api=True)
    world.enable()
    return world


@pytest.fixture
def world(tmp_path: Path) -> Generator[RolloverWorld]:
    made = begin(tmp_path)
    yield made
    made.close()


def list_states(world: RolloverWorld) -> list[str]:
    """List what becomes of the KSKs, the oldest first."""
    return [key.state for key in world.management.show(world.place).keys]


def list_handed_out(world: RolloverWorld) -> frozenset[bytes]:
    """Give the DS records that the owner is told."""
    keys = world.management.show(world.place).keys
    return frozenset(ds for key in keys if key.state == ACTIVE for ds in make_ds_set(ORIGIN, key.dnskey))


def obey(world: RolloverWorld) -> None:
    """Have the parent do what the owner is told, as soon as it may be."""
    setting = world.setting
    if not setting.state.is_enabled:
        world.servers = dict.fromkeys(world.servers, frozenset[bytes]())
    elif setting.ds_not_before is not None and setting.ds_not_before <= world.now:
        world.servers = dict.fromkeys(world.servers, list_handed_out(world))


def run_obeyed(world: RolloverWorld, condition: Callable[[], bool]) -> None:
    """Let time pass, with a parent that obeys."""

    def look() -> bool:
        obey(world)
        return condition()

    world.run_until(look)


def settle(world: RolloverWorld) -> None:
    """Let time pass until the parent has the DS, and all caches."""
    run_obeyed(
        world,
        lambda: (
            not world.list_rollovers()
            and {OUTGOING, INCOMING}.isdisjoint(list_states(world))
            and all(key.ds.is_everywhere for key in world.outcome.state.keys if key.role.signs_keys)
        ),
    )


def test_the_zsk_is_replaced_and_the_ksk_stays(tmp_path: Path) -> None:
    world = begin(tmp_path, "zsk_period: 21d")
    try:
        settle(world)
        assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
        begun = world.now
        world.run_until(lambda: "zsk-3" in world.list_served() and not world.list_rollovers())
        assert 18 * DAY < world.now - begun < 40 * DAY
        assert world.names == ["ksk-1", "zsk-3"]
        assert world.list_served() == {"ksk-1", "zsk-3"}
        assert world.count_signers() == 1
    finally:
        world.close()


def test_the_owner_is_told_from_when_the_ds_may_be_at_the_parent(world: RolloverWorld) -> None:
    world.work()
    moment = world.setting.ds_not_before
    assert moment is not None
    assert moment > world.now
    assert world.list_served(rt.CDNSKEY) == set(), "no cache is led astray"
    world.run_until(lambda: world.now >= moment)
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    assert world.setting.ds_not_before == moment


def test_another_key_of_the_owner_comes_in_the_steps_of_a_rollover(world: RolloverWorld) -> None:
    settle(world)
    old = list_handed_out(world)
    world.enable(world.make_key("another"))
    assert list_states(world) == [OUTGOING, ACTIVE]
    assert world.setting.ds_not_before is None, "no version has it"
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1", "ksk-3"}
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    moment = world.setting.ds_not_before
    assert moment is not None
    world.run_until(lambda: world.now >= moment)
    assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
    assert world.outcome.waits[0].step is Step.DELEGATE
    world.servers = {"a": list_handed_out(world), "b": old | list_handed_out(world)}
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1", "ksk-3"}, "one server points to the old key still"
    world.servers = dict.fromkeys(world.servers, list_handed_out(world))
    world.work()
    settles_at = world.setting.settles_at
    assert settles_at is not None
    run_obeyed(world, lambda: not world.list_rollovers())
    assert world.now >= settles_at
    assert world.list_served() == {"zsk-1", "ksk-3"}
    assert list_states(world) == [RETIRED, ACTIVE]
    assert world.outcome.problem is None


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P384, KeyType.RSA_2048])
def test_another_algorithm_signs_before_its_keys_are_published(
    world: RolloverWorld, key_type: KeyType
) -> None:
    settle(world)
    world.enable(world.make_key("another", key_type))
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}
    assert world.count_signers() == 2
    settle(world)
    assert world.list_served() == {"ksk-3", "zsk-3"}
    assert world.count_signers() == 1
    assert list_states(world) == [RETIRED, ACTIVE]
    assert world.outcome.problem is None


def test_a_ksk_change_of_the_owner_goes_on_beside_a_zsk_rollover(world: RolloverWorld) -> None:
    settle(world)
    message = world.open_desk().start("small.test", RolloverKind.ZSK)
    assert message.startswith("zsk rollover 3 of zone small.test has begun; ZSK rollover 3, step publish: ")
    world.enable(world.make_key("another"))
    world.work()
    assert world.list_served() == {"ksk-1", "ksk-4", "zsk-1", "zsk-3"}
    settle(world)
    assert world.list_served() == {"ksk-4", "zsk-3"}


@pytest.mark.parametrize("ksk_rollover", ["new-key", "new-version"])
def test_an_old_ksk_is_replaced_and_its_ds_handed_out_when_caches_can_follow(
    tmp_path: Path, ksk_rollover: str
) -> None:
    world = begin(tmp_path, f"ksk_period: 21d, zsk_period: never, ksk_rollover: {ksk_rollover}")
    try:
        settle(world)
        first, before = world.setting.kms_key, list_handed_out(world)
        world.run_until(lambda: bool(world.list_rollovers()))
        world.work()
        assert list_states(world) == [ACTIVE, INCOMING]
        assert world.list_served() == {"ksk-1", "zsk-1", "ksk-3"}
        assert list_handed_out(world) == before, "a cache may be without the new key"
        assert world.setting.kms_key == first
        world.run_until(lambda: list_states(world) == [OUTGOING, ACTIVE])
        assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
        assert (world.setting.kms_key == first) is (ksk_rollover == "new-version")
        assert world.setting.ds_not_before == world.now
        assert not world.setting.is_delegated
        settle(world)
        assert list_states(world) == [RETIRED, ACTIVE]
        assert world.list_served() == {"zsk-1", "ksk-3"}
        world.disable()
        run_obeyed(world, lambda: world.setting.state is DnssecState.OFF)
        second = list_handed_out(world)
        world.enable()
        assert list_handed_out(world) == second, "the key of before is the zone's own"
    finally:
        world.close()


def test_a_key_that_the_owner_named_gets_another_version(tmp_path: Path) -> None:
    world = RolloverWorld(tmp_path, policy="ksk_period: 21d, zsk_period: never", is_of_api=True)
    try:
        key = world.make_key("named")
        world.enable(key)
        settle(world)
        world.run_until(lambda: bool(world.list_rollovers()))
        settle(world)
        assert world.setting.kms_key == key.identity
        keys = world.management.show(world.place).keys
        assert [(known.state, known.kms_version) for known in keys] == [(RETIRED, 1), (ACTIVE, 2)]
    finally:
        world.close()


def test_the_ksk_is_replaced_on_command_and_the_command_taken_back(world: RolloverWorld) -> None:
    settle(world)
    desk, before = world.open_desk(), list_handed_out(world)
    assert desk.start("small.test", RolloverKind.KSK).startswith(
        "ksk rollover 3 of zone small.test has begun"
    )
    run_obeyed(world, lambda: list_states(world) == [OUTGOING, ACTIVE])
    assert desk.abort("small.test", 3).startswith("rollover 3 of zone small.test is turned back")
    assert list_states(world) == [ACTIVE, OUTGOING]
    assert list_handed_out(world) == before
    settle(world)
    assert list_states(world) == [ACTIVE, RETIRED]
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_other_kinds_are_not_begun_by_command(world: RolloverWorld) -> None:
    world.work()
    with pytest.raises(RolloverRefused, match="signerd dnssec enable --key"):
        world.open_desk().start("small.test", RolloverKind.ALGORITHM)


def test_the_operator_lets_each_step_happen(tmp_path: Path) -> None:
    world = begin(tmp_path, "zsk_period: never, steps: {publish: ask, delegate: ask, withdraw: hold}")
    try:
        settle(world)
        desk = world.open_desk()
        world.enable(world.make_key("another"))
        world.work()
        assert world.list_served() == {"ksk-1", "zsk-1"}
        desk.approve("small.test", 3, None)
        world.work()
        assert world.list_served() == {"ksk-1", "zsk-1", "ksk-3"}
        world.pipelines.clock.pass_time(DAY)
        world.work()
        assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
        desk.approve("small.test", 3, Step.DELEGATE)
        world.work()
        assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
        obey(world)
        world.pipelines.clock.pass_time(DAY)
        world.work()
        world.pipelines.clock.pass_time(DAY)
        world.work()
        assert world.list_served() == {"ksk-1", "zsk-1", "ksk-3"}
        assert "the policy holds the step 'withdraw'" in world.outcome.sentence
    finally:
        world.close()


def test_the_owner_goes_back_to_the_key_of_before(world: RolloverWorld) -> None:
    settle(world)
    (first,) = world.management.show(world.place).keys
    kms = world.pipelines.custody.kms
    own = kms.find_key(world.pipelines.scope, "DNSSEC small.test")
    world.enable(world.make_key("another"))
    world.work()
    assert own is not None
    world.enable(own)
    world.work()
    settle(world)
    assert list_states(world) == [ACTIVE, RETIRED]
    assert list_handed_out(world) == frozenset(make_ds_set(ORIGIN, first.dnskey))
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_the_owner_goes_back_when_the_key_of_before_is_leaving_already(world: RolloverWorld) -> None:
    settle(world)
    own = world.pipelines.custody.kms.find_key(world.pipelines.scope, "DNSSEC small.test")
    assert own is not None
    world.enable(world.make_key("another"))
    run_obeyed(world, lambda: world.list_served() == {"zsk-1", "ksk-3"})
    assert world.list_rollovers()
    world.enable(own)
    settle(world)
    assert list_states(world) == [ACTIVE, RETIRED]
    assert len(world.list_served()) == 2
    assert world.outcome.problem is None


def test_the_last_of_three_keys_stays(world: RolloverWorld) -> None:
    settle(world)
    world.enable(world.make_key("second"))
    world.work()
    world.enable(world.make_key("third", KeyType.ECDSA_P384))
    world.enable(world.make_key("fourth"))
    settle(world)
    assert sorted(list_states(world)) == [ACTIVE, RETIRED, RETIRED, RETIRED]
    assert len(world.list_served()) == 2
    assert world.servers["a"] == list_handed_out(world)


def test_a_key_that_was_retired_comes_back_after_a_time_without_dnssec(world: RolloverWorld) -> None:
    settle(world)
    own = world.pipelines.custody.kms.find_key(world.pipelines.scope, "DNSSEC small.test")
    assert own is not None
    other = world.make_key("another")
    world.enable(other)
    settle(world)
    world.disable()
    run_obeyed(world, lambda: world.setting.state is DnssecState.OFF)
    world.enable(other)
    settle(world)
    world.enable(own)
    settle(world)
    assert sorted(list_states(world)) == [ACTIVE, RETIRED]
    assert world.setting.kms_key == own.identity
    assert len(world.list_served()) == 2


def test_a_key_of_which_the_parent_never_had_the_ds_is_in_nobodys_way(world: RolloverWorld) -> None:
    world.run_until(lambda: world.list_served(rt.CDNSKEY) == {"ksk-1"})
    world.enable(world.make_key("second"))
    world.work()
    world.enable(world.make_key("third", KeyType.ECDSA_P384))
    settle(world)
    assert sorted(list_states(world)) == [ACTIVE, RETIRED, RETIRED]
    assert len(world.list_served()) == 2


def test_a_key_of_another_algorithm_that_waits_for_its_turn_is_in_nobodys_way(world: RolloverWorld) -> None:
    settle(world)
    desk = world.open_desk()
    desk.start("small.test", RolloverKind.ZSK)
    world.enable(world.make_key("another", KeyType.ECDSA_P384))
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1", "zsk-3"}, "the ZSK comes to its end first"
    with pytest.raises(RolloverRefused, match="another KSK was chosen"):
        desk.start("small.test", RolloverKind.KSK)
    settle(world)
    assert list_states(world) == [RETIRED, ACTIVE]
    assert {dnskey.algorithm for _, dnskey in world.list_stored()} == {14}


def test_a_third_key_waits_for_a_change_that_the_parent_has_carried_out(world: RolloverWorld) -> None:
    settle(world)
    world.enable(world.make_key("second"))
    run_obeyed(world, lambda: world.list_served(rt.CDNSKEY) == {"ksk-3"})
    obey(world)
    world.work()
    assert world.outcome.waits[0].step is Step.CONFIRM
    world.enable(world.make_key("third", KeyType.ECDSA_P384))
    world.work()
    assert world.outcome.waits[0].step is Step.CONFIRM, "it goes on"
    settle(world)
    assert sorted(list_states(world)) == [ACTIVE, RETIRED, RETIRED]
    assert len(world.list_served()) == 2


def test_a_zone_that_is_turned_off_is_signed_until_no_cache_has_a_ds(world: RolloverWorld) -> None:
    settle(world)
    world.disable()
    world.work()
    published = world.pipelines.pipeline.state.published
    assert published is not None
    assert {rdata[:1] for rdata in published.names[ORIGIN][rt.CDNSKEY].rdatas} == {b"\x00"}
    world.servers = {"a": frozenset(), "b": None}
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert world.setting.state is DnssecState.UNSIGNING, "the silent server may have it"
    world.servers = {"a": frozenset(), "b": frozenset()}
    world.work()
    settles_at = world.setting.settles_at
    assert settles_at is not None
    assert settles_at > world.now
    world.run_until(lambda: world.setting.state is DnssecState.OFF)
    assert world.now >= settles_at
    world.work()
    published = world.pipelines.pipeline.state.published
    assert published is not None
    assert rt.DNSKEY not in published.names[ORIGIN]
    world.work()
    assert not has_record(world.pipelines.custody.engine, ORIGIN)
    assert world.timetable.is_at_rest(published)


def test_a_ds_of_no_key_of_the_zone_keeps_it_signed_too(world: RolloverWorld) -> None:
    settle(world)
    world.disable()
    stray = bytes((0, 9, 13, 2)) + bytes(32)
    world.is_checked = False  # it is bogus, and would be without signatures, too
    world.servers = dict.fromkeys(world.servers, frozenset([stray]))
    for _ in range(5):
        world.pipelines.clock.pass_time(10 * DAY)
        world.work()
    assert world.setting.state is DnssecState.UNSIGNING
    run_obeyed(world, lambda: world.setting.state is DnssecState.OFF)


@pytest.mark.parametrize("moment", ["at once", "delegated", "off"])
def test_turned_on_again_the_zone_has_the_same_ds(world: RolloverWorld, moment: str) -> None:
    settle(world)
    before = list_handed_out(world)
    world.disable()
    if moment == "delegated":
        world.work()
        world.servers = dict.fromkeys(world.servers, frozenset[bytes]())
        world.work()
    elif moment == "off":
        run_obeyed(world, lambda: world.setting.state is DnssecState.OFF)
    world.enable()
    assert list_handed_out(world) == before
    settle(world)
    assert world.servers["a"] == before
    assert len(world.list_served()) == 2


def test_turned_off_before_the_parent_had_a_ds_it_is_unsigned_at_once(world: RolloverWorld) -> None:
    world.work()
    world.disable()
    world.work()
    assert world.setting.state is DnssecState.OFF


def test_turned_off_before_the_parent_was_asked_it_is_asked_first(world: RolloverWorld) -> None:
    world.publish()
    world.disable()
    world.is_parent_known = False
    for _ in range(5):
        world.pipelines.clock.pass_time(600)
        world.work()
    assert world.setting.state is DnssecState.UNSIGNING
    world.is_parent_known = True
    world.run_until(lambda: world.setting.state is DnssecState.OFF)


@pytest.mark.parametrize("ending", ["restarted", "record lost"])
def test_a_key_change_goes_on_after_a_restart(world: RolloverWorld, ending: str) -> None:
    settle(world)
    world.enable(world.make_key("another"))
    world.work()
    if ending == "record lost":
        delete_record(world.pipelines.custody.engine, ORIGIN)
    world.restart()
    settle(world)
    assert list_states(world) == [RETIRED, ACTIVE]
    assert len(world.list_served()) == 2


def make_anew(world: RolloverWorld, step_meanwhile: Callable[[], None]) -> None:
    """Delete the zone; sign another of its name before anything else of it was published."""
    with world.pipelines.custody.engine.begin() as connection:
        forget_zone(connection, "small.test")
    world.pipelines.identity = "zone-2"
    world.enable()
    step_meanwhile()
    world.restart()


def test_a_later_zone_of_the_name_inherits_nothing_of_the_timetable(world: RolloverWorld) -> None:
    settle(world)
    (former,) = (dnskey for name, dnskey in world.list_stored() if name == "zsk-1")

    def step_meanwhile() -> None:
        world.pipelines.clock.pass_time(DAY)
        world.step()  # for the former zone's last version, which is in service still

    make_anew(world, step_meanwhile)
    world.work()
    assert former not in [dnskey for _, dnskey in world.list_stored()]
    settle(world)
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_the_timetable_of_a_deleted_zone_does_not_get_in_the_way_of_the_next(world: RolloverWorld) -> None:
    settle(world)
    former, published = world.timetable, world.pipelines.pipeline.state.published
    make_anew(world, lambda: None)
    world.work()
    begun = read_record(world.pipelines.custody.engine, ORIGIN, "zone-2")
    assert begun is not None
    world.pipelines.clock.pass_time(DAY)
    assert former.step(published) is None
    assert read_record(world.pipelines.custody.engine, ORIGIN, "zone-2") == begun
    assert read_record(world.pipelines.custody.engine, ORIGIN, "zone-1") is None
    assert former.plan is None
