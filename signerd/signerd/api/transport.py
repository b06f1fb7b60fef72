"""What holds for every request, whatever it asks for: its id, its limits, how its path is read."""

import secrets
from typing import Final

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signerd.api.error_response import render_error
from signerd.api.errors import ApiError, BodyTooLarge, BodyTooSlow, MalformedRequest

MAX_BODY_OCTETS: Final = 1 << 20  # protects memory: bodies are read whole before anything is done
BODY_SECONDS: Final = 30.0  # protects the connections from a client that never finishes its body
MAX_LENGTH_DIGITS: Final = 18  # more are not even read as a number
REQUEST_ID_STATE: Final = "request_id"


class Transport:
    """Wraps the application.

    The body is read whole before the application runs, so that a call which takes none (a chunked POST of
    zero length, say) leaves nothing on a connection that is used again. Paths are matched as they were sent,
    percent signs included: no two spellings reach the same call.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request_id = secrets.token_hex(10)
        scope.setdefault("state", {})[REQUEST_ID_STATE] = request_id
        scope["path"] = read_path(scope["raw_path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    *message.get("headers", []),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-request-id", request_id.encode()),
                ]
                message = {**message, "headers": headers}
            await send(message)

        try:
            body = await _read_body(scope, receive)
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


async def _read_body(scope: Scope, receive: Receive) -> bytes | None:
    """Read the body; None when the client left."""
    for name, value in scope["headers"]:
        if name.lower() != b"content-length":
            continue
        if not value.isdigit():
            raise MalformedRequest("the header Content-Length is no number")
        if len(value) > MAX_LENGTH_DIGITS or int(value) > MAX_BODY_OCTETS:
            raise BodyTooLarge(f"the body is larger than {MAX_BODY_OCTETS} octets")
    body = bytearray()
    with trio.move_on_after(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > MAX_BODY_OCTETS:
                raise BodyTooLarge(f"the body is larger than {MAX_BODY_OCTETS} octets")
            if not message.get("more_body", False):
                return bytes(body)
    raise BodyTooSlow(f"the body did not arrive within {BODY_SECONDS:.0f} s")
