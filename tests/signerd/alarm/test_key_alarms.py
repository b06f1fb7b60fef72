"""Keys of zones that cannot be used, found in the tables."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import update

from deployment import Deployment, make_deployment
from signerd.alarm.key_alarms import find_key_alarms
from signerd.store.zone_tables import zone_signing_keys as zone_keys
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyIdentity, Scope


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


def enable(deployment: Deployment, name: str) -> KeyIdentity:
    """Sign a zone, and give its KMS key."""
    platform = deployment.platform
    zone = ZonePlace(f"dnsz-{name}", name, platform.organisation, None)
    wish = Wish("nl-01", platform.region, None, lambda _: None, lambda: None)
    status = DnssecManagement(deployment.store, deployment.kms).enable(zone, wish, NOBODY)
    assert status.setting is not None
    return KeyIdentity(status.setting.kms_key)


def texts(deployment: Deployment) -> dict[str, str]:
    with deployment.store.read() as connection:
        return {zone: alarm.text for zone, alarm in find_key_alarms(connection).items()}


def test_keys_that_are_disabled_or_going_or_gone_are_found_and_others_not(deployment: Deployment) -> None:
    platform = deployment.platform
    scope = Scope(platform.organisation, platform.region)
    off, going, gone, _ = (enable(deployment, f"{name}.test") for name in ("off", "going", "gone", "good"))
    assert texts(deployment) == {}
    deployment.kms.disable(scope, off, by=NOBODY)
    deployment.kms.schedule_deletion(scope, going, by=NOBODY)
    missing = "kms-" + "0" * 20
    with deployment.engine.begin() as connection:  # as after a database was put back
        connection.execute(
            update(zone_keys).where(zone_keys.c.kms_key_identity == gone).values(kms_key_identity=missing)
        )
    found = texts(deployment)
    assert set(found) == {"off.test", "going.test", "gone.test"}
    assert f"the KMS key {off}, which is disabled:" in found["off.test"]
    assert f"the KMS key {going}, which is pending deletion:" in found["going.test"]
    assert f"the KMS key {missing}, which is gone:" in found["gone.test"]
    deployment.kms.enable(scope, off, by=NOBODY)
    assert "off.test" not in texts(deployment)
