"""Who manages DNSSEC tells how a zone stands at its parent, after each probe."""

from pathlib import Path

from deployment import Deployment, make_deployment
from signerd.delegation.delegation_state import Intent, Stray
from signerd.delegation.parent_view import ServerAnswer
from signerd.zone_dnssec.delegation_news import DelegationNews
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.attribution import NOBODY

STRANGER = bytes((0, 7, 13, 2)) + bytes(32)
Told = list[tuple[str, DelegationNews | None]]


def enable(deployment: Deployment, told: Told) -> tuple[DnssecManagement, ZonePlace]:
    management = DnssecManagement(
        deployment.store, deployment.kms, on_delegation=lambda zone, news: told.append((zone, news))
    )
    platform = deployment.platform
    zone = ZonePlace("dnsz-1", "example.com", platform.organisation, None)
    wish = Wish("nl-01", platform.region, None, lambda _: None, lambda: None)
    management.enable(zone, wish, NOBODY)
    return management, zone


def answer(deployment: Deployment, *ds: bytes) -> list[ServerAnswer]:
    return [ServerAnswer("192.0.2.1#53", deployment.clock.now(), frozenset(ds), 300 if ds else 0)]


def test_a_stray_ds_is_told_until_it_is_gone(tmp_path: Path) -> None:
    told: Told = []
    with make_deployment(tmp_path) as deployment:
        management, zone = enable(deployment, told)
        management.take_in(zone, answer(deployment, STRANGER))
        management.take_in(zone, answer(deployment))
    [(name, before), (_, after)] = told
    assert name == "example.com"
    assert before is not None
    assert after is not None
    [alarm] = before.state.alarms
    assert (alarm.ds, alarm.reason, alarm.breaks) == (STRANGER, Stray.UNKNOWN, True)
    assert before.intent is Intent.SIGNED
    assert not after.state.alarms


def test_nothing_is_wrong_with_a_zone_whose_parent_is_asked_no_more(tmp_path: Path) -> None:
    told: Told = []
    with make_deployment(tmp_path) as deployment:
        management, zone = enable(deployment, told)
        management.take_in(zone, answer(deployment, STRANGER))
        # the parent drops it, and nothing is in caches any more: the zone is unsigned and left alone
        management.disable(zone, NOBODY)
        deployment.clock.seconds += 1000
        management.take_in(zone, answer(deployment))
        deployment.clock.seconds += 1000
        management.take_in(zone, answer(deployment))
        status = management.show(zone)
    assert status.setting is not None
    assert not status.setting.state.is_served_signed
    assert [news and news.intent for _, news in told] == [Intent.SIGNED, Intent.UNSIGNED, None]
