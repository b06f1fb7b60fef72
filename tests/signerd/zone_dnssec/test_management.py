"""What the timetable of the keys has changed, what an owner did meanwhile, and who is told."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from deployment import Deployment
from dnssec_api import bring_key, bring_version
from platform_api import Json, object_of
from signerd.delegation.delegation_state import DelegationState, Stray
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dns_zones.tables import dns_zones
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.dnssec.ds import make_ds_set
from signerd.platform.described import Description
from signerd.platform.tables import audit_entries
from signerd.zone_dnssec.management import DnssecManagement, DnssecStatus, Order, Wish
from signerd.zone_dnssec.parent_servers import ParentServers
from signerd.zone_dnssec.settings import (
    ACTIVE,
    INCOMING,
    OUTGOING,
    RETIRED,
    DnssecSetting,
    DnssecState,
    ZoneKsk,
    ZonePlace,
    set_ksk_state,
)
from signerd_kms.attribution import NOBODY
from signerd_kms.key import Key, KeyIdentity, KeyType, Scope

HOUR = 3600
STRANGER = bytes((0, 7, 13, 2)) + bytes(32)
Told = list[tuple[str, DelegationState | None]]


class World:
    """A zone, and who was told what of it."""

    def __init__(self, deployment: Deployment, order: Order = Order.SIGN_FIRST) -> None:
        self.deployment = deployment
        self.changed: list[Name] = []
        self.told: Told = []
        self.management = DnssecManagement(
            deployment.store,
            deployment.kms,
            order,
            on_change=self.changed.append,
            on_delegation=lambda zone, state: self.told.append((zone, state)),
        )
        self.scope = Scope(deployment.platform.organisation, deployment.platform.region)
        made = deployment.store.change(
            NOBODY,
            lambda change: create_zone(
                change,
                ZoneScope(self.scope.organisation, None),
                "shop.example",
                Description("shop.example"),
                is_served=lambda _: False,
            ),
        )
        self.zone = ZonePlace(made.identity, "shop.example", self.scope.organisation, None)

    def enable(self, key: Key | ZoneKsk | None = None) -> DnssecStatus:
        """Turn DNSSEC on, or choose another key; None for the zone's own."""
        chosen = None if key is None else key.identity if isinstance(key, Key) else key.kms_key
        wish = Wish("nl-01", self.scope.region, chosen, lambda _: None, lambda: None)
        return self.management.enable(self.zone, wish, NOBODY)

    def disable(self) -> None:
        """Turn DNSSEC off."""
        self.management.disable(self.zone, NOBODY)

    def make_key(self, name: str) -> Key:
        return self.deployment.kms.create_key(self.scope, name, KeyType.ECDSA_P256, by=NOBODY)

    def rotate(self, key: str) -> Key:
        return self.deployment.kms.rotate(self.scope, KeyIdentity(key), by=NOBODY)

    @property
    def now(self) -> int:
        return self.deployment.clock.now()

    @property
    def setting(self) -> DnssecSetting:
        setting = self.management.find_setting(self.zone.text)
        assert setting is not None
        return setting

    @property
    def keys(self) -> dict[tuple[str, int], str]:
        """What becomes of each KSK, by KMS key and version."""
        return {(key.kms_key, key.kms_version): key.state for key in self.management.show(self.zone).keys}

    @property
    def data_version(self) -> int:
        """Of the zone: a change of it is a cause of a version."""
        query = select(dns_zones.c.data_version).where(dns_zones.c.identity == self.zone.identity)
        with self.deployment.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def answer(self, *ds: bytes) -> None:
        """Have the parent give a DS set, asked or not."""
        answer = ServerAnswer("192.0.2.1#53", self.now, frozenset(ds), 300 if ds else 0)
        self.management.take_in(self.zone, [answer])

    def probe(self, *ds: bytes) -> None:
        """Have the parent asked, which is done when it is due only."""
        assert self.management.list_due() == [self.zone]
        self.answer(*ds)

    def find_ds(self, state: str = ACTIVE) -> tuple[bytes, ...]:
        """Give the DS records of the one KSK of a state."""
        (key,) = (key for key in self.management.show(self.zone).keys if key.state == state)
        return make_ds_set(self.zone.apex, key.dnskey)

    def audited(self, action: str) -> list[Json]:
        """Give the details of what a job recorded about the zone."""
        with self.deployment.engine.connect() as connection:
            rows = connection.execute(
                select(audit_entries.c.record)
                .where(audit_entries.c.action == action)
                .order_by(audit_entries.c.sequence)
            ).scalars()
            records: list[Json] = [json.loads(record) for record in rows]
        contexts = [object_of(record, "context") for record in records]
        for record, context in zip(records, contexts, strict=True):
            assert (record["resource_type"], record["resource"]) == ("dns_zone", self.zone.identity)
            assert (context.pop("zone"), context.pop("via")) == ("shop.example", "dns-dnssec")
            assert context.pop("result") == "success"
        return contexts


