"""The client of the running server's control socket: one JSON object a line, in both directions."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from signerd.cli.command_errors import CommandFailed
from signerd.unix_address import short_address

QUICK_SECONDS = 20.0  # for commands that only ask
SLOW_SECONDS = 3600.0  # for commands that sign a zone before they answer
MAX_REPLY_OCTETS = (
    1 << 28
)  # protects the client against a reply without end; 100,000 zones take a fifth of it
_RECEIVE_OCTETS = 1 << 16


class NotRunning(CommandFailed):
    """Nobody listens on the control socket."""


def send_command(
    path: Path, command: str, arguments: Mapping[str, object] | None = None, *, timeout: float = QUICK_SECONDS
) -> dict[str, object]:
    """Have the running server carry out a command.

    Args:
        path: The control socket; of any length.
        command: Such as `status` or `reload`.
        arguments: Further fields of the request.
        timeout: Seconds until the reply must have arrived.

    Returns:
        The reply, with `ok` true.

    Raises:
        NotRunning: No server listens there.
        CommandFailed: The server refused, or did not reply in time or in form.
    """
    request = json.dumps({"command": command, **(arguments or {})}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            with short_address(path) as address:
                connection.connect(address)
            connection.sendall(request)
            line = _receive_line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(f"the server is not running: nothing listens on {path}") from error
    except PermissionError as error:
        raise CommandFailed(f"you may not use {path}; run this as the user that runs the server") from error
    except TimeoutError as error:
        raise CommandFailed(f"the server did not reply within {timeout:.0f} s") from error
    except OSError as error:
        raise CommandFailed(f"talking with the server failed: {error.strerror or error}") from error
    return _read_reply(line)


def _receive_line(connection: socket.socket) -> bytes:
    buffer = bytearray()
    while not buffer.endswith(b"\n"):  # the server sends one line to each request
        received = connection.recv(_RECEIVE_OCTETS)
        if not received:
            raise CommandFailed("the server closed the connection before it replied")
        buffer += received
        if len(buffer) > MAX_REPLY_OCTETS:
            raise CommandFailed(f"the server's reply is longer than {MAX_REPLY_OCTETS} octets")
    return bytes(buffer)


def _read_reply(line: bytes) -> dict[str, object]:
    try:
        content: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CommandFailed("the server's reply is not JSON") from error
    if not isinstance(content, dict):
        raise CommandFailed("the server's reply is not a JSON object")
    reply = cast("dict[str, object]", content)
    if reply.get("ok") is not True:
        raise CommandFailed(str(reply.get("error") or "the server refused without saying why"))
    return reply
