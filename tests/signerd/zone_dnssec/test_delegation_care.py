"""The job that asks the parents of zones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from deployment import Deployment
from signerd.delegation.parent_probe import ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.delegation.probe_pool import ProbePool
from signerd.dns.name import Name
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.platform.described import Description
from signerd.zone_dnssec.delegation_care import DelegationCare
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import StoreUnavailable


@dataclass
class NotedProbe:
    """Finds no DS anywhere; notes whom it was asked for.

    Attributes:
        lost: Zones whose parent is not found.
    """

    asked: list[Name] = field(default_factory=list[Name])
    lost: set[Name] = field(default_factory=set[Name])

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        self.asked.append(zone)
        if zone in self.lost:
            raise ParentNotFound("no resolver answers")
        return [ServerAnswer("192.0.2.1#53", 1_800_000_000, frozenset())]


@dataclass
class CrowdedProbe:
    """Answers nobody before the event; counts who waits."""

    limit: int
    waiting: int = 0
    full: trio.Event = field(default_factory=trio.Event)
    release: trio.Event = field(default_factory=trio.Event)

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        self.waiting += 1
        if self.waiting == self.limit:
            self.full.set()
        await self.release.wait()
        return []


class ForgetfulManagement(DnssecManagement):
    """Cannot store what one zone's parent said."""

    def take_in(self, zone: ZonePlace, answers: Sequence[ServerAnswer], problem: str | None = None) -> None:
        if zone.text == "a.example":
            raise StoreUnavailable("the disk is full")
        super().take_in(zone, answers, problem)


def sign_zone(deployment: Deployment, management: DnssecManagement, text: str) -> ZonePlace:
    """Make a zone and turn DNSSEC on."""
    scope = ZoneScope(deployment.platform.organisation, None)
    made = deployment.store.change(
        NOBODY,
        lambda change: create_zone(change, scope, text, Description(text), is_served=lambda _: False),
    )
    zone = ZonePlace(made.identity, text, scope.organisation, None)
    region = deployment.platform.region
    management.enable(zone, Wish("nl-01", region, None, lambda _: None, lambda: None), NOBODY)
    return zone


@pytest.fixture
def management(deployment: Deployment) -> DnssecManagement:
    return DnssecManagement(deployment.store, deployment.kms)


async def test_parents_that_are_due_are_asked_once(
    deployment: Deployment, management: DnssecManagement
) -> None:
    zone = sign_zone(deployment, management, "a.example")
    probe = NotedProbe()
    care = DelegationCare(lambda: management, probe, 1)
    await care.look()
    await care.look()
    assert probe.asked == [zone.apex]
    status = management.show(zone)
    assert status.setting is not None
    assert [answer.server for answer in status.setting.view.answers] == ["192.0.2.1#53"]
    deployment.clock.seconds = status.setting.next_probe_at or 0
    await care.look()
    assert probe.asked == [zone.apex, zone.apex]


async def test_a_parent_that_is_not_found_is_told_and_asked_for_again(
    deployment: Deployment, management: DnssecManagement
) -> None:
    zone = sign_zone(deployment, management, "a.example")
    other = sign_zone(deployment, management, "b.example")
    await DelegationCare(lambda: management, NotedProbe(lost={zone.apex}), 1).look()
    setting = management.show(zone).setting
    assert setting is not None
    assert setting.view.problem == "no resolver answers"
    assert setting.next_probe_at is not None
    assert setting.next_probe_at > deployment.clock.now()
    healthy = management.show(other).setting
    assert healthy is not None
    assert healthy.view.problem is None


async def test_what_is_not_stored_of_one_zone_keeps_no_other_back(
    deployment: Deployment, management: DnssecManagement, caplog: pytest.LogCaptureFixture
) -> None:
    first = sign_zone(deployment, management, "a.example")
    second = sign_zone(deployment, management, "b.example")
    broken = ForgetfulManagement(deployment.store, deployment.kms)
    probe = NotedProbe()
    care = DelegationCare(lambda: broken, probe, 1)
    await care.look()
    assert "the disk is full" in caplog.text
    await care.look()
    assert sorted(probe.asked) == sorted([first.apex, first.apex, second.apex]), "it is tried again"


async def test_nobody_is_asked_while_the_database_is_closed() -> None:
    probe = NotedProbe()
    await DelegationCare(lambda: None, probe, 1).look()
    assert probe.asked == []


async def test_no_more_than_sixteen_parents_are_asked_at_a_time(
    deployment: Deployment, management: DnssecManagement
) -> None:
    for number in range(18):
        sign_zone(deployment, management, f"zone-{number}.example")
    probe = CrowdedProbe(16)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(DelegationCare(lambda: management, ProbePool(probe), 1).look)
        await probe.full.wait()
        await wait_all_tasks_blocked()
        assert probe.waiting == 16
        probe.release.set()
    assert probe.waiting == 18


@dataclass
class HangingProbe(NotedProbe):
    """Never answers for one zone."""

    hanging: Name = Name(b"")  # noqa: RUF009  # bytes
    heard: trio.Event = field(default_factory=trio.Event)

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        answers = await super().ask(zone)
        if zone == self.hanging:
            await trio.sleep_forever()
        if self.asked.count(zone) == 3:
            self.heard.set()
        return answers


async def test_a_zone_is_asked_for_again_while_another_one_is_waited_for(
    deployment: Deployment, management: DnssecManagement
) -> None:
    slow = sign_zone(deployment, management, "slow.example")
    quick = sign_zone(deployment, management, "quick.example")
    probe = HangingProbe(hanging=slow.apex)
    care = DelegationCare(lambda: management, probe, 0.01)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(care.run)
        with trio.fail_after(60):
            while not probe.heard.is_set():
                deployment.clock.seconds += 3600  # the next probe is due
                await trio.sleep(0.01)
        assert probe.asked.count(slow.apex) == 1
        nursery.cancel_scope.cancel()
    assert probe.asked.count(quick.apex) >= 3


async def test_rounds_follow_each_other(deployment: Deployment, management: DnssecManagement) -> None:
    zone = sign_zone(deployment, management, "a.example")
    probe = CrowdedProbe(2)
    probe.release.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(DelegationCare(lambda: management, probe, 0.01).run)
        while not probe.full.is_set():
            deployment.clock.seconds += 3600  # the next probe is due
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert management.show(zone).setting is not None
