"""The HTTP server of the admin API, as one Trio task."""

import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

from signerd.api.connection import Connection, Stream, Timeouts
from signerd.api.metrics import ApiMetrics
from signerd.api.tls import ReloadableTls, TlsRefused
from signerd.control.listen_address import ListenAddress

logger = logging.getLogger(__name__)

MAX_HEADER_OCTETS: Final = 16 * 1024  # protects memory: request line and headers of one request
GRACE_SECONDS: Final = 2.0  # how long requests may take to finish when the server stops
MAX_WAITING_CONNECTIONS: Final = 256  # in the kernel, before they are accepted
UNIX_PEER: Final = "unix"  # in place of an address


def _trust_nobody(address: str) -> bool:
    del address
    return False


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits of the server.

    Attributes:
        timeouts: How long clients may take.
        max_connections: At once.
        max_connections_per_address: At once from one address.
        is_proxy: Says of an address that it speaks for many, so that the limit above does not hold for it.
        tls: Encrypts; None for plain connections.
        tls_seconds: How often the certificate's files are looked at.
        metrics: Counts connections.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    max_connections: int = 1000
    max_connections_per_address: int = 200
    is_proxy: Callable[[str], bool] = _trust_nobody
    tls: ReloadableTls | None = None
    tls_seconds: float = 10.0
    metrics: ApiMetrics = field(default_factory=ApiMetrics)


def bind_admin(address: ListenAddress) -> socket.socket:
    """Bind the socket of the API.

    Args:
        address: Port 0 takes any free port; `serve_admin` tells which.

    Raises:
        OSError: The address is in use or not of this machine.
    """
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((address.host, address.port))
        sock.listen(MAX_WAITING_CONNECTIONS)
    except BaseException:
        sock.close()
        raise
    return sock


async def serve_admin(
    application: ASGIApp,
    sock: socket.socket,
    options: ServerOptions | None = None,
    *,
    task_status: trio.TaskStatus[ListenAddress] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, then let running requests finish for a short while.

    Args:
        application: From `make_application`.
        sock: From `bind_admin`, or a listening Unix socket; closed when this returns.
        options: The defaults if None.
        task_status: Gets the address that is served, once it is; of a Unix socket the one without host.
    """
    await _Server(application, options or ServerOptions()).serve(sock, task_status)


class _Server:
    """The connections of one socket."""

    def __init__(self, application: ASGIApp, options: ServerOptions) -> None:
        self._options = options
        self._config = Config()
        self._config.h11_max_incomplete_size = MAX_HEADER_OCTETS
        self._config.include_server_header = False
        self._config.errorlog = logger
        self._app = ASGIWrapper(cast("ASGIFramework", application))
        self._context = WorkerContext(None)
        self._peers: Counter[str] = Counter()
        self._stop = trio.Event()

    async def serve(self, sock: socket.socket, task_status: trio.TaskStatus[ListenAddress]) -> None:
        sock.setblocking(False)  # its only argument
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        name = sock.getsockname()
        address = ListenAddress("", 0) if sock.family == socket.AF_UNIX else ListenAddress(*name[:2])
        async with trio.open_nursery() as nursery:
            connections = await nursery.start(self._hold_connections)
            try:
                if self._options.tls is not None:
                    nursery.start_soon(self._watch_tls, self._options.tls)
                task_status.started(address)
                await trio.serve_listeners(self._handle, [listener], handler_nursery=connections)
            finally:
                self._stop.set()

    async def _hold_connections(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Let connections outlive the listener for a while, in which requests may finish."""
        with trio.CancelScope(shield=True):  # ended by the stop and the deadline after it
            async with trio.open_nursery() as connections:
                task_status.started(connections)
                await self._stop.wait()
                connections.cancel_scope.deadline = trio.current_time() + GRACE_SECONDS
                await self._context.terminated.set()  # idle connections end

    async def _watch_tls(self, tls: ReloadableTls) -> None:
        problem: str | None = None
        while True:
            await trio.sleep(self._options.tls_seconds)
            try:
                if await trio.to_thread.run_sync(tls.reload_if_changed):
                    logger.info("new certificate of the admin API")
                problem = None
            except TlsRefused as error:
                if str(error) != problem:
                    logger.error("the certificate of the admin API stays the old one: %s", error)
                problem = str(error)

    async def _handle(self, stream: trio.SocketStream) -> None:
        """Serve one client; whatever goes wrong ends this connection and no other."""
        peer = _name_peer(stream)
        if peer is None or not self._admit(peer):
            self._options.metrics.refused.inc()
            await trio.aclose_forcefully(stream)
            return
        self._peers[peer] += 1
        self._options.metrics.connections.inc()
        try:
            await Connection(
                self._app, self._config, self._context, self._encrypt(stream), self._options.timeouts, peer
            ).run()
        except* Exception:
            logger.exception("a connection of the admin API from %s failed", peer)
        finally:
            self._options.metrics.connections.dec()
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    def _admit(self, peer: str) -> bool:
        if self._peers.total() >= self._options.max_connections:
            return False
        limit = self._options.max_connections_per_address
        return peer == UNIX_PEER or self._peers[peer] < limit or self._options.is_proxy(peer)

    def _encrypt(self, stream: trio.SocketStream) -> Stream:
        if self._options.tls is None:
            return stream
        return trio.SSLStream(stream, self._options.tls.context, server_side=True, https_compatible=True)


def _name_peer(stream: trio.SocketStream) -> str | None:
    if stream.socket.family == socket.AF_UNIX:
        return UNIX_PEER
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return None  # gone already