@pytest.fixture
def world(deployment: Deployment) -> World:
    made = World(deployment)
    made.enable()
    made.changed.clear()
    return made


# What is decided


def test_what_was_decided_is_found_by_the_name_of_the_zone(world: World) -> None:
    setting = world.setting
    assert (setting.zone, setting.state, setting.enabled_at) == (world.zone, DnssecState.SIGNED, world.now)
    assert (setting.region_text, setting.region) == ("nl-01", world.scope.region)
    assert (setting.ds_not_before, setting.settles_at) == (None, None)
    assert world.management.find_setting("unknown.example") is None


def test_a_zone_has_a_key_of_its_own_or_one_that_its_owner_named(world: World) -> None:
    assert not world.setting.is_key_named
    world.enable(world.make_key("another"))
    assert world.setting.is_key_named


# When something is due


def test_moments_are_noted_and_the_parent_is_asked_no_later(world: World) -> None:
    world.probe(*world.find_ds())
    assert world.setting.next_probe_at == world.now + HOUR
    moment, later = world.now + 60, world.now + 90
    world.management.note_moments(world.setting, moment, later)
    setting = world.setting
    assert (setting.ds_not_before, setting.settles_at, setting.next_probe_at) == (moment, later, moment)
    world.deployment.clock.seconds = moment
    world.probe(*world.find_ds())
    assert world.setting.next_probe_at == later
    world.management.note_moments(world.setting, moment, later + 9)
    assert world.setting.next_probe_at == later, "a probe that is due sooner is not put off"
    world.deployment.clock.seconds = later
    world.probe(*world.find_ds())
    assert world.setting.next_probe_at == later + 9
    world.management.note_moments(world.setting, None, None)
    setting = world.setting
    assert (setting.ds_not_before, setting.settles_at, setting.next_probe_at) == (None, None, later + 9)
    assert world.changed == [], "the timetable knows it"


@pytest.mark.parametrize("moments", [(-5, None), (None, -5), (0, None), (None, None)])
def test_a_moment_of_the_past_has_nobody_asked_sooner(
    world: World, moments: tuple[int | None, int | None]
) -> None:
    world.probe(*world.find_ds())
    first, second = (None if wait is None else world.now + wait for wait in moments)
    world.management.note_moments(world.setting, first, second)
    setting = world.setting
    assert (setting.ds_not_before, setting.settles_at) == (first, second)
    assert setting.next_probe_at == world.now + HOUR


def test_the_parent_is_asked_for_a_moment_between_two_probes_and_once(world: World) -> None:
    moment = world.now + HOUR - 30
    world.management.note_moments(world.setting, moment, None)
    world.probe()
    while (following := world.setting.next_probe_at) != moment:
        assert following is not None
        assert following < moment
        world.deployment.clock.seconds = following
        world.probe()
    world.deployment.clock.seconds = moment + 2  # nobody comes to the second
    world.probe()
    assert world.setting.next_probe_at == moment + 2 + 60


