"""Asking the parents of many zones, in simulated time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from signerd.delegation import probe_pool
from signerd.delegation.parent_probe import ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.delegation.probe_pool import AT_ONCE, ProbePool
from signerd.dns.name import Name, parse_name

DEAD_SECONDS = 12.0  # until a dead server is given up


@dataclass
class SlowProbe:
    """Takes some time for each zone.

    Attributes:
        seconds: For which zone how long; others take a twentieth of a second.
        lost: Zones whose parent is not found in the end.
    """

    seconds: dict[Name, float] = field(default_factory=dict[Name, float])
    lost: set[Name] = field(default_factory=set[Name])
    at_work: int = 0
    most: int = 0
    asked: list[Name] = field(default_factory=list[Name])

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        self.asked.append(zone)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await trio.sleep(self.seconds.get(zone, 0.05))
        finally:
            self.at_work -= 1
        if zone in self.lost:
            raise ParentNotFound("nobody answers")
        return [ServerAnswer("192.0.2.1#53", 0, frozenset())]


def make_names(kind: str, count: int) -> list[Name]:
    return [parse_name(f"{kind}-{number}.example.") for number in range(count)]


async def ask_all(pool: ProbePool, zones: Sequence[Name]) -> dict[Name, float]:
    """Ask for zones at once; say after how many seconds each was done."""
    done: dict[Name, float] = {}
    started = trio.current_time()

    async def ask(zone: Name) -> None:
        try:
            await pool.ask(zone)
        except ParentNotFound:
            pass
        finally:
            done[zone] = trio.current_time() - started

    async with trio.open_nursery() as nursery:
        for zone in zones:
            nursery.start_soon(ask, zone)
    return done


async def test_a_thousand_zones_under_dead_parents_do_not_hold_up_the_others(
    autojump_clock: MockClock,
) -> None:
    dead, alive = make_names("dead", 1000), make_names("alive", 160)
    probe = SlowProbe(dict.fromkeys(dead, DEAD_SECONDS), set(dead))
    pool = ProbePool(probe)
    first = await ask_all(pool, [*dead, *alive])
    # nobody knows yet which are dead: each of them costs a second of a place
    assert max(first[zone] for zone in alive) < 1000 / AT_ONCE + 2
    assert probe.most <= 2 * AT_ONCE
    then = await ask_all(pool, [*dead, *alive])
    assert max(then[zone] for zone in alive) < 1
    assert max(then.values()) == pytest.approx(-(-1000 // AT_ONCE) * DEAD_SECONDS)
    assert probe.most <= 2 * AT_ONCE


async def test_a_zone_whose_parent_answers_again_in_time_is_no_slow_one_any_more(
    autojump_clock: MockClock,
) -> None:
    (zone,) = make_names("zone", 1)
    others = make_names("dead", AT_ONCE)
    probe = SlowProbe(dict.fromkeys([zone, *others], DEAD_SECONDS))
    pool = ProbePool(probe)
    await ask_all(pool, [zone, *others])
    del probe.seconds[zone]
    await ask_all(pool, [*others, zone])
    assert probe.asked.count(zone) == 3  # it was not tried among the prompt ones again
    last = await ask_all(pool, [*others, zone])
    assert last[zone] < 1


async def test_no_more_slow_zones_are_remembered_than_is_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_pool, "MAX_SLOW_ZONES", 2)
    slow = make_names("slow", 3)
    probe = SlowProbe(dict.fromkeys(slow, 5.0))
    pool = ProbePool(probe)
    for zone in slow:
        await ask_all(pool, [zone])
    assert [probe.asked.count(zone) for zone in slow] == [2, 2, 2]
    for zone in reversed(slow):
        await ask_all(pool, [zone])
    # the first of them was forgotten, and is tried among the prompt ones again
    assert [probe.asked.count(zone) for zone in slow] == [4, 3, 3]
