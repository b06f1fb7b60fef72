"""What the control process knows of its responders, from what they say."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
import trio.testing

from signerd.control.line_server import LineStream
from signerd.control.responder_pool import ResponderPool

WAITS = (sys.executable, "-c", "import time; time.sleep(600)")


@asynccontextmanager
async def connect(pool: ResponderPool, pid: int) -> AsyncGenerator[LineStream]:
    """Be a responder that has said hello."""
    ours, theirs = trio.socket.socketpair()
    link, far = LineStream(trio.SocketStream(ours)), LineStream(trio.SocketStream(theirs))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.serve_link, far)
        await link.send({"hello": {"pid": pid}})
        assert await link.receive() == {"look": True}
        yield link
        nursery.cancel_scope.cancel()
    await link.aclose()
    await far.aclose()


async def find_own(pool: ResponderPool) -> int:
    """Give the process of the only responder that the pool started."""
    with trio.fail_after(60):
        while not pool.responders:  # noqa: ASYNC110  # a process starts; nothing says when
            await trio.sleep(0.01)
    return pool.responders[0].pid


async def test_zones_are_served_once_every_responder_has_each_at_its_serial() -> None:
    pool = ResponderPool(WAITS, 1)
    events: list[str] = []

    async def wait(name: str, zones: dict[str, int]) -> None:
        await pool.wait_until_serving(zones)
        events.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        pid = await find_own(pool)
        nursery.start_soon(wait, "connected", dict[str, int]())
        nursery.start_soon(wait, "both", {"one.test": 5, "two.test": 7})
        await trio.testing.wait_all_tasks_blocked()
        assert events == []
        async with connect(pool, pid) as link:

            async def say(zone: str, serial: int) -> None:
                await link.send({"loaded": {"zone": zone, "serial": serial}})
                with trio.fail_after(60):
                    while pool.responders[0].loaded.get(zone) != serial:  # noqa: ASYNC110  # it reads a socket
                        await trio.sleep(0.01)
                await trio.testing.wait_all_tasks_blocked()

            await trio.testing.wait_all_tasks_blocked()
            assert events == ["connected"]
            await say("two.test", 7)
            await say("one.test", 4)
            assert events == ["connected"]
            await say("one.test", 6)
            assert events == ["connected", "both"]
        nursery.cancel_scope.cancel()


async def test_a_responder_that_was_left_behind_is_noticed() -> None:
    pool = ResponderPool(WAITS, 0)
    with trio.move_on_after(0):
        await pool.wait_for_stranger()
        raise AssertionError("there is none")
    async with connect(pool, os.getpid()):
        with trio.fail_after(60):
            await pool.wait_for_stranger()
