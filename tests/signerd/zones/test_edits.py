"""Changes handed over as edits: published at once, put together, and never lost while the process lives."""

import threading
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest
import trio
import trio.testing

from pipeline_world import ORIGIN, Faults, PipelineWorld
from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.pipeline import SigningImpossible, Stage
from signerd.zones.zone_edit import BadEdit, ZoneEdit, apply_edit, check_edit

TEXT = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n"


@pytest.fixture
def world(tmp_path: Path) -> Generator[PipelineWorld]:
    made = PipelineWorld(tmp_path / "world")
    made.file.write_text(TEXT)
    assert made.pipeline.advance(read_file=True)
    yield made
    made.close()


def make_edit(owner: str, *numbers: int) -> ZoneEdit:
    name = parse_name(owner, ORIGIN)
    addresses = tuple(bytes((192, 0, 2, number)) for number in numbers)
    return {name: {rt.A: RRset(name, rt.A, 300, addresses)} if numbers else {}}


def get_addresses(zone: Zone | None, owner: str) -> list[int]:
    assert zone is not None
    types: Mapping[int, RRset] = zone.names.get(parse_name(owner, ORIGIN), {})
    return [rdata[3] for rdata in types[rt.A].rdatas] if rt.A in types else []


def count_new_signatures(world: PipelineWorld, before: Zone | None) -> int:
    new = world.pipeline.state.published
    assert before is not None
    assert new is not None
    old = {signature for rrset in before.iterate_rrsets() for signature in rrset.signatures}
    return sum(signature not in old for rrset in new.iterate_rrsets() for signature in rrset.signatures)


def test_an_edit_is_published_with_few_new_signatures(world: PipelineWorld) -> None:
    before = world.pipeline.state.published
    assert world.pipeline.advance(read_file=False, edit=make_edit("www", 7))
    assert get_addresses(world.pipeline.state.published, "www") == [7]
    assert count_new_signatures(world, before) == 2, "the address and the SOA"


def test_an_edit_is_published_while_somebody_else_writes_the_database(world: PipelineWorld) -> None:
    with world.custody.engine.begin():  # holds the lock that writers wait for, and fail in the end
        assert world.pipeline.advance(read_file=False, edit=make_edit("www", 9))
    assert get_addresses(world.pipeline.state.published, "www") == [9]


def test_an_edit_that_says_what_is_there_already_publishes_nothing(world: PipelineWorld) -> None:
    assert not world.pipeline.advance(read_file=False, edit=make_edit("www", 2))


def test_the_first_edit_after_a_restart_keeps_the_signatures(world: PipelineWorld) -> None:
    world.restart()
    before = world.pipeline.state.published
    assert world.pipeline.advance(read_file=False, edit=make_edit("www", 7))
    assert count_new_signatures(world, before) == 2


def test_an_edit_outlives_what_keeps_it_from_being_published(world: PipelineWorld) -> None:
    world.faults = Faults(signer=SigningImpossible("the key store is away"))
    with pytest.raises(SigningImpossible):
        world.pipeline.advance(read_file=False, edit=make_edit("www", 7))
    world.faults = Faults()
    assert world.pipeline.advance(read_file=False, edit=make_edit("ns", 8))
    assert get_addresses(world.pipeline.state.published, "www") == [7]
    assert get_addresses(world.pipeline.state.published, "ns") == [8]


def test_a_rejected_version_is_not_what_the_next_goes_on_from(world: PipelineWorld) -> None:
    before = world.pipeline.state.published
    world.faults = Faults(reasons=("a made-up reason",))
    with pytest.raises(Exception, match="a made-up reason"):
        world.pipeline.advance(read_file=False, edit=make_edit("www", 7))
    assert world.pipeline.state.published is before
    world.faults = Faults()
    assert world.pipeline.advance(read_file=False, edit=make_edit("www"))
    assert get_addresses(world.pipeline.state.published, "www") == []
    assert world.pipeline.check_published()


def test_a_published_version_found_bad_is_signed_anew(world: PipelineWorld) -> None:
    before = world.pipeline.state.published
    assert before is not None
    world.faults = Faults(reasons=("a made-up reason",))
    assert not world.pipeline.check_published()
    assert "a made-up reason" in str(world.pipeline.state.check_error)
    assert world.stages[-1] == (Stage.REJECTED, before.serial)
    world.faults = Faults()
    assert world.pipeline.advance(read_file=False)
    new = world.pipeline.state.published
    assert new is not None
    made_ahead = {rt.DNSKEY, rt.CDS, rt.CDNSKEY}  # kept for the time without a KMS, and used again
    assert count_new_signatures(world, before) == sum(
        len(rrset.signatures) for rrset in new.iterate_rrsets() if rrset.type not in made_ahead
    )
    assert world.pipeline.check_published()
    assert world.pipeline.state.check_error is None
    assert not world.pipeline.advance(read_file=False)


def test_a_signature_damaged_in_memory_is_found_and_made_anew(world: PipelineWorld) -> None:
    published = world.pipeline.state.published
    assert published is not None
    name = parse_name("www", ORIGIN)
    rrset = published.names[name][rt.A]
    (signature,) = rrset.signatures
    types = published.names[name]
    assert isinstance(types, dict)
    assert world.pipeline.check_published(), "validated just now"
    types[rt.A] = rrset._replace(signatures=(signature[:-1] + bytes((signature[-1] ^ 1,)),))
    assert not world.pipeline.check_published()
    assert "www.small.test. A" in str(world.pipeline.state.check_error)
    assert world.pipeline.advance(read_file=False)
    assert world.pipeline.check_published()


