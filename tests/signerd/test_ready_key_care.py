"""The job that makes RSA keys ahead."""

from dataclasses import dataclass, field

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from signerd.custody import CustodyUnavailable
from signerd.ready_key_care import START_SECONDS, ReadyKeyCare
from signerd_kms.key import KeyType


@dataclass
class Maker:
    """Makes as many as it is told to lack; away when it is first opened. Notes what was wanted of it."""

    lacking: int
    was_away: bool = False
    looks: list[int] = field(default_factory=list[int])
    enough: trio.Event = field(default_factory=trio.Event)

    def make_one(self, wanted: int, /) -> KeyType | None:
        self.looks.append(wanted)
        if not self.lacking:
            trio.from_thread.run_sync(self.enough.set)
            return None
        self.lacking -= 1
        return KeyType.RSA_2048

    def open(self) -> "Maker":
        if not self.was_away:
            self.was_away = True
            raise CustodyUnavailable("sealed")
        return self


async def test_keys_are_made_one_after_the_other_until_there_are_enough(autojump_clock: MockClock) -> None:
    del autojump_clock  # what is waited for is the sleeping in between
    maker = Maker(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ReadyKeyCare(maker.open, 2).run)
        await maker.enough.wait()
        nursery.cancel_scope.cancel()
    assert maker.looks[:4] == [2, 2, 2, 2]


async def test_nothing_is_made_before_the_start_is_over(mock_clock: MockClock) -> None:
    maker = Maker(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ReadyKeyCare(maker.open, 2).run)
        await wait_all_tasks_blocked()
        mock_clock.jump(START_SECONDS - 1)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert not maker.was_away


async def test_none_are_made_where_none_are_wanted() -> None:
    maker = Maker(3)
    await ReadyKeyCare(maker.open, 0).run()
    assert not maker.was_away
