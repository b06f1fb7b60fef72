"""From when CDS and CDNSKEY of a zone of the API ask for the DS of a new key, and who is woken then."""

from collections.abc import Sequence

import pytest

from deployment import Deployment
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.dnssec.announcement import Announcement
from signerd.dnssec.ds import make_ds_set
from signerd.platform.described import Description
from signerd.zone_dnssec.management import DnssecManagement, Order, Wish
from signerd.zone_dnssec.parent_servers import ParentServers
from signerd.zone_dnssec.settings import DnssecSetting, ZonePlace
from signerd_kms.attribution import NOBODY

HOUR = 3600


class World:
    """A zone that was just turned on, and who was told of its changes."""

    def __init__(self, deployment: Deployment, order: Order = Order.SIGN_FIRST) -> None:
        self.deployment = deployment
        self.changed: list[Name] = []
        self.management = self.restart(order)
        scope = ZoneScope(deployment.platform.organisation, None)
        made = deployment.store.change(
            NOBODY,
            lambda change: create_zone(
                change, scope, "shop.example", Description("shop.example"), is_served=lambda _: False
            ),
        )
        self.zone = ZonePlace(made.identity, "shop.example", scope.organisation, None)
        self.wish = Wish("nl-01", deployment.platform.region, None, lambda _: None, lambda: None)
        self.management.enable(self.zone, self.wish, NOBODY)
        self.changed.clear()

    def restart(self, order: Order = Order.SIGN_FIRST) -> DnssecManagement:
        deployment = self.deployment
        self.management = DnssecManagement(
            deployment.store, deployment.kms, order, on_change=self.changed.append
        )
        return self.management

    @property
    def now(self) -> int:
        return self.deployment.clock.now()

    @property
    def setting(self) -> DnssecSetting:
        setting = self.management.show(self.zone).setting
        assert setting is not None
        return setting

    def find_announcement(self) -> Announcement:
        return self.management.find_announcement(self.zone.text)

    def sign(self, wait: int = HOUR) -> int:
        moment = self.now + wait
        self.management.note_signed(self.zone.text, self.now, lambda _: moment)
        return moment

    def probe(self, ds: Sequence[bytes] = ()) -> None:
        """Have the parent asked, which is done when it is due only."""
        assert self.management.list_due() == [self.zone]
        answer = ServerAnswer("192.0.2.1#53", self.now, frozenset(ds), 300 if ds else 0)
        self.management.take_in(self.zone, [answer])


@pytest.fixture
def world(deployment: Deployment) -> World:
    return World(deployment)


def test_the_key_is_announced_from_when_its_ds_may_be_at_the_parent(world: World) -> None:
    assert world.find_announcement() is Announcement.AS_BEFORE, "no version has the key"
    moment = world.sign()
    world.deployment.clock.seconds = moment - 1
    assert world.find_announcement() is Announcement.AS_BEFORE
    world.deployment.clock.seconds = moment
    assert world.find_announcement() is Announcement.CURRENT


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_zone_is_woken_once_when_its_key_is_to_be_announced(world: World, is_restarted: bool) -> None:
    moment = world.sign(HOUR - 30)  # between two probes
    world.probe()
    while (following := world.setting.next_probe_at) != moment:
        assert following is not None
        assert following < moment
        world.deployment.clock.seconds = following
        world.probe()
    assert world.changed == []
    if is_restarted:
        world.restart()
    world.deployment.clock.seconds = moment + 2  # nobody comes to the second
    world.probe()
    assert world.changed == [world.zone.apex]
    world.deployment.clock.seconds = world.setting.next_probe_at or 0
    world.probe()
    assert world.changed == [world.zone.apex]


def test_the_zone_is_woken_though_its_parent_is_next_asked_much_later(world: World) -> None:
    (key,) = world.management.show(world.zone).keys
    world.probe(make_ds_set(world.zone.apex, key.dnskey))
    assert (world.setting.next_probe_at or 0) > world.now + 60
    moment = world.sign(60)
    assert world.setting.next_probe_at == moment
    world.management.delay_ds(world.zone.text, moment + 90)
    assert (world.setting.ds_not_before, world.setting.next_probe_at) == (moment + 90, moment)


def test_a_publication_that_takes_longer_than_the_wait_has_the_zone_woken_again(world: World) -> None:
    moment = world.sign(60)
    world.deployment.clock.seconds = moment
    world.probe()
    world.management.delay_ds(world.zone.text, moment + 20)
    assert world.find_announcement() is Announcement.AS_BEFORE
    assert world.setting.next_probe_at == moment + 20
    world.changed.clear()
    world.deployment.clock.seconds = moment + 20
    world.probe()
    assert world.changed == [world.zone.apex]


def test_a_probe_on_command_does_not_keep_the_zone_from_being_woken(world: World) -> None:
    moment = world.sign(30)
    world.probe()
    world.deployment.clock.seconds = moment + 5
    ParentServers(world.deployment.store).ask_again(world.zone, NOBODY)
    world.probe()
    assert world.changed == [world.zone.apex]


def test_a_zone_that_is_turned_off_asks_for_the_removal_whatever_the_time(world: World) -> None:
    moment = world.sign()
    world.management.disable(world.zone, NOBODY)
    assert world.find_announcement() is Announcement.REMOVAL
    world.management.enable(world.zone, world.wish, NOBODY)
    assert world.find_announcement() is Announcement.AS_BEFORE
    assert world.setting.ds_not_before == moment
    assert world.management.find_announcement("unknown.example") is Announcement.REMOVAL
