from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import SQLAlchemyError

from pipeline_world import ORIGIN, Killed
from rollover_world import ZONE_TEXT, NothingCame, RolloverWorld
from signerd.dns import rdatatype as rt
from signerd.rollover import zone_timetable
from signerd.rollover.zone_timetable import StepReport
from signerd.signer.timetable_keys import TimetableKeys
from signerd.signer.zone_key_store import KeyUnusable
from signerd.store.zone_tables import zone_signing_keys, zone_timetables
from signerd.timetable.commands import RolloverRefused, abort_rollover, start_rollover
from signerd.timetable.policy import Step
from signerd.timetable.state import RolloverKind
from signerd.zone_dnssec.ignored_servers import IgnoredServer, store_ignored
from signerd.zones.pipeline import SigningImpossible
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import AuditNotWritten
from signerd_kms.key import KeyType

MakeWorld = Callable[..., RolloverWorld]
DAY = 86400


@pytest.fixture
def make_world(tmp_path: Path) -> Generator[MakeWorld]:
    made: list[RolloverWorld] = []

    def make(policy: str = "") -> RolloverWorld:
        made.append(RolloverWorld(tmp_path / str(len(made)), policy=policy))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def settled(make_world: MakeWorld) -> RolloverWorld:
    """A zone whose keys and DS are everywhere."""
    world = make_world("zsk_period: never")
    world.rest()
    world.give_ds("ksk-1")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    return world


def forget_timetable(world: RolloverWorld) -> None:
    """Leave the database as a version without timetables left it."""
    with world.pipelines.custody.engine.begin() as connection:
        connection.execute(delete(zone_timetables))
        connection.execute(update(zone_signing_keys).values(timetable_name=None))
    world.restart()


def start(world: RolloverWorld, kind: RolloverKind) -> None:
    world.timetable.change(
        lambda state, policy, now: start_rollover(state, kind, policy, now),
        world.pipelines.pipeline.state.published,
    )


def test_a_new_zone_is_published_at_once_and_asks_for_its_ds_when_caches_agree(make_world: MakeWorld) -> None:
    world = make_world()
    begun = world.now
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}
    assert world.list_served(rt.CDNSKEY) == set()
    world.rest()
    assert world.now - begun == 3600 + 3600  # propagation and the TTL of the DNSKEY RRset
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    assert "the parent has no DS record of ksk-1 yet" in world.outcome.sentence


def test_a_zsk_is_replaced_when_it_is_old(make_world: MakeWorld) -> None:
    world = make_world()
    world.rest()
    world.give_ds("ksk-1")
    begun = world.now
    world.run_until(lambda: world.names == ["ksk-1", "zsk-3"] and not world.outcome.state.rollovers)
    assert 90 * DAY < world.now - begun < 110 * DAY
    assert world.list_served() == {"ksk-1", "zsk-3"}
    assert world.count_signers() == 1


