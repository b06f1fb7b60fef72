"""DNS over UDP."""

import errno
import socket

import trio

from signerd.dns.response import TC
from signerd.responder.datagram_batch import BATCH, QUERY_OCTETS, DatagramBatch, open_batch
from signerd.responder.responder import Responder

MAX_BATCH = 200  # datagrams before other tasks get a turn; 2 to 10 ms of work

# What an earlier datagram, or a lack of memory, makes a receive report; the socket itself is good.
_PASSING_ERRORS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPROTO,
    }
)


async def serve_udp(sock: socket.socket, responder: Responder) -> None:
    """Answer queries on one bound, non-blocking socket until cancelled."""
    batch = open_batch(sock)
    while True:
        await trio.lowlevel.wait_readable(sock)
        while drain(sock, responder) if batch is None else answer_batch(batch, responder):
            await trio.lowlevel.checkpoint()


def answer_batch(batch: DatagramBatch, responder: Responder) -> bool:
    """Answer what the socket holds, up to one batch.

    Returns:
        True if there may be more.
    """
    respond = responder.respond_to_datagram
    # The zones are not replaced while this runs, so neither does what the cache holds become wrong.
    find = responder.datagrams.young.get
    counters = responder.counters
    rcodes = counters.rcodes
    hits = 0
    try:
        packets = batch.receive()
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _PASSING_ERRORS:
            raise
        counters.dropped += 1
        return True
    responses: list[bytes | None] = []
    for packet in packets:
        tail = find(packet[2:])
        if tail is None:
            responses.append(respond(packet))
            continue
        hits += 1
        rcodes[tail[1] & 15] += 1
        if tail[0] & TC:
            counters.truncated += 1
        responses.append(packet[:2] + tail)
    counters.queries_udp += hits
    counters.cache_hits += hits
    counters.dropped += batch.send(responses)
    return len(packets) == BATCH


def drain(sock: socket.socket, responder: Responder) -> bool:
    """Answer what the socket holds, up to MAX_BATCH datagrams, one by one: works on any system.

    Returns:
        True if there may be more.
    """
    receive = sock.recvfrom
    send = sock.sendto
    respond = responder.respond_to_datagram
    # The zones are not replaced while this runs, so neither does what the cache holds become wrong.
    find = responder.datagrams.young.get
    counters = responder.counters
    rcodes = counters.rcodes
    hits = 0
    try:
        for _ in range(MAX_BATCH):
            packet, peer = receive(QUERY_OCTETS)
            tail = find(packet[2:])
            if tail is not None:
                hits += 1
                rcodes[tail[1] & 15] += 1
                if tail[0] & TC:
                    counters.truncated += 1
                response = packet[:2] + tail
            else:
                made = respond(packet)
                if made is None:
                    continue
                response = made
            try:
                send(response, peer)
            except OSError:
                # A full send buffer, an address that nothing can be sent to, a firewall: UDP may lose an
                # answer, and waiting here would let one client hold up all others.
                counters.dropped += 1
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _PASSING_ERRORS:
            raise
        counters.dropped += 1
    finally:
        counters.queries_udp += hits
        counters.cache_hits += hits
    return True
