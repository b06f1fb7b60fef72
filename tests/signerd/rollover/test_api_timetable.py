"""Zones of the API, whose KSKs somebody else chooses."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sqlalchemy import update

from pipeline_world import ORIGIN
from rollover_world import RolloverWorld
from signerd.dns import rdatatype as rt
from signerd.rollover.timetable_record import has_record, read_record
from signerd.signer.zone_key_store import OUTGOING, RETIRED
from signerd.store.zone_tables import zone_signing_keys
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.state import RolloverKind
from signerd.zone_dnssec.settings import forget_zone
from signerd_kms.attribution import Attribution
from signerd_kms.key import KeyType

DAY = 86400
BY = Attribution("someone")


@pytest.fixture
def world(tmp_path: Path) -> Generator[RolloverWorld]:
    made = RolloverWorld(tmp_path, is_of_api=True)
    made.store.ensure(ORIGIN, KeyType.ECDSA_P256, None)
    yield made
    made.close()


def set_state(world: RolloverWorld, name: str, state: str) -> None:
    table = zone_signing_keys
    with world.pipelines.custody.engine.begin() as connection:
        connection.execute(update(table).where(table.c.timetable_name == name).values(state=state))


def add_ksk(world: RolloverWorld, key_type: KeyType) -> None:
    key = world.pipelines.custody.kms.create_key(world.pipelines.scope, "another", key_type, by=BY)
    world.store.store_kms_key(ORIGIN, "ksk", key)


def test_the_zsk_is_replaced_and_the_ksk_stays(world: RolloverWorld) -> None:
    world.work()
    assert world.list_served(rt.CDNSKEY) == {"ksk-1"}
    world.give_ds("ksk-1")
    begun = world.now
    world.run_until(lambda: "zsk-3" in world.list_served() and not world.list_rollovers())
    assert 90 * DAY < world.now - begun < 110 * DAY
    assert world.names == ["ksk-1", "zsk-3"]
    assert world.list_served() == {"ksk-1", "zsk-3"}
    assert world.count_signers() == 1


def test_a_ksk_change_of_the_owner_goes_on_beside_a_zsk_rollover(world: RolloverWorld) -> None:
    world.rest()
    world.give_ds("ksk-1")
    world.pipelines.workshop.find_published = lambda name: world.pipelines.pipeline.state.published
    message = world.pipelines.workshop.rollovers.start("small.test", RolloverKind.ZSK)
    assert message.startswith("zsk rollover 3 of zone small.test has begun; ZSK rollover 3, step publish: ")
    set_state(world, "ksk-1", OUTGOING)
    add_ksk(world, KeyType.ECDSA_P256)
    world.work()
    (new,) = {name for name in world.names if name.startswith("ksk-tag-")}
    assert world.list_served() == {"ksk-1", new, "zsk-1", "zsk-3"}
    world.give_ds(new)
    set_state(world, "ksk-1", RETIRED)
    world.run_until(lambda: not world.list_rollovers())
    assert world.list_served() == {new, "zsk-3"}
    assert world.outcome.problem is None


def test_nothing_is_begun_while_the_algorithm_changes(world: RolloverWorld) -> None:
    world.rest()
    world.give_ds("ksk-1")
    set_state(world, "ksk-1", OUTGOING)
    add_ksk(world, KeyType.ECDSA_P384)
    world.pipelines.clock.pass_time(100 * DAY)  # its ZSK is due
    world.work()
    assert not world.list_rollovers()
    assert world.count_signers() == 2
    set_state(world, "ksk-1", RETIRED)
    world.servers = dict.fromkeys(world.servers, frozenset[bytes]())
    world.work()
    world.work()
    assert world.count_signers() == 1
    assert not [name for name in world.names if name in {"ksk-1", "zsk-1"}]
    assert world.outcome.problem is None


def test_the_ksk_is_not_replaced_by_command(world: RolloverWorld) -> None:
    world.work()
    with pytest.raises(RolloverRefused, match="signerd dnssec enable --key"):
        world.pipelines.workshop.rollovers.start("small.test", RolloverKind.KSK)


def test_the_timetable_of_a_zone_that_is_not_signed_begins_anew(world: RolloverWorld) -> None:
    world.rest()
    engine = world.pipelines.custody.engine
    assert has_record(engine, ORIGIN)
    unsigned = world.pipelines.pipeline.state.unsigned
    assert world.timetable.step(unsigned) is None
    assert not has_record(engine, ORIGIN)
    assert world.timetable.is_at_rest(unsigned)
    assert not world.timetable.is_at_rest(world.pipelines.pipeline.state.published)


def make_anew(world: RolloverWorld, step_meanwhile: Callable[[], None]) -> None:
    """Delete the zone; sign another of its name before anything else of it was published."""
    with world.pipelines.custody.engine.begin() as connection:
        forget_zone(connection, "small.test")
    world.store.ensure(ORIGIN, KeyType.ECDSA_P256, None)
    step_meanwhile()
    world.pipelines.identity = "zone-2"
    world.restart()


def test_a_later_zone_of_the_name_inherits_nothing_of_the_timetable(world: RolloverWorld) -> None:
    world.rest()
    (former,) = (dnskey for name, dnskey in world.list_stored() if name == "zsk-1")

    def step_meanwhile() -> None:
        world.pipelines.clock.pass_time(DAY)
        world.step()  # for the former zone's last version, which is in service still

    make_anew(world, step_meanwhile)
    world.work()
    assert world.outcome.problem is None
    assert former not in [dnskey for _, dnskey in world.list_stored()]
    world.run_until(lambda: "zsk-3" in world.list_served() and not world.list_rollovers())
    assert world.list_served() == {"ksk-1", "zsk-3"}


def test_the_timetable_of_a_deleted_zone_does_not_get_in_the_way_of_the_next(world: RolloverWorld) -> None:
    world.rest()
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
