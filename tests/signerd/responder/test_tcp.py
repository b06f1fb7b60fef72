import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import dns.message
import pytest
import trio

from answering import make_packet
from signerd.dns.zone_set import ZoneSet
from signerd.responder.responder import Responder, ResponderOptions
from signerd.responder.sockets import Address, bind_tcp, prepare_tcp
from signerd.responder.tcp import TcpLimits, TcpServer, find_client

LIMITS = TcpLimits(idle_seconds=5, write_seconds=5)


class Running:
    def __init__(self, responder: Responder, limits: TcpLimits, sock: socket.socket) -> None:
        self.responder = responder
        self.server = TcpServer(responder, limits)
        self.sock = sock

    async def connect(self) -> trio.SocketStream:
        host, port = self.sock.getsockname()[:2]
        stream = await trio.open_tcp_stream(host, port)
        assert isinstance(stream, trio.SocketStream)
        return stream


@asynccontextmanager
async def run(zones: ZoneSet, limits: TcpLimits = LIMITS, host: str = "127.0.0.1") -> AsyncGenerator[Running]:
    with bind_tcp(Address(host, 0)) as sock:
        prepare_tcp(sock)
        running = Running(Responder(ResponderOptions(), lambda: 0.0, zones), limits, sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.server.serve, sock)
            with trio.fail_after(60):
                yield running
            nursery.cancel_scope.cancel()


def frame(packet: bytes) -> bytes:
    return len(packet).to_bytes(2) + packet


async def read_messages(stream: trio.SocketStream, count: int) -> list[bytes]:
    received = bytearray()
    messages: list[bytes] = []
    while len(messages) < count:
        chunk = await stream.receive_some()
        assert chunk, "closed early"
        received += chunk
        while len(received) >= 2 and len(received) >= 2 + (end := int.from_bytes(received[:2])):
            messages.append(bytes(received[2 : 2 + end]))
            del received[: 2 + end]
    assert not received
    return messages


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_several_queries_on_one_connection(zones: ZoneSet, host: str) -> None:
    async with run(zones, host=host) as running, await running.connect() as stream:
        for _ in range(3):
            packet = make_packet("big.example", "TXT")
            await stream.send_all(frame(packet))
            [response] = await read_messages(stream, 1)
            assert response[:2] == packet[:2]
            assert len(response) > 12_000


async def test_pipelined_queries_are_answered_in_order(zones: ZoneSet) -> None:
    packets = [make_packet(f"n{number}.example", "A") for number in range(500)]
    async with run(zones) as running, await running.connect() as stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"".join(map(frame, packets)))
            responses = await read_messages(stream, len(packets))
        assert [response[:2] for response in responses] == [packet[:2] for packet in packets]
        assert running.responder.counters.queries_tcp == 500


async def test_query_in_single_octets(zones: ZoneSet) -> None:
    async with run(zones) as running, await running.connect() as stream:
        for octet in frame(make_packet("www.example", "A")):
            await stream.send_all(bytes((octet,)))
        [response] = await read_messages(stream, 1)
        assert dns.message.from_wire(response).answer


async def test_half_closed_connection_gets_its_answers(zones: ZoneSet) -> None:
    async with run(zones) as running, await running.connect() as stream:
        await stream.send_all(frame(make_packet("www.example", "A")) * 3 + b"\x00")
        await stream.send_eof()
        assert len(await read_messages(stream, 3)) == 3
        assert await stream.receive_some() == b""


async def test_what_is_no_query_gets_no_answer(zones: ZoneSet) -> None:
    async with run(zones) as running, await running.connect() as stream:
        await stream.send_all(frame(b"") + frame(b"\x80" * 12) + frame(make_packet("www.example", "A")))
        assert len(await read_messages(stream, 1)) == 1


@pytest.mark.parametrize("start", [b"", b"\x00", b"\x00\x20abc"])
async def test_idle_connection_is_closed(zones: ZoneSet, start: bytes) -> None:
    limits = TcpLimits(idle_seconds=0.1)
    async with run(zones, limits) as running, await running.connect() as stream:
        await stream.send_all(start)
        assert await stream.receive_some() == b""


async def test_slow_query_does_not_prolong_its_time(zones: ZoneSet) -> None:
    limits = TcpLimits(idle_seconds=0.3)
    async with run(zones, limits) as running, await running.connect() as stream:
        started = trio.current_time()

        async def trickle() -> None:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(b"\x10\x00")
                while True:
                    await stream.send_all(b"x")
                    await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            with trio.fail_after(60):
                with suppress(trio.BrokenResourceError):
                    assert await stream.receive_some() == b""
        assert trio.current_time() - started >= 0.25


async def test_client_that_does_not_read_is_given_up(zones: ZoneSet) -> None:
    limits = TcpLimits(idle_seconds=30, write_seconds=0.2)
    queries = frame(make_packet("big.example", "TXT")) * 400
    async with run(zones, limits) as running, await running.connect() as stream:
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(queries)
        assert running.responder.counters.queries_tcp < 20_000


async def test_connections_above_the_limit_are_refused(zones: ZoneSet) -> None:
    limits = TcpLimits(connections=2, connections_per_client=5, idle_seconds=30)
    async with run(zones, limits) as running:
        first, second, third = [await running.connect() for _ in range(3)]
        async with first, second, third:
            assert await third.receive_some() == b""
            await second.send_all(frame(make_packet("www.example", "A")))
            assert len(await read_messages(second, 1)) == 1
            await first.aclose()
            while running.server.connections > 1:
                await trio.lowlevel.checkpoint()
            async with await running.connect() as fourth:
                await fourth.send_all(frame(make_packet("www.example", "A")))
                assert len(await read_messages(fourth, 1)) == 1
        assert running.responder.counters.tcp_refused == 1


async def test_one_client_cannot_take_all_connections(zones: ZoneSet) -> None:
    limits = TcpLimits(connections=10, connections_per_client=1, idle_seconds=30)
    async with run(zones, limits) as running, await running.connect(), await running.connect() as second:
        assert await second.receive_some() == b""


async def test_queries_on_one_connection_are_limited(zones: ZoneSet) -> None:
    limits = TcpLimits(queries=2)
    async with run(zones, limits) as running, await running.connect() as stream:
        await stream.send_all(frame(make_packet("www.example", "A")) * 2)
        assert len(await read_messages(stream, 2)) == 2
        assert await stream.receive_some() == b""


async def test_draining_closes_idle_connections_and_ends(zones: ZoneSet) -> None:
    with bind_tcp(Address("127.0.0.1", 0)) as sock, trio.fail_after(60):
        prepare_tcp(sock)
        running = Running(Responder(ResponderOptions(), lambda: 0.0, zones), TcpLimits(), sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.server.serve, sock)
            async with await running.connect() as stream:
                await stream.send_all(frame(make_packet("www.example", "A")))
                assert len(await read_messages(stream, 1)) == 1
                running.server.drain()
                assert await stream.receive_some() == b""


def test_ipv6_clients_are_counted_by_prefix() -> None:
    assert find_client("2001:db8::1") == find_client("2001:db8::ffff:1")
    assert find_client("2001:db8::1") != find_client("2001:db8:0:1::1")
    assert find_client("192.0.2.1") != find_client("192.0.2.2")
    assert find_client("fe80::1%lo")
