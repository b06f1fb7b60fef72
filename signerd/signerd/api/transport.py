"""What holds for every request, whatever it asks for: its id, its limits, how its path is read."""

import re
import secrets
from collections.abc import Callable
from typing import Final

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signerd.api.error_response import render_error
from signerd.api.errors import ApiError, BodyTooLarge, BodyTooSlow, MalformedRequest

BODY_SECONDS: Final = 30.0  # protects the connections from a client that never finishes its body
MAX_LENGTH_DIGITS: Final = 18  # more are not even read as a number
REQUEST_ID_STATE: Final = "request_id"
_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797
_REFUSED_IN_PATHS: Final = re.compile(rb"[^!-~]|[;\\\\]")  # what readers of paths disagree about


class Transport:
    """Wraps the application.

    The body is read whole before the application runs, so that a call which takes none (a chunked POST of
    zero length, say) leaves nothing on a connection that is used again. Paths are matched as they were sent,
    percent signs included: no two spellings reach the same call.
    """

    def __init__(self, application: ASGIApp, find_body_limit: Callable[[str, str], int]) -> None:
        """Do nothing yet.

        Args:
            application: What is wrapped; its first message holds the whole body.
            find_body_limit: Gives the longest body, in octets, by method and path.
        """
        self._application = application
        self._find_body_limit = find_body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request_id = secrets.token_hex(10)
        scope.setdefault("state", {})[REQUEST_ID_STATE] = request_id
        scope["path"] = read_path(scope["raw_path"])

        transport_headers = [_STRICT_TRANSPORT] if scope["scheme"] == "https" else []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    *message.get("headers", []),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-request-id", request_id.encode()),
                    *transport_headers,
                ]
                message = {**message, "headers": headers}
            await send(message)

        try:
            _check_path(scope["raw_path"])
            body = await _read_body(scope, receive, self._find_body_limit(scope["method"], scope["path"]))
        except ApiError as error:
            response = render_error(error, request_id)
            response.headers["Connection"] = "close"  # what is left of the body is not waited for
            await response(scope, receive, send_with_headers)
            return
        if body is None:
            return
        is_given = False

        async def give_body() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._application(scope, give_body, send_with_headers)


def read_path(raw_path: bytes) -> str:
    """Give the path of a request target as sent; of an absolute-form target what follows the authority."""
    path = raw_path.decode("latin-1")
    scheme, separator, rest = path.partition("://")
    if separator and scheme.lower() in ("http", "https"):  # RFC 9112, section 3.2.2
        _, slash, path = rest.partition("/")
        return slash + path
    return path


def _check_path(raw_path: bytes) -> None:
    """Refuse paths that hold what no path of the API can: control and non-ASCII octets, `;`, backslash."""
    if _REFUSED_IN_PATHS.search(raw_path):
        raise MalformedRequest("the path holds characters that are not allowed")


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """Read the body; None when the client left."""
    for name, value in scope["headers"]:
        if name.lower() != b"content-length":
            continue
        if not value.isdigit():
            raise MalformedRequest("the header Content-Length is no number")
        if len(value) > MAX_LENGTH_DIGITS or int(value) > limit:
            raise BodyTooLarge(f"the body is larger than {limit} octets")
    body = bytearray()
    with trio.move_on_after(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > limit:
                raise BodyTooLarge(f"the body is larger than {limit} octets")
            if not message.get("more_body", False):
                return bytes(body)
    raise BodyTooSlow(f"the body did not arrive within {BODY_SECONDS:.0f} s")