def test_a_ksk_is_replaced_once_all_servers_of_the_parent_have_its_ds(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    assert world.list_served() == {"ksk-1", "ksk-3", "zsk-1"}
    assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
    both = world.servers["a"]
    world.give_ds("ksk-3")
    world.servers["b"] = both
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert world.list_served() == {"ksk-1", "ksk-3", "zsk-1"}, "one server of the parent has the old DS"
    world.servers["b"] = world.servers["a"]
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == {"ksk-3", "zsk-1"}
    assert world.names == ["zsk-1", "ksk-3"]
    kms, scope = world.pipelines.custody.kms, world.pipelines.scope
    assert [key.name for key in kms.list_keys(scope)] == ["DNSSEC small.test", "DNSSEC small.test 2"]


def test_a_dead_server_of_the_parent_holds_a_change_up_until_it_is_ignored(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.servers["b"] = None
    with pytest.raises(NothingCame):
        world.run_until(lambda: not world.outcome.state.rollovers, 60)
    with world.pipelines.custody.engine.begin() as connection:
        until = world.now + 90 * DAY
        store_ignored(connection, "small.test", IgnoredServer("b", world.now, until, None))
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == {"ksk-3", "zsk-1"}


def test_a_ksk_can_be_a_new_version_of_the_same_key(make_world: MakeWorld) -> None:
    world = make_world("zsk_period: never, ksk_rollover: new-version")
    world.rest()
    world.give_ds("ksk-1")
    world.work()
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == {"ksk-3", "zsk-1"}
    (key,) = world.pipelines.custody.kms.list_keys(world.pipelines.scope)
    assert key.latest_version == 2


@pytest.mark.parametrize("policy", ["key_type: ecdsa-p384", "csk: true", "key_type: rsa-2048, csk: true"])
def test_a_changed_policy_replaces_all_keys(settled: RolloverWorld, policy: str) -> None:
    world = settled
    world.change_policy(f"zsk_period: never, {policy}")
    role = "csk" if "csk" in policy else "ksk"
    world.run_until(lambda: f"add the DS record of {role}-3" in world.outcome.sentence)
    assert world.list_served() >= {"ksk-1", "zsk-1", f"{role}-3"}
    world.give_ds(f"{role}-3")
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == ({"csk-3"} if role == "csk" else {"ksk-3", "zsk-3"})
    assert world.count_signers() == 1


def test_the_version_in_service_stays_good_when_a_step_asks_for_another(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, step = settled, settled.step

    def step_and_check() -> StepReport | None:
        report = step()
        assert world.pipelines.pipeline.check_published(), world.pipelines.pipeline.state.check_error
        return report

    monkeypatch.setattr(world, "step", step_and_check)
    world.change_policy("zsk_period: never, key_type: ecdsa-p384")
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.count_signers() == 1


def test_the_kind_of_denial_changes_with_the_policy(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("zsk_period: never, denial: nsec")
    world.work()
    published = world.pipelines.pipeline.state.published
    assert published is not None
    assert not published.nsec3
    assert rt.NSEC in published.names[ORIGIN]


def test_a_restart_at_every_moment_changes_nothing(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    start(world, RolloverKind.ZSK)

    def restart() -> bool:
        world.restart()
        return False

    with pytest.raises(NothingCame):
        world.run_until(restart, most=30)
    world.give_ds("ksk-3")
    world.run_until(lambda: restart() or not world.list_rollovers(), most=600)
    assert world.list_served() == {"ksk-3", "zsk-4"}
    assert world.count_signers() == 1


@pytest.mark.parametrize("is_made", [False, True])
def test_a_crash_at_the_making_of_a_key_leaves_one_key(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch, is_made: bool
) -> None:
    world = settled
    make = TimetableKeys.make

    def crash(self: TimetableKeys, *arguments: object) -> None:
        if is_made:
            make(self, *arguments)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(TimetableKeys, "make", crash)
        with pytest.raises(Killed):
            start(world, RolloverKind.ZSK)
    world.restart()
    world.run_until(lambda: not world.list_rollovers())
    assert world.names == ["ksk-1", "zsk-3"]


def test_a_crash_before_an_old_key_is_given_up_does_not_keep_it(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled

    def crash(self: TimetableKeys, zone: object, key: object) -> None:
        raise Killed

    start(world, RolloverKind.ZSK)
    with monkeypatch.context() as patch:
        patch.setattr(TimetableKeys, "forget", crash)
        with pytest.raises(Killed):
            world.run_until(lambda: False)
    assert world.names == ["ksk-1", "zsk-1", "zsk-3"]
    world.restart()
    world.work()
    assert world.names == ["ksk-1", "zsk-3"]


def test_nothing_is_carried_out_that_was_not_stored(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled

    def crash(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(zone_timetable, "write_record", crash)
        with pytest.raises(Killed):
            start(world, RolloverKind.ZSK)
    assert world.names == ["ksk-1", "zsk-1"]
    assert not world.list_rollovers()


def test_what_a_step_that_failed_half_way_has_stored_is_published_after_the_next(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled

    def fail(*arguments: object) -> None:
        raise SQLAlchemyError("the disk is full")

    start(world, RolloverKind.ZSK)
    world.work()
    (wait,) = world.outcome.waits
    assert wait.until is not None
    world.pipelines.clock.pass_time(wait.until - world.now)
    with monkeypatch.context() as patch:
        patch.setattr(zone_timetable.ZoneTimetable, "_carry_out", fail)
        assert world.step() is None
    report = world.step()
    assert report is not None
    assert report.is_rearranged


def test_a_parent_whose_answer_cannot_be_stored_is_asked_again_in_its_time(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled
    known = world.outcome.state

    def fail(*arguments: object) -> None:
        raise SQLAlchemyError("the disk is full")

    world.pipelines.clock.pass_time(DAY)
    world.give_ds()
    with monkeypatch.context() as patch:
        patch.setattr(zone_timetable, "write_record", fail)
        assert not world.ask_parent()
    assert world.timetable.find_probe() == (world.now, True)
    assert world.step() is not None
    seen = [key.ds.presence for key in world.outcome.state.keys]
    assert seen == [key.ds.presence for key in known.keys], "nothing follows from it"


def test_a_wait_for_a_ds_does_not_end_by_what_the_parent_said_before_a_long_downtime(
    settled: RolloverWorld,
) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    world.run_until(lambda: any(wait.step is Step.DELEGATE for wait in world.outcome.waits))
    world.give_ds("ksk-3")
    world.work()
    assert any(wait.step is Step.CONFIRM for wait in world.outcome.waits), world.sentences
    world.restart()
    world.pipelines.clock.pass_time(30 * DAY)
    world.pipelines.workshop.accept_clock()
    world.give_ds("ksk-1")  # the registrar has put back what it had
    assert world.publish(), "its signatures are due"
    assert world.step() is not None
    assert world.publish() is False
    world.work()
    assert world.list_served() >= {"ksk-1", "ksk-3"}
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-3", "zsk-1"}


def test_a_key_that_is_disabled_stops_the_timetable_until_it_is_back(settled: RolloverWorld) -> None:
    world = settled
    kms, scope = world.pipelines.custody.kms, world.pipelines.scope
    (key,) = kms.list_keys(scope)
    kms.disable(scope, key.identity, by=Attribution("someone"))
    start(world, RolloverKind.ZSK)
    assert world.outcome.problem == "key ksk-1 is missing or unusable; restore it in the KMS"
    report = world.step()
    assert report is not None
    assert report.look_again_at <= world.now + 300, "nobody tells it that the key is back"
    world.pipelines.clock.pass_time(DAY)
    world.work()
    assert "zsk-3" not in world.list_served()
    kms.enable(scope, key.identity, by=Attribution("someone"))
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-1", "zsk-3"}


def test_no_step_is_taken_while_the_clock_is_not_believed(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.ZSK)
    world.work()
    (wait,) = world.outcome.waits
    assert wait.until is not None
    left = wait.until - world.now
    world.pipelines.clock.step(10 * DAY)
    doubt = world.pipelines.workshop.mark_clock()
    assert doubt is not None
    assert "if it is right now, say 'signerd clock accept'" in doubt
    assert world.step() is None
    assert world.timetable.plan is not None
    assert world.timetable.plan.problem is not None
    assert "say 'signerd clock accept'" in world.timetable.plan.sentence
    assert world.timetable.plan.looks_again_at == world.now + 60
    world.pipelines.clock.step(DAY)
    assert world.pipelines.workshop.mark_clock() == doubt, "one doubt is told in the same words"
    world.pipelines.clock.step(-DAY)
    world.pipelines.workshop.accept_clock()
    assert world.pipelines.workshop.mark_clock() is None
    report = world.step()
    assert report is not None
    assert report.plan.problem is None
    assert report.plan.outcome.clock_step == 10 * DAY
    (wait,) = report.plan.outcome.waits
    assert wait.until is not None
    assert wait.until - world.now == left


def test_keys_that_have_long_been_served_are_taken_over_as_they_are(settled: RolloverWorld) -> None:
    world = settled
    before = world.list_served()
    dnskeys = [dnskey for _, dnskey in world.list_stored()]
    forget_timetable(world)
    world.work()
    state = world.outcome.state
    assert not state.rollovers
    assert all(key.dnskey.is_everywhere for key in state.keys)
    assert state.may_have_ds
    assert world.list_served() == before
    assert [dnskey for _, dnskey in world.list_stored()] == dnskeys
    start(world, RolloverKind.ZSK)
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-1", "zsk-2"}


def test_keys_that_were_just_made_are_taken_over_as_published_just_now(make_world: MakeWorld) -> None:
    world = make_world()
    world.work()
    world.pipelines.clock.pass_time(1800)
    forget_timetable(world)
    begun = world.now
    world.rest()
    assert world.now - begun == 3600 + 3600
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_a_database_that_is_older_than_the_published_keys_signs_nothing(settled: RolloverWorld) -> None:
    world = settled
    old = world.copy_database()
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.list_rollovers())
    world.put_back_database(old)
    with pytest.raises(SigningImpossible, match="put back the database"):
        world.publish()


def test_a_ds_that_leads_nowhere_keeps_no_change_from_being_published(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("zsk_period: never, steps: {publish: hold}")
    start(world, RolloverKind.KSK)
    world.work()
    world.give_ds("ksk-1", "ksk-3")
    world.ask_parent()
    world.step()
    assert "the parent may have the DS record of ksk-3" in world.outcome.sentence
    world.pipelines.file.write_text(ZONE_TEXT.replace("192.0.2.2", "192.0.2.3"))
    assert world.publish()


def test_a_step_that_is_held_happens_once_the_policy_lets_it(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("zsk_period: never, steps: {make: hold}")
    start(world, RolloverKind.ZSK)
    world.pipelines.clock.pass_time(DAY)
    world.work()
    assert (
        "the policy holds the step 'make' (option 'steps'); the operator must act" in world.outcome.sentence
    )
    assert world.names == ["ksk-1", "zsk-1"]
    with pytest.raises(RolloverRefused, match="waits for approval: the policy holds the step 'make'"):
        world.open_desk().approve("small.test", 3, None)
    world.change_policy("zsk_period: never")
    world.run_until(lambda: not world.list_rollovers())
    assert world.names == ["ksk-1", "zsk-3"]


def test_an_aborted_ksk_stays_as_long_as_served_cds_records_ask_for_its_ds(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.pipelines.faults.signer = SigningImpossible("the KMS is away")
    world.timetable.change(
        lambda state, policy, now: abort_rollover(state, 3), world.pipelines.pipeline.state.published
    )
    for _ in range(20):
        world.pipelines.clock.pass_time(DAY)
        with pytest.raises(SigningImpossible):
            world.publish()
        world.ask_parent()
        world.step()
    assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
    (coming,) = [key for key in world.outcome.state.keys if key.name == "ksk-3"]
    assert not coming.ds.is_gone, "a parent may act on what is served"
    world.pipelines.faults.signer = None
    signed = world.now
    world.run_until(lambda: not world.list_rollovers())
    assert world.now - signed > 7 * DAY, "what it has read may take so long to come to light"
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_a_step_is_approved_and_a_rollover_turned_back_by_command(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("zsk_period: never, steps: {delegate: ask}")
    world.work()
    desk = world.open_desk()
    with pytest.raises(RolloverRefused, match="no rollover 3 is under way"):
        desk.approve("small.test", 3, None)
    assert desk.start("small.test", RolloverKind.KSK).startswith(
        "ksk rollover 3 of zone small.test has begun; "
    )
    with pytest.raises(RolloverRefused, match="no step of rollover 3 waits for approval; 'signerd rollover"):
        desk.approve("small.test", 3, None)
    world.run_until(lambda: "awaits 'signerd rollover approve" in world.outcome.sentence)
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    assert desk.approve("small.test.", 3, None).startswith("the step 'delegate' of rollover 3 is approved; ")
    world.work()
    assert world.list_served(rt.CDNSKEY) == {"ksk-3"}
    assert desk.abort("small.test", 3).startswith("rollover 3 of zone small.test is turned back; ")
    world.work()
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-1", "zsk-1"}
    with pytest.raises(RolloverRefused, match="no rollover 3 is under way"):
        desk.abort("small.test", 3)
    with pytest.raises(RolloverRefused, match="no key timetable of a zone other"):
        desk.start("other.test", RolloverKind.ZSK)
    with world.pipelines.custody.engine.connect() as connection:
        actions = connection.execute(
            text("SELECT action FROM audit_entries WHERE action LIKE 'rollover.%' ORDER BY sequence")
        )
        assert list(actions.scalars()) == ["rollover.start", "rollover.approve", "rollover.abort"]


def test_a_command_that_cannot_be_recorded_is_not_followed(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled

    def refuse(*_: object) -> None:
        raise AuditNotWritten("the audit event was not stored")

    with monkeypatch.context() as patch:
        patch.setattr(AuditedStore, "record", refuse)
        with pytest.raises(RolloverRefused, match="nothing can be changed now: the audit event was not"):
            world.open_desk().start("small.test", RolloverKind.ZSK)
    assert not world.list_rollovers()


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ECDSA_P384])
def test_a_key_that_the_configuration_names_becomes_the_ksk(
    settled: RolloverWorld, key_type: KeyType
) -> None:
    world = settled
    kms, scope = world.pipelines.custody.kms, world.pipelines.scope
    kms.create_key(scope, "mine", key_type, by=Attribution("someone"))
    world.pipelines.name_kms_key("mine")
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.list_rollovers())
    assert world.kms_key_names == ["mine"]
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-4" in world.outcome.sentence)
    world.give_ds("ksk-4")
    world.run_until(lambda: not world.list_rollovers())
    assert world.kms_key_names == ["mine"]
    (key,) = [key for key in kms.list_keys(scope) if key.name == "mine"]
    assert key.latest_version == 2


def test_a_csk_and_the_ksk_after_it_can_be_versions_of_one_kms_key(settled: RolloverWorld) -> None:
    world = settled
    kms, scope = world.pipelines.custody.kms, world.pipelines.scope
    kms.create_key(scope, "mine", KeyType.ECDSA_P256, by=Attribution("someone"))
    world.pipelines.name_kms_key("mine")
    world.change_policy("zsk_period: never, csk: true")
    for policy, role in (("csk: true", "csk"), ("csk: false", "ksk")):
        world.change_policy(f"zsk_period: never, {policy}")
        for _ in range(4):
            world.run_until(
                lambda: not world.list_rollovers() or "add the DS record of" in world.outcome.sentence
            )
            if not world.list_rollovers():
                break
            world.give_ds(*(key.name for key in world.outcome.state.keys if key.ds.is_wanted))
        assert role in {key.role for key in world.outcome.state.keys}


def test_a_key_that_cannot_be_made_is_said_and_tried_again(
    settled: RolloverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled

    def refuse(self: TimetableKeys, *arguments: object) -> None:
        raise KeyUnusable("no key tag is free")

    with monkeypatch.context() as patch:
        patch.setattr(TimetableKeys, "make", refuse)
        start(world, RolloverKind.ZSK)
        assert world.outcome.problem == "zsk-3 cannot be made: no key tag is free"
        report = world.step()
    assert report is not None
    assert report.look_again_at == world.now + 60
    world.run_until(lambda: not world.list_rollovers())
    assert world.names == ["ksk-1", "zsk-3"]


def test_a_parent_that_is_not_found_keeps_a_ksk_rollover_waiting(settled: RolloverWorld) -> None:
    world = settled
    start(world, RolloverKind.KSK)
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    world.is_parent_known = False
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert "no name server of the parent is known" in world.outcome.sentence
    assert world.list_served() == {"ksk-1", "ksk-3", "zsk-1"}
    world.is_parent_known = True
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-3", "zsk-1"}


def test_changes_of_records_take_no_step_while_only_time_must_pass(settled: RolloverWorld) -> None:
    world = settled
    published = world.pipelines.pipeline.state.published
    assert world.timetable.is_at_rest(published)
    start(world, RolloverKind.ZSK)
    assert not world.timetable.is_at_rest(published)  # the new DNSKEY record is to be seen
    world.work()
    assert world.timetable.is_at_rest(world.pipelines.pipeline.state.published)


def write_ttl(world: RolloverWorld, ttl: str) -> None:
    world.pipelines.file.write_text(ZONE_TEXT.replace("www A", f"www {ttl} A"))
    assert world.publish()


def test_a_larger_ttl_is_stored_at_once(settled: RolloverWorld) -> None:
    world = settled
    write_ttl(world, "3d")
    assert not world.timetable.is_at_rest(world.pipelines.pipeline.state.published)
    world.step()
    assert world.timetable.is_at_rest(world.pipelines.pipeline.state.published)
    write_ttl(world, "1m")
    world.restart()
    world.step()
    assert world.outcome.state.largest_ttl.horizon > world.now + 3 * DAY


def test_a_larger_ttl_is_not_missed_if_the_process_was_killed_right_after(settled: RolloverWorld) -> None:
    world = settled
    write_ttl(world, "3d")
    world.restart()
    write_ttl(world, "1m")
    world.step()
    assert world.outcome.state.largest_ttl.ttl == 3 * DAY, "it was served a moment ago"
    write_ttl(world, "2m")
    world.step()
    assert world.outcome.state.largest_ttl.horizon > world.now + 3 * DAY


def test_a_zone_that_begins_with_a_csk_gets_another_one(make_world: MakeWorld) -> None:
    world = make_world("csk: true")
    world.work()
    assert world.list_served() == {"csk-1"}
    world.rest()
    world.give_ds("csk-1")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    start(world, RolloverKind.CSK)
    world.run_until(lambda: "add the DS record of csk-3" in world.outcome.sentence)
    world.give_ds("csk-3")
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"csk-3"}
    assert world.count_signers() == 1


def test_a_rollover_by_age_needs_nobody_but_the_parent(make_world: MakeWorld) -> None:
    world = make_world("zsk_period: never, ksk_period: 20d, key_type: ecdsa-p384")
    world.rest()
    world.give_ds("ksk-1")
    begun = world.now
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    assert 20 * DAY - 7300 < world.now - begun < 21 * DAY
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {"ksk-3", "zsk-1"}


def has_anything_signed(world: RolloverWorld) -> bool:
    published = world.pipelines.pipeline.state.published
    assert published is not None
    return any(
        rrset.signatures or rrset.type in (rt.DNSKEY, rt.CDS, rt.CDNSKEY, rt.NSEC, rt.NSEC3PARAM)
        for rrset in published.iterate_rrsets()
    )


def test_a_zone_that_shall_not_be_signed_has_no_keys(make_world: MakeWorld) -> None:
    world = make_world("signed: false")
    world.work()
    assert not has_anything_signed(world)
    assert world.names == []
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert not has_anything_signed(world)
    world.change_policy("")
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_a_zone_goes_insecure_when_no_cache_has_its_ds_and_can_come_back(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("signed: false")
    world.run_until(lambda: "remove the DS record of ksk-1" in world.outcome.sentence)
    published = world.pipelines.pipeline.state.published
    assert published is not None
    assert [rdata.hex() for rdata in published.names[ORIGIN][rt.CDS].rdatas] == ["0000000000"]
    world.pipelines.clock.pass_time(60 * DAY)
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}, "the parent has the DS"
    world.give_ds()
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}, "caches may have the DS"
    gone = world.now
    world.run_until(lambda: not has_anything_signed(world))
    assert world.now - gone >= 3600, "the TTL of the DS"
    world.run_until(lambda: world.names == [])
    world.restart()
    world.work()
    assert not has_anything_signed(world)
    world.change_policy("zsk_period: never")
    world.run_until(lambda: "the parent has no DS record of" in world.outcome.sentence)
    assert len(world.list_served()) == 2
    world.give_ds(*(name for name in world.list_served() if name.startswith("ksk")))
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)


def test_a_restart_at_every_moment_of_going_insecure_and_back_changes_nothing(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("signed: false")
    world.give_ds()

    def restart_until(condition: Callable[[], bool]) -> None:
        for _ in range(200):
            following = world.work()
            if condition():
                return
            world.restart()
            world.pipelines.clock.pass_time(following - world.now)
        raise NothingCame("\n".join(world.sentences))

    restart_until(lambda: not has_anything_signed(world) and world.names == [])
    world.change_policy("zsk_period: never")
    restart_until(lambda: len(world.names) == 2 and len(world.list_served()) == 2)


def test_a_change_of_mind_keeps_a_zone_signed(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("signed: false")
    world.work()
    world.pipelines.clock.pass_time(DAY)
    world.work()
    world.change_policy("zsk_period: never")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    assert world.list_served() == {"ksk-1", "zsk-1"}


def test_a_zone_whose_parent_shall_have_no_ds_asks_for_none(make_world: MakeWorld) -> None:
    world = make_world("parent_ds: false, zsk_period: never")
    world.work()
    assert world.list_served() == {"ksk-1", "zsk-1"}
    world.pipelines.clock.pass_time(30 * DAY)
    world.work()
    assert world.list_served(rt.CDNSKEY) == set()
    assert "nothing is due" in world.outcome.sentence
    start(world, RolloverKind.KSK)
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == {"ksk-3", "zsk-1"}


def test_a_ds_that_shall_be_no_more_is_asked_to_go_and_the_zone_stays_signed(settled: RolloverWorld) -> None:
    world = settled
    world.change_policy("parent_ds: false, zsk_period: never")
    world.work()
    assert "the policy wants no DS record (parent_ds): all servers of the parent are to remove" in (
        world.outcome.sentence
    )
    published = world.pipelines.pipeline.state.published
    assert published is not None
    assert [rdata.hex() for rdata in published.names[ORIGIN][rt.CDS].rdatas] == ["0000000000"]
    world.give_ds()
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    assert world.list_served() == {"ksk-1", "zsk-1"}
    assert world.list_served(rt.CDNSKEY) == set()
    start(world, RolloverKind.KSK)
    world.run_until(lambda: not world.outcome.state.rollovers)
    assert world.list_served() == {"ksk-3", "zsk-1"}


def test_a_zone_whose_parent_is_not_found_goes_insecure_once_the_policy_says_that_it_has_no_ds(
    make_world: MakeWorld,
) -> None:
    world = make_world("zsk_period: never")
    world.is_parent_known = False
    world.run_until(lambda: "no name server of the parent is found" in world.outcome.sentence)
    world.change_policy("signed: false")
    for _ in range(30):
        world.work()
        world.pipelines.clock.pass_time(DAY)
    assert world.list_served() == {"ksk-1", "zsk-1"}
    assert "set 'parent_ds: false' in the policy" in world.outcome.sentence
    world.change_policy("signed: false, parent_ds: false")
    said = world.now
    world.run_until(lambda: not has_anything_signed(world))
    assert world.now - said >= DAY, "a DS that nobody saw may be in caches"


def test_the_word_of_the_operator_does_not_count_against_a_ds_that_was_seen(settled: RolloverWorld) -> None:
    world = settled
    world.is_parent_known = False
    world.change_policy("signed: false, parent_ds: false")
    for _ in range(60):
        world.work()
        world.pipelines.clock.pass_time(DAY)
    assert world.list_served() == {"ksk-1", "zsk-1"}
    assert "no name server of the parent is known" in world.outcome.sentence