def test_a_probe_on_command_does_not_move_the_moments(world: World) -> None:
    moment = world.now + 30
    world.management.note_moments(world.setting, moment, moment + 7)
    world.probe()
    world.deployment.clock.seconds += 5
    ParentServers(world.deployment.store).ask_again(world.zone, NOBODY)
    world.probe()
    setting = world.setting
    assert (setting.ds_not_before, setting.settles_at, setting.next_probe_at) == (moment, moment + 7, moment)


@pytest.mark.parametrize("choice", ["another key", "off", "off and on", "handed out"])
def test_moments_of_another_choice_say_nothing(world: World, choice: str) -> None:
    old = world.setting
    world.deployment.clock.seconds += 1
    if choice == "another key":
        world.enable(world.make_key("another"))
    elif choice == "handed out":
        world.management.hand_out(old, bring_key(world.deployment, world.zone, "next").id)
    else:
        world.disable()
        if choice == "off and on":
            world.enable()
    current = world.setting
    assert current.settles_at is None
    world.management.note_moments(old, world.now + 60, world.now + 90)
    assert world.setting == current


def test_a_zone_of_whose_parent_nobody_asks_stays_unasked(world: World) -> None:
    world.disable()
    world.management.end(world.setting)
    world.management.note_moments(world.setting, world.now + 60, None)
    assert world.setting.next_probe_at is None
    assert world.management.list_due() == []


def test_nothing_is_noted_of_a_zone_that_was_deleted_and_made_again(world: World) -> None:
    current = world.setting
    former = replace(current, zone=replace(current.zone, identity="dnsz-former"))
    world.management.note_moments(former, world.now + 60, world.now + 90)
    world.management.hand_out(former, bring_key(world.deployment, world.zone, "next").id)
    world.management.end(former)
    assert world.setting == current
    assert sorted(world.keys.values()) == [ACTIVE, INCOMING]


def test_the_moment_of_the_ds_stays_with_the_key(world: World) -> None:
    moment = world.now + HOUR
    world.management.note_moments(world.setting, moment, world.now + 90)
    world.disable()
    assert (world.setting.ds_not_before, world.setting.settles_at) == (moment, None)
    world.enable()
    assert (world.setting.ds_not_before, world.setting.settles_at) == (moment, None)
    world.enable(world.make_key("another"))
    assert world.setting.ds_not_before is None


# Another KSK


def test_a_key_of_the_timetable_takes_the_place_of_the_current_one(world: World) -> None:
    world.probe(*world.find_ds())
    world.management.note_moments(world.setting, world.now, world.now + 90)
    first, version = world.setting.kms_key, world.data_version
    key = bring_key(world.deployment, world.zone, "next")
    assert world.keys == {(first, 1): ACTIVE, (key.kms_key, 1): INCOMING}
    old = world.find_ds()
    world.deployment.clock.seconds += 5
    world.management.hand_out(world.setting, key.id)
    setting = world.setting
    assert world.keys == {(first, 1): OUTGOING, (key.kms_key, 1): ACTIVE}
    assert (setting.kms_key, setting.is_key_named, setting.is_delegated) == (key.kms_key, False, False)
    assert (setting.ds_not_before, setting.settles_at) == (None, None)
    assert world.management.list_due() == [world.zone], "at the next look"
    assert world.audited("dns.dnssec.rollover") == [{"kmsKey": key.kms_key, "keyTag": key.dnskey.key_tag}]
    assert (world.data_version, world.changed) == (version, [])
    world.probe(*old)
    assert world.told[-1][1] == DelegationState(False, tuple(sorted(world.find_ds())), (), ())
    world.answer(*old, *world.find_ds())
    assert world.told[-1][1] == DelegationState(True, (), tuple(sorted(old)), ())


