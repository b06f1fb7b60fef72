"""Which zones get signals to parents, as zones come, change and go."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from answering import read_zone
from sign_here import sign_zone
from signerd.config.policy import Policy
from signerd.dns.name import Name, parse_name
from signerd.dns.zone import Zone
from signerd.signal_desk import ServedVersion, SignalDesk
from signerd.zones.zone_list import Source, ZoneEntry

SOA = "$TTL 300\n@ SOA ns h 1 7200 900 604800 300\n"
PROVIDER = SOA + "@ NS ns1\nns1 A 192.0.2.1\n"
CHILD = SOA + "@ NS ns1.provider.test.\n"
HOST = parse_name("provider.test.")


def sign(origin: str, text: str) -> Zone:
    return sign_zone(read_zone(text, origin))


@dataclass
class World:
    """Zones in service; each test changes them."""

    zones: dict[str, ServedVersion] = field(default_factory=dict[str, ServedVersion])
    delegated: dict[Name, bool] = field(default_factory=dict[Name, bool])

    def put(
        self, origin: str, zone: Zone | None, policy: str = "default", source: Source = Source.FILE
    ) -> None:
        entry = ZoneEntry(parse_name(origin), Path(origin), policy, None, source)
        self.zones[origin] = ServedVersion(entry, zone)
        self.delegated.setdefault(entry.name, False)

    def open(self) -> SignalDesk:
        policies = {"default": Policy(), "signalling": Policy(signal=True)}
        return SignalDesk(policies, lambda: list(self.zones.values()), lambda: self.delegated)


@pytest.fixture
def world() -> World:
    world = World()
    world.put("provider.test.", sign("provider.test.", PROVIDER))
    for name in ("a.test.", "b.test."):
        world.put(name, sign(name, CHILD), "signalling")
    return world


def list_owners(desk: SignalDesk) -> list[bytes]:
    return sorted(name[9 : 9 + name[8]] for name in desk.find(HOST))


def test_only_zones_of_a_policy_that_says_so_are_signalled(world: World) -> None:
    world.put("c.test.", sign("c.test.", CHILD))
    assert list_owners(world.open()) == [b"a", b"b"]


def test_zones_to_be_signed_anew_are_those_that_get_something_else(world: World) -> None:
    desk = world.open()
    assert desk.look() == [HOST]
    before = desk.find(HOST)
    assert desk.look() == []
    assert desk.find(HOST) is before
    world.put("a.test.", sign("a.test.", CHILD), "signalling")  # with another key
    assert desk.look() == [HOST]
    del world.zones["a.test."]
    assert desk.look() == [HOST]
    assert list_owners(desk) == [b"b"]
    del world.zones["b.test."]
    assert desk.look() == [HOST]
    assert desk.find(HOST) == {}


def test_a_zone_with_a_ds_is_signalled_no_more(world: World) -> None:
    desk = world.open()
    desk.look()
    world.delegated[parse_name("b.test.")] = True
    assert desk.look() == [HOST]
    assert list_owners(desk) == [b"a"]


def test_what_is_published_stays_as_long_as_nobody_knows_the_parent(world: World) -> None:
    host = world.zones["provider.test."].published
    assert host is not None
    signals = dict(world.open().find(HOST))
    world.delegated.clear()
    assert world.open().find(HOST) == {}
    only_a = {owner: types for owner, types in signals.items() if owner[9:10] == b"a"}
    world.put("provider.test.", Zone(host.origin, {**host.names, **only_a}, host.nsec3))
    desk = world.open()
    assert list_owners(desk) == [b"a"]
    world.delegated[parse_name("b.test.")] = False
    assert desk.look() == [HOST]
    assert list_owners(desk) == [b"a", b"b"]


def test_zones_of_the_api_get_nothing_added_but_are_signalled(world: World) -> None:
    world.put("b.test.", sign("b.test.", CHILD), "signalling", Source.API)
    assert list_owners(world.open()) == [b"a", b"b"]
    world.put("provider.test.", sign("provider.test.", PROVIDER), source=Source.API)
    desk = world.open()
    assert desk.find(HOST) == {}
    assert "kept over the API" in desk.explain(parse_name("a.test."))[0]


def test_a_zone_without_a_version_yet_is_waited_for_in_silence(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.put("provider.test.", None)
    desk = world.open()
    assert desk.look() == []
    assert desk.explain(parse_name("a.test.")) == ()
    assert not caplog.records
    world.put("provider.test.", sign("provider.test.", PROVIDER))
    assert desk.look() == [HOST]


def test_a_problem_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put("a.test.", sign("a.test.", SOA + "@ NS ns.elsewhere.test.\n"), "signalling")
    desk = world.open()
    with caplog.at_level(logging.WARNING):
        desk.look()
        desk.look()
    assert [record.getMessage().startswith("zone a.test: no signal") for record in caplog.records] == [True]


def test_nothing_is_looked_at_where_no_policy_asks_for_signals(world: World) -> None:
    def fail() -> list[ServedVersion]:
        raise AssertionError

    desk = SignalDesk({"default": Policy()}, fail, lambda: world.delegated)
    assert not desk.is_wanted
    assert desk.find(HOST) == {}
    assert desk.look() == []
