"""DNS over UDP."""

import errno
import socket

import trio

from signerd.dns.response import TC
from signerd.responder.responder import Responder

MAX_QUERY_OCTETS = 4096  # a larger datagram is cut off, and what is left is malformed
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
    while True:
        await trio.lowlevel.wait_readable(sock)
        while drain(sock, responder):
            await trio.lowlevel.checkpoint()


def drain(sock: socket.socket, responder: Responder) -> bool:
    """Answer what the socket holds, up to MAX_BATCH datagrams.

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
            packet, peer = receive(MAX_QUERY_OCTETS)
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
