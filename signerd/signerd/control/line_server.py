"""A server of JSON lines on a Unix socket: one object a line in each direction."""

import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import cast

import trio

from signerd.unix_address import short_address

logger = logging.getLogger(__name__)

MAX_LINE_OCTETS = 1 << 20  # protects the control process's memory from a peer that never ends its line
BACKLOG = 64


class BadLine(Exception):
    """A peer sent something other than lines of JSON objects."""


def read_object(value: object) -> dict[str, object] | None:
    """Give a JSON object as a typed dictionary; None if the value is something else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


class LineStream:
    """JSON objects, one a line, over a connected stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        """Take over the stream."""
        self._stream = stream
        self._buffer = bytearray()
        self._sending = trio.Lock()

    async def receive(self) -> dict[str, object] | None:
        """Wait for the next object; None when the peer closed.

        Raises:
            BadLine: The line is too long, not JSON, or not an object.
            trio.BrokenResourceError: The connection broke.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE_OCTETS:
                raise BadLine(f"line longer than {MAX_LINE_OCTETS} octets")
            received = await self._stream.receive_some()
            if not received:
                return None
            self._buffer += received
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            message: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadLine("not JSON") from error
        if (record := read_object(message)) is None:
            raise BadLine("not a JSON object")
        return record

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one object.

        Raises:
            trio.BrokenResourceError: The connection broke.
        """
        async with self._sending:
            await self._stream.send_all(json.dumps(message).encode() + b"\n")

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


def listen_unix(path: Path, mode: int) -> trio.SocketListener:
    """Listen on a Unix socket; arguments as those of `bind_unix`."""
    return trio.SocketListener(trio.socket.from_stdlib_socket(bind_unix(path, mode)))


def bind_unix(path: Path, mode: int) -> socket.socket:
    """Make a listening Unix socket, in place of one left by an earlier process.

    Args:
        path: Where the socket appears; its length does not matter.
        mode: Permissions of the socket file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    umask = os.umask(0o777 & ~mode)  # the file must never exist with more permissions
    try:
        with short_address(path) as address:
            listener.bind(address)
    finally:
        os.umask(umask)
    listener.listen(BACKLOG)
    return listener


async def serve_lines(listener: trio.SocketListener, handle: Callable[[LineStream], Awaitable[None]]) -> None:
    """Hand each connection to `handle` until cancelled; a broken connection ends only itself."""

    async def serve_one(stream: trio.SocketStream) -> None:
        lines = LineStream(stream)
        try:
            await handle(lines)
        except (BadLine, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            logger.info("Unix socket client left: %s", error)
        finally:
            with trio.move_on_after(1, shield=True):
                await lines.aclose()

    await trio.serve_listeners(serve_one, [listener])
