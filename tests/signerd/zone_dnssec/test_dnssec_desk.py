"""What joins DNSSEC of zones of the API to their pipelines, with the database and without."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from key_world import StandingClock
from signerd.config.options import Config
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.dns.name import Name, parse_name
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.dnssec_desk import DnssecDesk
from signerd.platform.described import Description
from signerd.platform.tables import audit_entries
from signerd.signer.zone_key_store import ZoneKeyStore
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.settings import ACTIVE, INCOMING, OUTGOING, DnssecState, ZonePlace
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import Source, ZoneEntry
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyType, Scope

APEX = parse_name("shop.example.")
NOW = StandingClock().now()
ENTRY = ZoneEntry(APEX, None, source=Source.API, identity="dnsz-1")
FILE = ZoneEntry(APEX, Path("/zones/shop.example.zone"))


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
    assert world.desk.find_management() is None
    assert world.desk.is_signed(FILE)
    with pytest.raises(SigningImpossible, match=r"shop\.example"):
        world.desk.is_signed(ENTRY)
    with pytest.raises(CustodyUnavailable):
        world.desk.find(ENTRY)


def test_what_cannot_be_noted_keeps_no_zone_from_being_signed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.desk.note_signed(ENTRY, NOW)
    world.desk.note_failed(ENTRY, "no key", None)
    assert caplog.text.count("is not noted") == 2


def test_the_pipelines_are_told_what_was_decided(world: World) -> None:
    management, place = world.sign_zone()
    assert world.desk.find_management() is not None
    assert world.changed == [APEX]
    assert world.desk.is_signed(ENTRY)
    management.disable(place, NOBODY)
    assert world.desk.is_signed(ENTRY), "until the DS is gone"
    setting = management.find_setting(place.text)
    assert setting is not None
    world.desk.end(setting)
    assert not world.desk.is_signed(ENTRY)


def test_failures_and_successes_are_told_in_the_status(world: World) -> None:
    management, place = world.sign_zone()
    world.desk.note_failed(ENTRY, "the key is away", NOW + 60)
    error = management.show(place).sign_error
    assert error is not None
    assert (error.reason, error.since, error.signatures_until) == ("the key is away", NOW, NOW + 60)
    world.desk.note_signed(ENTRY, NOW + 5)
    assert management.show(place).sign_error is None


def test_the_timetable_is_told_what_was_decided_about_its_own_zone(world: World) -> None:
    _, place = world.sign_zone()
    setting = world.desk.find(replace(ENTRY, identity=place.identity))
    assert setting is not None
    assert (setting.zone, setting.state) == (place, DnssecState.SIGNED)
    assert world.desk.find(replace(ENTRY, identity="dnsz-other")) is None
    assert world.desk.find(replace(ENTRY, name=parse_name("other.example."))) is None


def test_what_the_timetable_finds_out_is_kept(world: World) -> None:
    management, place = world.sign_zone()
    entry = replace(ENTRY, identity=place.identity)
    setting = world.desk.find(entry)
    assert setting is not None
    world.desk.note_moments(setting, NOW + 3600, NOW + 7200)
    noted = world.desk.find(entry)
    assert noted is not None
    assert noted == replace(setting, ds_not_before=NOW + 3600, settles_at=NOW + 7200)
    custody = world.holder.custody
    scope = Scope(place.organisation, custody.platform.region)
    key = custody.kms.create_key(scope, "next", KeyType.ECDSA_P256, by=NOBODY)
    ZoneKeyStore(custody.engine, custody.kms, scope, StandingClock()).store_kms_key(
        APEX, "ksk", key, state=INCOMING
    )
    (brought,) = (known for known in management.show(place).keys if known.state == INCOMING)
    world.desk.hand_out(noted, brought.id)
    states = {known.kms_key: known.state for known in management.show(place).keys}
    assert states == {setting.kms_key: OUTGOING, key.identity: ACTIVE}
    world.desk.note_retired(noted, brought.dnskey)
    with custody.engine.connect() as connection:
        actions = connection.execute(
            select(audit_entries.c.action).order_by(audit_entries.c.sequence.desc()).limit(2)
        ).scalars()
        assert list(actions) == ["dns.dnssec.retire", "dns.dnssec.rollover"]