def test_a_key_of_before_can_be_handed_out_again(world: World) -> None:
    (first,) = world.management.show(world.zone).keys
    second = bring_key(world.deployment, world.zone, "next")
    for key in (second, first):
        world.management.hand_out(world.setting, key.id)
    assert world.keys == {(first.kms_key, 1): ACTIVE, (second.kms_key, 1): OUTGOING}
    assert world.setting.kms_key == first.kms_key
    assert len(world.audited("dns.dnssec.rollover")) == 2


def test_a_new_version_of_the_same_key_is_handed_out_too(world: World) -> None:
    first = world.setting.kms_key
    world.management.note_moments(world.setting, world.now, None)
    key = bring_version(world.deployment, world.zone, world.rotate(first))
    world.management.hand_out(world.setting, key.id)
    assert world.keys == {(first, 1): OUTGOING, (first, 2): ACTIVE}
    assert (world.setting.kms_key, world.setting.ds_not_before) == (first, None)
    assert world.find_ds() == make_ds_set(world.zone.apex, key.dnskey)


def test_what_is_handed_out_already_or_gone_or_not_wanted_changes_nothing(world: World) -> None:
    (current,) = world.management.show(world.zone).keys
    setting = world.setting
    for key in (current.id, "ksk-unknown"):
        world.management.hand_out(setting, key)
    assert world.setting == setting
    incoming = bring_key(world.deployment, world.zone, "next")
    world.disable()
    off, keys = world.setting, world.keys
    world.management.hand_out(setting, incoming.id)
    assert (world.setting, world.keys) == (off, keys)
    assert world.audited("dns.dnssec.rollover") == []


@pytest.mark.parametrize("is_outgoing", [False, True])
def test_the_ds_of_a_key_that_comes_or_goes_is_no_alarm(world: World, is_outgoing: bool) -> None:
    key = bring_key(world.deployment, world.zone, "next")
    state = OUTGOING if is_outgoing else INCOMING
    with world.deployment.engine.begin() as connection:
        set_ksk_state(connection, key.id, state)
    world.probe(*world.find_ds(state))
    told = world.told[-1][1]
    assert told == DelegationState(False, tuple(sorted(world.find_ds())), (), ())


def test_that_a_key_is_given_up_is_recorded(world: World) -> None:
    key = bring_key(world.deployment, world.zone, "next")
    before = world.setting, world.keys, world.data_version
    world.management.note_retired(world.setting, key.dnskey)
    assert world.audited("dns.dnssec.retire") == [{"keyTag": key.dnskey.key_tag}]
    assert (world.setting, world.keys, world.data_version) == before, "who gives it up changes the row"


@pytest.mark.parametrize("state", [INCOMING, OUTGOING, RETIRED])
def test_the_version_whose_ds_was_handed_out_stays_when_its_key_is_chosen_again(
    world: World, state: str
) -> None:
    first, ds = world.setting.kms_key, world.find_ds()
    key = bring_version(world.deployment, world.zone, world.rotate(first))
    with world.deployment.engine.begin() as connection:
        set_ksk_state(connection, key.id, state)
    world.disable()
    world.enable()
    assert world.setting.kms_key == first
    assert world.find_ds() == ds
    assert world.keys[(first, 1)] == ACTIVE
    assert world.keys[(first, 2)] == (RETIRED if state == RETIRED else OUTGOING)


# Turned on again without a key


def test_the_zone_gets_its_own_key_back_that_a_rollover_has_numbered(world: World) -> None:
    first = world.setting.kms_key
    second = bring_key(world.deployment, world.zone, "DNSSEC shop.example 2")
    world.management.hand_out(world.setting, second.id)
    world.disable()
    world.management.end(world.setting)
    world.enable()
    assert world.setting.kms_key == second.kms_key != first
    assert not world.setting.is_key_named
    assert world.find_ds() == make_ds_set(world.zone.apex, second.dnskey)
    assert world.keys[(first, 1)] == RETIRED


