"""What is told of the keys of zones of files while time passes, and how the API shows it."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from pipeline_world import ORIGIN
from rollover_world import RolloverWorld
from signerd.api.file_zone_dnssec import render_file_status
from signerd.api.timestamp import format_time
from signerd.dns.name import Name
from signerd.dns_zones.publisher import FileZone, ServedZone
from signerd.dnssec.ds import make_ds_set
from signerd.rollover.file_zones import FileZoneKeys, NoQuestions
from signerd.timetable.commands import start_rollover
from signerd.timetable.state import RolloverKind
from signerd.zone_dnssec.file_zone_status import FileZoneStatus
from signerd.zone_dnssec.ignored_servers import IgnoredServer, store_ignored

MakeWorld = Callable[..., RolloverWorld]
FILE = FileZone(ORIGIN, "small.test", "the file small.test.zone", None, ServedZone(None, None, None))


class KnownQuestions(NoQuestions):
    def find_next_probe(self, name: Name) -> int | None:
        assert name == ORIGIN
        return 1_900_000_000


@pytest.fixture
def make_world(tmp_path: Path) -> Generator[MakeWorld]:
    made: list[RolloverWorld] = []

    def make(policy: str = "zsk_period: never") -> RolloverWorld:
        made.append(RolloverWorld(tmp_path / str(len(made)), policy=policy))
        return made[-1]

    yield make
    for world in made:
        world.close()


def find(world: RolloverWorld, *, has_ds: bool = True) -> FileZoneStatus | None:
    custody = world.pipelines.custody
    keys = FileZoneKeys(custody.engine, lambda: world.now, custody.platform.region, KnownQuestions())
    return keys.show(ORIGIN, has_ds=has_ds)


def show(world: RolloverWorld, *, has_ds: bool = True) -> FileZoneStatus:
    status = find(world, has_ds=has_ds)
    assert status is not None
    return status


def name_ds_keys(world: RolloverWorld) -> list[str]:
    names = {key: name for name, key in world.list_stored()}
    return [names[key] for key in show(world).ds_keys]


def list_ds(world: RolloverWorld, name: str) -> tuple[bytes, ...]:
    return tuple(sorted(make_ds_set(ORIGIN, dict(world.list_stored())[name])))


def test_a_zone_without_keys_is_not_signed(make_world: MakeWorld) -> None:
    world = make_world()
    assert find(world) is None
    assert render_file_status(FILE, None) == {"enabled": False, "dsDelegated": False}


def test_a_new_zone_tells_its_ds_and_from_when_it_may_be_at_the_parent(make_world: MakeWorld) -> None:
    world = make_world()
    begun = world.now
    world.work()
    status = show(world)
    assert (status.is_enabled, status.delegation.is_delegated) == (True, False)
    assert name_ds_keys(world) == ["ksk-1"]
    assert status.delegation.to_add == list_ds(world, "ksk-1")
    assert (status.ds_not_before, status.is_key_published) == (begun + 7200, True)
    assert status.region == world.pipelines.scope.region
    world.rest()
    assert show(world).ds_not_before is None, "it may be there by now"
    assert name_ds_keys(world) == ["ksk-1"]


def test_a_zone_whose_parent_shall_have_no_ds_offers_none(make_world: MakeWorld) -> None:
    world = make_world("parent_ds: false")
    world.rest()
    status = show(world, has_ds=False)
    assert status.is_enabled
    assert (status.ds_keys, status.delegation.to_add) == ([], ())


def test_the_delegation_is_as_the_servers_of_the_parent_say(make_world: MakeWorld) -> None:
    world = make_world()
    world.rest()
    world.give_ds("ksk-1")
    world.servers["b"] = frozenset({b"\x00\x01\x0d\x02" + bytes(32)})
    world.ask_parent()
    status = show(world)
    assert not status.delegation.is_delegated
    assert [alarm.breaks for alarm in status.delegation.alarms] == [True]
    world.servers["b"] = world.servers["a"]
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    world.servers["b"] = None
    with world.pipelines.custody.engine.begin() as connection:
        store_ignored(connection, "small.test", IgnoredServer("b", world.now, world.now + 60, None))
    world.work()
    status = show(world)
    assert status.delegation.is_delegated
    delegation = status.delegation
    assert (delegation.to_add, delegation.to_remove, delegation.alarms) == ((), (), ())
    assert [(answer.server, answer.is_ignored) for answer in status.view.answers] == [
        ("a", False),
        ("b", True),
    ]
    assert [server.server for server in status.ignored] == ["b"]


def test_while_a_ksk_is_replaced_the_ds_of_the_new_one_is_told(make_world: MakeWorld) -> None:
    world = make_world()
    world.rest()
    world.give_ds("ksk-1")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    old = dict(world.list_stored())["ksk-1"]
    published = world.pipelines.pipeline.state.published
    world.timetable.change(
        lambda state, policy, now: start_rollover(state, RolloverKind.KSK, policy, now), published
    )
    assert name_ds_keys(world) == ["ksk-1"], "caches cannot follow the new key yet"
    assert show(world).delegation.is_delegated
    world.run_until(lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    status = show(world)
    assert name_ds_keys(world) == ["ksk-3"]
    assert (status.delegation.is_delegated, status.outgoing_tags) == (False, [old.key_tag])
    assert status.delegation.to_add == list_ds(world, "ksk-3")
    assert status.delegation.alarms == ()
    world.give_ds("ksk-3")
    world.run_until(lambda: not world.outcome.state.rollovers)
    status = show(world)
    assert (status.delegation.is_delegated, status.outgoing_tags) == (True, [])


def test_a_zone_that_goes_insecure_is_off_and_signed_until_no_cache_has_its_ds(make_world: MakeWorld) -> None:
    world = make_world()
    world.rest()
    world.give_ds("ksk-1")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    ds = list_ds(world, "ksk-1")
    world.change_policy("zsk_period: never, signed: false")
    world.work()
    status = show(world)
    assert (status.is_enabled, status.is_signed, status.ds_keys) == (False, True, [])
    assert status.delegation.to_remove == ds
    body = render_file_status(FILE, status)
    assert (body["enabled"], body["stillSigned"], "dsRecords" in body) == (False, True, False)
    world.give_ds()
    world.run_until(lambda: not world.names)
    status = show(world)
    assert (status.is_enabled, status.is_signed) == (False, False)
    assert render_file_status(FILE, status) == {"enabled": False, "dsDelegated": False}


def test_the_body_is_that_of_a_zone_of_the_api(make_world: MakeWorld) -> None:
    world = make_world()
    world.rest()
    world.give_ds("ksk-1")
    world.run_until(lambda: "nothing is due" in world.outcome.sentence)
    file = FileZone(
        ORIGIN, "small.test", "a file", None, ServedZone(None, None, None), ("no disk", world.now)
    )
    body = render_file_status(file, show(world))
    key = dict(world.list_stored())["ksk-1"]
    records = body["dsRecords"]
    assert isinstance(records, list)
    assert [record["record"] for record in records if isinstance(record, dict)] == [
        f"{key.key_tag} 13 {rdata[3]} {rdata[4:].hex()}" for rdata in make_ds_set(ORIGIN, key)
    ]
    (kms_key,) = world.pipelines.custody.kms.list_keys(world.pipelines.scope)
    assert body["kmsKeyIdentity"] == kms_key.identity
    assert (body["enabled"], body["dsDelegated"]) == (True, True)
    assert body["nextDsProbeAt"] == format_time(1_900_000_000)
    assert body["lastSignError"] == f"no disk; since {format_time(world.now)}"
