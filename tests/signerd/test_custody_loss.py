"""A zone whose KMS is sealed, or whose key is disabled, for as long as the runway."""

from pathlib import Path

from pipeline_world import PipelineWorld
from signerd.dnssec.expiration import find_runway
from signerd.validator.zone_validation import validate
from signerd_kms.attribution import NOBODY
from signerd_kms.key import Scope

DAY = 86_400
ZONE_FILE = """$TTL 300
@ SOA ns hostmaster 1 3600 900 3600 300
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
"""
POLICY = "signature_validity: 14d, refresh_margin: 7d"


def make_world(folder: Path) -> PipelineWorld:
    world = PipelineWorld(folder, policy=POLICY)
    world.file.write_text(ZONE_FILE)
    assert world.pipeline.advance(read_file=True)
    return world


def live_through(world: PipelineWorld, days: int) -> None:
    """Go through days in steps of six hours, as the keeper of the zone would at least."""
    for _ in range(days * 4):
        world.clock.pass_time(DAY // 4)
        world.workshop.mark_clock()
        world.pipeline.advance(read_file=False)
        published = world.pipeline.state.published
        assert published is not None
        runway = find_runway(published, world.clock.now())
        assert runway is not None
        assert runway > 6 * DAY  # refreshed in time, as with the KMS
    published = world.pipeline.state.published
    assert published is not None
    ds = world.list_ds()
    report = validate(published, ds=ds, now=world.clock.now())
    assert [str(finding) for finding in report.findings] == []


def test_the_zone_never_expires_while_the_kms_is_sealed_for_14_days(tmp_path: Path) -> None:
    world = make_world(tmp_path / "state")
    live_through(world, 6)  # the worst moment: right before a refresh
    world.custody.kms.seal()
    live_through(world, 15)
    world.close()


def test_the_zone_never_expires_while_its_key_is_disabled_and_recovers(tmp_path: Path) -> None:
    world = make_world(tmp_path / "state")
    live_through(world, 6)
    custody = world.custody
    scope = Scope(custody.platform.organisation, custody.platform.region)
    (key,) = custody.kms.list_keys(scope)
    custody.kms.disable(scope, key.identity, by=NOBODY)
    live_through(world, 15)
    custody.kms.enable(scope, key.identity, by=NOBODY)
    live_through(world, 30)
    world.close()


def test_a_restart_while_the_key_is_disabled_costs_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path / "state")
    custody = world.custody
    scope = Scope(custody.platform.organisation, custody.platform.region)
    (key,) = custody.kms.list_keys(scope)
    custody.kms.disable(scope, key.identity, by=NOBODY)
    world.restart()
    live_through(world, 15)
    world.close()
