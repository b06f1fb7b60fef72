"""DNS over TCP (RFC 7766)."""

import logging
import socket
from collections import Counter
from dataclasses import dataclass

import trio

from signerd.responder.responder import Responder

logger = logging.getLogger(__name__)

RECEIVE_OCTETS = 1 << 14
FLUSH_OCTETS = 1 << 15  # responses are sent together up to this size; bounds what a connection holds
TURN_QUERIES = 100  # queries of one connection before others get a turn
ACCEPT_RETRY_SECONDS = 0.1  # after running out of file descriptors


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What connections may take; each limit protects the other clients.

    Attributes:
        connections: At a time, of one responder.
        connections_per_client: At a time, of one address; of one /64 for IPv6.
        queries: On one connection; then it is closed, so that load can spread over responders again.
        idle_seconds: For a whole query to arrive after the one before (RFC 7766, section 6.2.3).
        write_seconds: For a client to take what it asked for.
        drain_seconds: For open connections to end when the responder stops.
    """

    connections: int = 1000
    connections_per_client: int = 100
    queries: int = 100_000
    idle_seconds: float = 10.0
    write_seconds: float = 10.0
    drain_seconds: float = 1.0


class TcpServer:
    """Accepts connections on any number of listening sockets and answers on them."""

    def __init__(self, responder: Responder, limits: TcpLimits) -> None:
        """Begin without connections."""
        self._responder = responder
        self._limits = limits
        self._clients: Counter[str] = Counter()
        self.connections = 0  # open now
        self._draining = trio.Event()
        self._waiting: set[trio.CancelScope] = set()  # the scopes of reads between queries

    async def serve(self, listener: socket.socket) -> None:
        """Accept on one listening socket until cancelled or drained; connections end with this."""
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as accepting:
                nursery.start_soon(self._stop_accepting, accepting)
                await self._accept(trio.socket.from_stdlib_socket(listener), nursery)
            nursery.cancel_scope.deadline = trio.current_time() + self._limits.drain_seconds

    async def _stop_accepting(self, accepting: trio.CancelScope) -> None:
        await self._draining.wait()
        accepting.cancel()

    def drain(self) -> None:
        """Take no more connections; answer what has arrived on the open ones, then close them."""
        self._draining.set()
        for scope in self._waiting:
            scope.cancel()

    async def _accept(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                sock, peer = await listener.accept()
            except OSError as error:
                # Connections that were reset before they were accepted, or no descriptors left.
                logger.warning("accepting a TCP connection failed: %s", error)
                await trio.sleep(ACCEPT_RETRY_SECONDS)
                continue
            client = find_client(peer[0])
            limits = self._limits
            if (
                self.connections >= limits.connections
                or self._clients[client] >= limits.connections_per_client
            ):
                self._responder.counters.tcp_refused += 1
                sock.close()
                continue
            self.connections += 1
            self._clients[client] += 1
            self._responder.counters.tcp_connections += 1
            nursery.start_soon(self._serve_connection, sock, client)

    async def _serve_connection(self, sock: trio.socket.SocketType, client: str) -> None:
        try:
            await self._converse(sock)
        except OSError as error:
            logger.debug("TCP connection of %s broke: %s", client, error)
        finally:
            sock.close()
            self.connections -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    async def _converse(self, sock: trio.socket.SocketType) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = bytearray()
        remaining = self._limits.queries
        deadline = trio.current_time() + self._limits.idle_seconds
        while True:
            answered = await self._answer(sock, received, remaining)
            remaining -= answered
            if remaining <= 0:
                return
            now = trio.current_time()
            if answered:  # a part of a query does not count: a slow sender gets no more time than an idle one
                deadline = now + self._limits.idle_seconds
            chunk = await self._receive(sock, deadline)
            if not chunk:
                return  # idle for too long, draining, or the client sent its last; all it asked is answered
            received += chunk

    async def _receive(self, sock: trio.socket.SocketType, deadline: float) -> bytes:
        with trio.CancelScope(deadline=deadline) as scope:
            if self._draining.is_set():
                return b""
            self._waiting.add(scope)
            try:
                return await sock.recv(RECEIVE_OCTETS)
            finally:
                self._waiting.discard(scope)
        return b""

    async def _answer(self, sock: trio.socket.SocketType, received: bytearray, limit: int) -> int:
        """Answer the whole messages in the buffer and take them out of it; say how many."""
        respond = self._responder.respond_to_message
        out = bytearray()
        position = count = 0
        while count < limit and len(received) >= position + 2:
            end = position + 2 + (received[position] << 8 | received[position + 1])
            if end > len(received):
                break
            response = respond(bytes(received[position + 2 : end]))
            position = end
            count += 1
            if response is not None:
                out += len(response).to_bytes(2)
                out += response
            if len(out) >= FLUSH_OCTETS:
                await self._send(sock, out)
                out.clear()
            elif count % TURN_QUERIES == 0:
                await trio.lowlevel.checkpoint()
        del received[:position]
        if out:
            await self._send(sock, out)
        return count

    async def _send(self, sock: trio.socket.SocketType, data: bytearray) -> None:
        """Send all or raise OSError: a client that does not read must not hold memory for long."""
        with trio.move_on_after(self._limits.write_seconds) as scope:
            sent = 0
            with memoryview(data) as view:
                while sent < len(view):
                    sent += await sock.send(view[sent:])
        if scope.cancelled_caught:
            raise TimeoutError(f"the client did not read for {self._limits.write_seconds} seconds")


def find_client(host: str) -> str:
    """Give what counts as one client: an IPv4 address, or the /64 of an IPv6 address (RFC 6177)."""
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return packed[:8].hex()
