"""What joins DNSSEC of zones of the API to their pipelines, with the database and without."""

from collections.abc import Callable
from pathlib import Path

import pytest

from key_world import StandingClock
from signerd.config.options import Config
from signerd.custody import CustodyHolder
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.dnssec.announcement import Announcement
from signerd.dnssec_desk import DnssecDesk
from signerd.platform.described import Description
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.settings import ACTIVE, ZonePlace
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import Source, ZoneEntry
from signerd_kms.attribution import NOBODY

APEX = parse_name("shop.example.")
NOW = StandingClock().now()
ENTRY = ZoneEntry(APEX, None, source=Source.API, identity="dnsz-1")
FILE = ZoneEntry(APEX, Path("/zones/shop.example.zone"))
PLAIN = Zone(APEX, {APEX: {rt.SOA: RRset(APEX, rt.SOA, 3600, (bytes(22),))}})


class World:
    """A desk over a state directory of its own."""

    def __init__(self, directory: Path) -> None:
        config = Config(state_directory=directory)
        self.holder = CustodyHolder(config, StandingClock())
        self.changed: list[Name] = []
        self.desk = DnssecDesk(self.holder, config.dnssec, self.changed.append)

    def sign_zone(self) -> tuple[DnssecManagement, ZonePlace]:
        assert self.holder.open()
        custody = self.holder.custody
        scope = ZoneScope(custody.platform.organisation, None)
        made = custody.store.change(
            NOBODY,
            lambda change: create_zone(
                change, scope, "shop.example", Description("shop.example"), is_served=lambda _: False
            ),
        )
        place = ZonePlace(made.identity, "shop.example", scope.organisation, None)
        management = self.desk.open()
        wish = Wish("local", custody.platform.region, None, lambda _: None, lambda: None)
        management.enable(place, wish, NOBODY)
        return management, place


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_before_the_database_is_open_zones_of_files_are_signed_and_others_wait(world: World) -> None:
    assert world.desk.find() is None
    assert world.desk.is_signed(FILE)
    asks: list[Callable[[ZoneEntry], object]] = [world.desk.is_signed, world.desk.find_announcement]
    for ask in asks:
        with pytest.raises(SigningImpossible, match=r"shop\.example"):
            ask(ENTRY)


def test_what_cannot_be_noted_keeps_no_zone_from_being_signed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.desk.note_signed(ENTRY, NOW, PLAIN, None)
    world.desk.note_failed(ENTRY, "no key", None)
    world.desk.note_served(ENTRY, NOW, 60)
    assert caplog.text.count("is not noted") == 3


def test_the_pipelines_are_told_what_was_decided(world: World) -> None:
    management, place = world.sign_zone()
    assert world.changed == [APEX]
    assert world.desk.is_signed(ENTRY)
    assert world.desk.find_announcement(ENTRY) is Announcement.AS_BEFORE
    management.disable(place, NOBODY)
    assert world.desk.is_signed(ENTRY), "until the DS is gone"
    assert world.desk.find_announcement(ENTRY) is Announcement.REMOVAL


def test_failures_and_successes_are_told_in_the_status(world: World) -> None:
    management, place = world.sign_zone()
    world.desk.note_failed(ENTRY, "the key is away", NOW + 60)
    error = management.show(place).sign_error
    assert error is not None
    assert (error.reason, error.since, error.signatures_until) == ("the key is away", NOW, NOW + 60)
    world.desk.note_signed(ENTRY, NOW + 5, PLAIN, None)
    assert management.show(place).sign_error is None


def test_a_ds_waits_from_the_publication_of_the_first_version_with_its_key(world: World) -> None:
    management, place = world.sign_zone()
    (key,) = (key.dnskey for key in management.show(place).keys if key.state == ACTIVE)
    dnskeys = RRset(APEX, rt.DNSKEY, 300, (key.rdata,))
    signed = Zone(APEX, {APEX: {**PLAIN.names[APEX], rt.DNSKEY: dnskeys}})

    def read_moment() -> int | None:
        setting = management.show(place).setting
        assert setting is not None
        return setting.ds_not_before

    world.desk.note_signed(ENTRY, NOW, PLAIN, None)
    assert (world.desk.take_wait(ENTRY), read_moment()) == (None, None)
    world.desk.note_signed(ENTRY, NOW, signed, PLAIN)
    assert read_moment() == NOW + 3600
    wait = world.desk.take_wait(ENTRY)
    assert wait == 3600
    assert world.desk.take_wait(ENTRY) is None
    world.desk.note_served(ENTRY, NOW + 90, wait)
    assert read_moment() == NOW + 3690
    world.desk.note_signed(ENTRY, NOW + 7200, signed, signed)
    assert (world.desk.take_wait(ENTRY), read_moment()) == (None, NOW + 3690)


def test_a_ds_waits_anew_if_the_first_version_with_its_key_was_rejected(world: World) -> None:
    management, place = world.sign_zone()
    (key,) = (key.dnskey for key in management.show(place).keys if key.state == ACTIVE)
    dnskeys = RRset(APEX, rt.DNSKEY, 300, (key.rdata,))
    signed = Zone(APEX, {APEX: {**PLAIN.names[APEX], rt.DNSKEY: dnskeys}})
    for at, previous, expected in (
        (NOW, PLAIN, NOW + 3600),
        (NOW + 7200, PLAIN, NOW + 10800),
        (NOW + 7300, signed, NOW + 10800),
    ):
        world.desk.note_signed(ENTRY, at, signed, previous)
        setting = management.show(place).setting
        assert setting is not None
        assert setting.ds_not_before == expected
