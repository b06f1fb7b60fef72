"""The HTTP server of the admin API, as one Trio task."""

import logging
import os
import socket
from typing import Final, cast

import hypercorn.trio
import trio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

from signerd.control.responder_pool import ListenAddress

logger = logging.getLogger(__name__)

MAX_HEADER_OCTETS: Final = 16 * 1024  # protects memory: request line and headers of one request
START_SECONDS: Final = 10.0  # starting needs no network, so this only bounds a bug
GRACE_SECONDS: Final = 2.0  # how long requests may take to finish when the server stops
KEEP_ALIVE_SECONDS: Final = 30.0
MAX_WAITING_CONNECTIONS: Final = 100


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
    *,
    task_status: trio.TaskStatus[ListenAddress] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, then let running requests finish for a short while.

    Args:
        application: From `make_application`.
        sock: From `bind_admin`; closed when this returns.
        task_status: Gets the address that is served, once it is.
    """
    host, port = sock.getsockname()[:2]
    descriptor = sock.detach()
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.backlog = MAX_WAITING_CONNECTIONS
    config.graceful_timeout = GRACE_SECONDS
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = MAX_HEADER_OCTETS
    config.include_server_header = False
    config.errorlog = logger
    stop = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[list[str]]) -> None:
        with trio.CancelScope(shield=True):  # ended by `stop` alone, which lets requests finish
            await hypercorn.trio.serve(  # pyright: ignore[reportUnknownMemberType]  # its WSGI half is untyped
                cast("ASGIFramework", application),
                config,
                shutdown_trigger=stop.wait,
                task_status=task_status,
                mode="asgi",
            )

    async with trio.open_nursery() as nursery:
        try:
            with trio.CancelScope(shield=True), trio.fail_after(START_SECONDS):
                await nursery.start(serve)
            os.set_inheritable(descriptor, False)  # hypercorn sets it; no child process is to have the socket
            task_status.started(ListenAddress(host, port))
            await trio.sleep_forever()
        finally:
            stop.set()