def test_an_edit_shares_what_it_does_not_change(world: PipelineWorld) -> None:
    zone = world.pipeline.state.unsigned
    assert zone is not None
    edited = apply_edit(zone, make_edit("www"))
    assert parse_name("www", ORIGIN) not in edited.names
    assert all(edited.names[owner] is zone.names[owner] for owner in edited.names)


ELSEWHERE = parse_name("www.elsewhere.")
WWW = parse_name("www", ORIGIN)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({ELSEWHERE: {}}, r"www\.elsewhere\. is not in zone"),
        ({ORIGIN: {}}, "would have no SOA"),
        ({WWW: {rt.A: RRset(ORIGIN, rt.A, 300, (bytes(4),))}}, "is not its own"),
        ({WWW: {rt.TXT: RRset(WWW, rt.A, 300, (bytes(4),))}}, "is not its own"),
    ],
)
def test_an_edit_that_no_zone_can_have_is_refused(edit: ZoneEdit, reason: str) -> None:
    with pytest.raises(BadEdit, match=reason):
        check_edit(ORIGIN, edit)


class Keeping:
    """A keeper at work, and the serials that it announced."""

    def __init__(self, world: PipelineWorld) -> None:
        self.world = world
        self.announced: list[int] = []
        self.first = trio.Event()  # set when a version was announced
        self.hold = trio.Event()
        self.hold.set()
        self.keeper = ZoneKeeper(world.pipeline, world.clock, trio.CapacityLimiter(2), self._announce)

    async def _announce(self, keeper: ZoneKeeper) -> None:
        assert keeper.state.published is not None
        self.announced.append(keeper.state.published.serial)
        self.first.set()
        await self.hold.wait()

    async def change(self, owner: str, *numbers: int) -> None:
        outcome = await self.keeper.edit(make_edit(owner, *numbers))
        assert outcome.error is None

    @property
    def published(self) -> Zone | None:
        return self.keeper.state.published


async def test_an_edit_is_published_and_announced_before_its_outcome_is_told(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        await keeping.change("www", 9)
        assert get_addresses(keeping.published, "www") == [9]
        assert keeping.published is not None
        assert keeping.announced == [keeping.published.serial]
        nursery.cancel_scope.cancel()


async def test_a_version_is_announced_before_it_is_noted(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    announced = threading.Event()
    waited: list[bool] = []
    world.on_stage = lambda stage: waited.append(announced.wait(60)) if stage is Stage.PUBLISHED else None

    async def tell() -> None:
        await keeping.first.wait()
        announced.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        nursery.start_soon(tell)
        await keeping.change("www", 9)
        nursery.cancel_scope.cancel()
    assert waited == [True]


async def test_a_version_is_announced_though_nobody_waits_for_it(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        world.file.write_text(TEXT + "more A 192.0.2.7\n")
        with trio.CancelScope() as scope:
            world.on_stage = lambda stage: (
                trio.from_thread.run_sync(scope.cancel) if stage is Stage.SIGNED else None
            )
            await keeping.keeper.reload()
        assert scope.cancel_called
        assert keeping.published is not None
        assert keeping.announced == [keeping.published.serial]
        assert get_addresses(keeping.published, "more") == [7]
        nursery.cancel_scope.cancel()


async def test_edits_that_arrive_meanwhile_are_published_in_one_version(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        keeping.hold = trio.Event()
        async with trio.open_nursery() as writers:
            writers.start_soon(keeping.change, "first", 1)
            await keeping.first.wait()
            for number in range(50):
                writers.start_soon(keeping.change, f"h{number}", number)
            await trio.testing.wait_all_tasks_blocked()
            keeping.hold.set()
        assert len(keeping.announced) == 2
        assert [get_addresses(keeping.published, f"h{number}") for number in range(50)] == [
            [number] for number in range(50)
        ]
        nursery.cancel_scope.cancel()


async def test_an_edit_that_nobody_waits_for_is_published_all_the_same(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            await keeping.change("www", 9)
        await keeping.change("ns", 8)
        assert get_addresses(keeping.published, "www") == [9]
        nursery.cancel_scope.cancel()


async def test_an_edit_of_a_zone_taken_out_of_service_is_answered(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.keeper.started.wait()
        await keeping.keeper.end()
        outcome = await keeping.keeper.edit(make_edit("www", 9))
        assert "taken out of service" in str(outcome.error)


async def test_a_bad_published_version_is_replaced_without_anybody_asking(world: PipelineWorld) -> None:
    keeping = Keeping(world)
    before = world.pipeline.state.published
    assert world.pipeline.check_published()  # so that the next one is a real one
    assert before is not None
    types = before.names[parse_name("www", ORIGIN)]
    assert isinstance(types, dict)
    types[rt.A] = types[rt.A]._replace(signatures=())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.keeper.run)
        await keeping.first.wait()
        nursery.cancel_scope.cancel()
    assert keeping.published is not None
    assert keeping.published.names[parse_name("www", ORIGIN)][rt.A].signatures
