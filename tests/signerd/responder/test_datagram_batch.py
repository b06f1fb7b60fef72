import errno
import socket
from collections.abc import Generator

import pytest

from answering import make_packet
from signerd.dns.zone_set import ZoneSet
from signerd.responder.datagram_batch import BATCH, SLOT_OCTETS, DatagramBatch, open_batch
from signerd.responder.responder import Responder, ResponderOptions
from signerd.responder.sockets import Address, bind_udp, prepare_udp
from signerd.responder.udp import answer_batch


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Generator[socket.socket]:
    with bind_udp(Address(str(request.param), 0)) as sock:
        prepare_udp(sock)
        yield sock


@pytest.fixture
def batch(server: socket.socket) -> DatagramBatch:
    batch = open_batch(server)
    if batch is None:
        pytest.skip("no recvmmsg here")
    return batch


@pytest.fixture
def clients(server: socket.socket) -> Generator[list[socket.socket]]:
    made = [socket.socket(server.family, socket.SOCK_DGRAM) for _ in range(5)]
    for sock in made:
        sock.connect(server.getsockname()[:2])
        sock.settimeout(5)
    yield made
    for sock in made:
        sock.close()


def test_each_client_gets_its_own_answers(batch: DatagramBatch, clients: list[socket.socket]) -> None:
    for turn in range(3):
        for number in range(20):
            clients[number % 5].send(b"%d-%d" % (turn, number))
        packets = batch.receive()
        assert packets == [b"%d-%d" % (turn, number) for number in range(20)]
        assert batch.send([packet * (1 + turn) for packet in packets]) == 0
        for number in range(20):
            assert clients[number % 5].recv(100) == b"%d-%d" % (turn, number) * (1 + turn)


def test_what_gets_no_answer_leaves_no_gap(batch: DatagramBatch, clients: list[socket.socket]) -> None:
    for client in clients:
        client.send(b"")
    assert batch.receive() == [b""] * 5
    assert batch.send([None, b"one", None, None, b"four"]) == 0
    assert clients[1].recv(10) == b"one"
    assert clients[4].recv(10) == b"four"
    clients[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        clients[0].recv(10)


def test_large_responses_are_sent_whole(batch: DatagramBatch, clients: list[socket.socket]) -> None:
    responses = [bytes((number,)) * octets for number, octets in enumerate((9, SLOT_OCTETS + 1, 40_000, 7))]
    for _ in range(2):
        for client in clients[:4]:
            client.send(b"?")
        assert len(batch.receive()) == 4
        assert batch.send(responses) == 0
        assert [client.recv(65535) for client in clients[:4]] == responses


def test_nothing_to_receive_is_an_error(batch: DatagramBatch) -> None:
    with pytest.raises(BlockingIOError):
        batch.receive()


def test_closed_socket_is_an_error(server: socket.socket, batch: DatagramBatch) -> None:
    server.close()
    with pytest.raises(OSError, match="file descriptor") as caught:
        batch.receive()
    assert caught.value.errno == errno.EBADF


def test_answer_that_cannot_be_sent_does_not_hold_up_the_next(
    batch: DatagramBatch, clients: list[socket.socket]
) -> None:
    for client in clients[:3]:
        client.send(b"?")
    assert len(batch.receive()) == 3
    too_large = bytes(65536)  # for any datagram
    assert batch.send([b"first", too_large, b"third"]) == 1
    assert clients[0].recv(10) == b"first"
    assert clients[2].recv(10) == b"third"


def test_batches_are_answered_until_the_socket_is_empty(
    batch: DatagramBatch, clients: list[socket.socket], zones: ZoneSet
) -> None:
    responder = Responder(ResponderOptions(), lambda: 0.0, zones)
    packet = make_packet("www.example", "A")
    for _ in range(BATCH):
        clients[0].send(packet)
    clients[1].send(b"not a query")
    clients[2].send(make_packet("missing.example", "A"))
    assert answer_batch(batch, responder)
    assert not answer_batch(batch, responder)
    assert not answer_batch(batch, responder)
    counters = responder.counters
    assert (counters.queries_udp, counters.cache_hits, counters.dropped) == (BATCH + 2, BATCH - 1, 1)
    assert clients[2].recv(2000)[3] & 15 == 3
    assert len({clients[0].recv(2000) for _ in range(BATCH)}) == 1
