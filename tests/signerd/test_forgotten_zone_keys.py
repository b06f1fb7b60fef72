"""Private keys in memory when a zone is served no more."""

import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio

from pipeline_world import ORIGIN, FakeClock, PipelineWorld
from signerd.dns.zone import Zone
from signerd.dnssec.key import SigningKey
from signerd.signer.signing_keys import LocalSigningKey
from signerd.zones.fleet import FleetOptions, ZoneFleet
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.manifest import write_manifest
from signerd.zones.pipeline import PipelineParts, SignedVersion, ZonePipeline
from signerd.zones.publication import Publication
from signerd.zones.zone_list import ZoneEntry

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"


def hold_weakly(keys: Sequence[SigningKey]) -> list[weakref.ref[SigningKey]]:
    return [weakref.ref(key) for key in keys if isinstance(key, LocalSigningKey)]


def list_live(held: Sequence[weakref.ref[SigningKey]]) -> list[SigningKey]:
    gc.collect()
    return [key for ref in held if (key := ref()) is not None]


def test_the_keys_of_a_zone_leave_memory_with_it_and_come_back_with_it(tmp_path: Path) -> None:
    world = PipelineWorld(tmp_path)
    world.file.write_text(ZONE)
    assert world.pipeline.advance(read_file=True)
    policy = world.config.policies["default"]
    held = hold_weakly(world.workshop.get_keys(world.pipeline.entry, policy).signing_keys)
    assert len(list_live(held)) == 1
    world.workshop.forget_zone_keys(ORIGIN)
    assert list_live(held) == []
    world.file.write_text(f"{ZONE}www A 192.0.2.2\n")
    assert world.pipeline.advance(read_file=True)
    world.close()


class SlowCheck:
    """A validator whose check of the published version lasts until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = trio.Event(), threading.Event()

    def __call__(
        self, version: SignedVersion, previous: Zone | None, progress: Callable[[int, int], None]
    ) -> Sequence[str]:
        return ()

    def check_published(self, zone: Zone) -> Sequence[str]:
        trio.from_thread.run_sync(self.begun.set)
        assert self.go_on.wait(60)
        return ()


@pytest.fixture
def world(tmp_path: Path) -> PipelineWorld:
    made = PipelineWorld(tmp_path)
    made.file.write_text(ZONE)
    assert made.pipeline.advance(read_file=True)
    made.file.unlink()
    published = made.directory.parent
    write_manifest(published, [ORIGIN])
    return made


async def test_keys_are_dropped_when_a_zone_is_forgotten_and_again_after_a_check_under_way(
    world: PipelineWorld,
) -> None:
    check, ended = SlowCheck(), list[bool]()
    send, receive = trio.open_memory_channel[bool](10)

    def note_end(name: object) -> None:
        assert name == ORIGIN
        trio.from_thread.run_sync(send.send_nowait, check.go_on.is_set())

    def make_keeper(entry: ZoneEntry) -> ZoneKeeper:
        parts: PipelineParts = world.workshop.parts
        publication, signer = Publication(world.directory), world.workshop.make_signer(entry)
        serials = world.config.policies["default"].serial
        pipeline = ZonePipeline(entry, publication, signer, check, serials, parts)
        return ZoneKeeper(pipeline, FakeClock(), trio.CapacityLimiter(2), announce_version)

    async def announce_version(keeper: ZoneKeeper) -> None:
        raise AssertionError("nothing changed")

    async def announce(message: dict[str, object]) -> None:
        assert message == {"zones": True}

    options = FleetOptions(lambda: ({}, ()), "default", world.directory.parent, 3600, on_ended=note_end)
    fleet = ZoneFleet(options, make_keeper, announce)
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, fleet.prepare())
        with trio.fail_after(60):
            await check.begun.wait()
            await fleet.forget(ORIGIN)
            ended.append(await receive.receive())
            check.go_on.set()
            ended.append(await receive.receive())
        nursery.cancel_scope.cancel()
    assert ended == [False, True]
    world.close()