def test_an_own_key_that_cannot_sign_any_more_does_not_come_back(world: World) -> None:
    first = world.setting.kms_key
    second = bring_key(world.deployment, world.zone, "DNSSEC shop.example 2")
    world.management.hand_out(world.setting, second.id)
    world.disable()
    world.deployment.kms.disable(world.scope, KeyIdentity(second.kms_key), by=NOBODY)
    world.enable()
    assert world.setting.kms_key == first, "the usable key of the zone's name"


def test_a_key_that_was_named_is_not_taken_for_the_zones_own(world: World) -> None:
    own = world.setting.kms_key
    named = world.make_key("named")
    world.enable(named)
    world.disable()
    world.enable()
    assert world.setting.kms_key == own != named.identity
    assert not world.setting.is_key_named


# Turned off


def test_a_zone_that_was_turned_off_is_unsigned_once_the_timetable_says_so(world: World) -> None:
    world.probe(*world.find_ds())
    world.disable()
    assert world.setting.next_probe_at == world.now
    world.management.note_moments(world.setting, None, world.now + 90)
    for wait in (60, 10 * HOUR):
        world.deployment.clock.seconds += wait
        world.answer()
        assert world.setting.state is DnssecState.UNSIGNING, "what parents say is not enough"
    version = world.data_version
    world.changed.clear()
    world.management.end(world.setting)
    setting = world.setting
    assert setting.state is DnssecState.OFF
    assert not world.management.is_served_signed(world.zone.text)
    assert (setting.is_delegated, setting.next_probe_at) == (False, None)
    assert (setting.ds_not_before, setting.settles_at) == (None, None)
    assert world.told[-1] == ("shop.example", None)
    assert world.data_version == version + 1
    assert world.audited("dns.dnssec.unsign") == [{}]
    told = len(world.told)
    world.management.end(setting)
    assert (len(world.told), len(world.audited("dns.dnssec.unsign"))) == (told, 1)
    assert world.changed == []


def test_a_zone_that_was_turned_on_again_meanwhile_stays_signed(world: World) -> None:
    world.disable()
    off = world.setting
    world.enable()
    current, told, version = world.setting, list(world.told), world.data_version
    world.management.end(off)
    assert (world.setting, world.told, world.data_version) == (current, told, version)
    assert world.audited("dns.dnssec.unsign") == []


# Who is told what the parent says


def test_a_stray_ds_is_told_until_it_is_gone(world: World) -> None:
    world.probe(STRANGER)
    world.answer()
    [(name, before), (_, after)] = world.told
    assert name == "shop.example"
    assert before is not None
    assert after is not None
    [alarm] = before.alarms
    assert (alarm.ds, alarm.reason, alarm.breaks) == (STRANGER, Stray.UNKNOWN, True)
    assert not after.alarms
    assert world.changed == []


def test_nothing_is_told_of_a_zone_whose_parent_is_asked_no_more(world: World) -> None:
    world.probe(STRANGER)
    world.disable()
    world.answer()
    world.management.end(world.setting)
    world.answer(STRANGER)  # the answer to a question of before
    assert [state and state.alarms != () for _, state in world.told] == [True, False, None, None]
    assert world.setting.next_probe_at is None


def test_the_pipeline_is_told_when_an_awaited_ds_is_there(deployment: Deployment) -> None:
    world = World(deployment, Order.VENDOR)
    world.enable()
    world.changed.clear()
    world.probe()
    assert world.changed == []
    world.answer(*world.find_ds())
    assert world.changed == [world.zone.apex]
    world.answer()
    world.answer(*world.find_ds())
    assert world.changed == [world.zone.apex]
    assert world.setting.state is DnssecState.SIGNED


def test_a_zone_that_is_turned_off_before_its_ds_came_is_off_at_once(deployment: Deployment) -> None:
    world = World(deployment, Order.VENDOR)
    world.enable()
    world.disable()
    assert (world.setting.state, world.setting.next_probe_at) == (DnssecState.OFF, None)
    assert world.told == [("shop.example", None)]
    world.management.end(world.setting)
    assert world.audited("dns.dnssec.unsign") == []
