import errno
import socket
from collections.abc import Generator

import dns.message
import pytest
import trio

from answering import make_packet
from signerd.dns.zone_set import ZoneSet
from signerd.responder.responder import Responder, ResponderOptions
from signerd.responder.sockets import Address, bind_udp, prepare_udp
from signerd.responder.udp import MAX_BATCH, drain, serve_udp


@pytest.fixture
def responder(zones: ZoneSet) -> Responder:
    return Responder(ResponderOptions(), lambda: 0.0, zones)


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Generator[socket.socket]:
    with bind_udp(Address(str(request.param), 0)) as sock:
        prepare_udp(sock)
        yield sock


@pytest.fixture
def client(server: socket.socket) -> Generator[socket.socket]:
    with socket.socket(server.family, socket.SOCK_DGRAM) as sock:
        sock.connect(server.getsockname()[:2])
        sock.settimeout(5)
        yield sock


async def test_queries_are_answered(
    server: socket.socket, client: socket.socket, responder: Responder
) -> None:
    client.setblocking(False)
    asking = trio.socket.from_stdlib_socket(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_udp, server, responder)
        with trio.fail_after(60):
            for name in ("www.example", "www.example", "missing.example"):
                packet = make_packet(name, "A")
                await asking.send(packet)
                assert dns.message.from_wire(await asking.recv(2000)).id == int.from_bytes(packet[:2])
        nursery.cancel_scope.cancel()
    assert (responder.counters.queries_udp, responder.counters.cache_hits) == (3, 1)


def test_drain_answers_what_is_there_and_ends(
    server: socket.socket, client: socket.socket, responder: Responder
) -> None:
    packets = [make_packet(f"n{number}.example", "A") for number in range(20)]
    for packet in packets:
        client.send(packet)
    assert not drain(server, responder)
    assert {client.recv(2000)[:2] for _ in packets} == {packet[:2] for packet in packets}


def test_drain_gives_others_a_turn(
    server: socket.socket, client: socket.socket, responder: Responder
) -> None:
    packet = make_packet("www.example", "A")
    for _ in range(MAX_BATCH + 1):
        client.send(packet)
    assert drain(server, responder)
    assert responder.counters.queries_udp == MAX_BATCH
    assert not drain(server, responder)


def test_what_is_not_a_query_gets_no_answer(
    server: socket.socket, client: socket.socket, responder: Responder
) -> None:
    client.send(b"")
    client.send(b"\x00" * 11)
    client.send(make_packet("www.example", "A")[:2] + b"\x80" + bytes(20))
    drain(server, responder)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(2000)
    assert responder.counters.dropped == 3


class FailingSocket(socket.socket):
    """Gives queries, and fails as told."""

    def __init__(self, receive: list[bytes | int], send: int = 0) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.to_receive = receive
        self.send_error = send
        self.sent = 0

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, object]:
        item = self.to_receive.pop(0)
        if isinstance(item, int):
            raise OSError(item, "failing")
        return item, ("127.0.0.1", 9)

    def sendto(self, *_: object) -> int:
        if self.send_error:
            raise OSError(self.send_error, "failing")
        self.sent += 1
        return 0


@pytest.mark.parametrize(
    "error", [errno.EAGAIN, errno.ECONNREFUSED, errno.EPERM, errno.EINVAL, errno.ENOBUFS]
)
def test_answers_that_cannot_be_sent_are_dropped(responder: Responder, error: int) -> None:
    packet = make_packet("www.example", "A")
    with FailingSocket([packet, packet, errno.EAGAIN], send=error) as sock:
        assert not drain(sock, responder)
    assert responder.counters.dropped == 2


def test_passing_receive_errors_do_not_end_the_service(responder: Responder) -> None:
    with FailingSocket([errno.ECONNREFUSED, make_packet("www.example", "A"), errno.EAGAIN]) as sock:
        assert drain(sock, responder)
        assert not drain(sock, responder)
        assert sock.sent == 1


def test_other_receive_errors_do(responder: Responder) -> None:
    with FailingSocket([errno.EBADF]) as sock, pytest.raises(OSError, match="failing"):
        drain(sock, responder)
