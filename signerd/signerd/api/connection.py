"""One connection of a client: Hypercorn's HTTP/1.1 with limits of our own.

HTTP/2 and WebSockets are not offered: neither is needed, and each has limits of its own to watch.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState

from signerd.api.error_response import make_error_body
from signerd.api.errors import MalformedRequest
from signerd.api.reply import encode_json
from signerd.platform.client_certificate import CertificateMalformed, ClientCertificate

logger = logging.getLogger(__name__)

CERTIFICATE_STATE: Final = "client_certificate"  # where requests find it
_PROTOCOL_ERRORS: Final = {431: "the header is too large", 501: "the transfer coding is not known"}
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client may take, in seconds.

    Attributes:
        idle: Without beginning a request.
        header: From the first octet of a request to the end of its header.
        write: To take a piece of the response.
        handshake: For TLS.
    """

    idle: float = 60.0
    header: float = 10.0
    write: float = 30.0
    handshake: float = 10.0


class _OnlyHttp11(H11Protocol):
    """HTTP/1.1 that does not turn into something else when the client asks for it."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1, also for one who knows better or asks for an upgrade (RFC 9110, 7.8)."""

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what never became a request; as JSON, like all else."""
        request_id = secrets.token_hex(10)
        message = _PROTOCOL_ERRORS.get(status_code, "malformed request")
        body = encode_json(make_error_body(message, MalformedRequest.code, request_id))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _create_stream(self, request: h11.Request) -> None:
        # h11 itself looks at the size of headers only as long as they are not complete
        octets = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
        if octets > self.config.h11_max_incomplete_size:
            await self._send_error_response(431)
            await self.send(Closed())
            return
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1


class Connection(TCPServer):
    """A connection that is ended when its client takes too long."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        stream: Stream,
        timeouts: Timeouts,
        peer: str,
    ) -> None:
        super().__init__(app, config, context, LifespanState(), stream)  # type: ignore[arg-type]  # takes both
        self._timeouts = timeouts
        self._peer = peer
        self._is_encrypted = isinstance(stream, trio.SSLStream)
        self._begun = trio.Event()
        self._is_ended = False

    async def run(self) -> None:
        """Serve until the client or a timeout ends it."""
        is_encrypted = self._is_encrypted
        try:
            if is_encrypted:
                with trio.fail_after(self._timeouts.handshake):
                    await self.stream.do_handshake()
            known = self._read_certificate() if is_encrypted else {}
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = _OnlyHttp11(  # type: ignore[assignment]  # stands in for the wrapper of all
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(LifespanState(known)),
                    is_encrypted,
                    (self._peer, 0),
                    None,
                    self.protocol_send,
                )
                await self.idle_task.restart(  # pyright: ignore[reportUnknownMemberType]  # untyped there
                    task_group, self._idle_timeout
                )
                await self._read_data()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client, or its patience, is gone
        finally:
            with trio.move_on_after(self._timeouts.write, shield=True):
                await self._close()

    def _read_certificate(self) -> dict[str, object]:
        """Give the client's certificate, which the handshake verified, for the state of each request."""
        octets = self.stream.getpeercert(binary_form=True)
        if not octets:
            return {}
        try:
            return {CERTIFICATE_STATE: ClientCertificate.read(octets)}
        except CertificateMalformed as error:
            logger.warning("a connection of the admin API from %s: %s", self._peer, error)
            return {}

    async def _read_data(self) -> None:
        while True:
            try:
                data = await self.stream.receive_some(1 << 16)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if data:
                self._begun.set()
            await self.protocol.handle(RawData(bytes(data)))
            if not data:
                break
        self._is_ended = True
        await self.idle_task.stop()
        await self.protocol.handle(Closed())

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol has to say, for as long as the client takes it."""
        if isinstance(event, RawData):
            is_sent = False
            async with self.send_lock:
                with trio.move_on_after(self._timeouts.write, shield=True):
                    is_sent = await _try(self.stream.send_all, event.data)
            if not is_sent:
                await self.protocol.handle(Closed())
                await trio.aclose_forcefully(self.stream)
            return
        if isinstance(event, Updated) and event.idle:
            if self._is_ended:
                return  # the client said its last word
            self._begun = trio.Event()
        await super().protocol_send(event)

    async def _idle_timeout(self) -> None:
        """End the connection when no request begins, or one does not come to the end of its header."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_at_stop, nursery.cancel_scope)
            with trio.move_on_after(self._timeouts.idle):
                await self._begun.wait()
            if self._begun.is_set():
                await trio.sleep(self._timeouts.header)  # this task is ended when the request is there
            nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await self.protocol.handle(Closed())
            await trio.aclose_forcefully(self.stream)

    async def _cancel_at_stop(self, scope: trio.CancelScope) -> None:
        await self.context.terminated.wait()
        scope.cancel()


T = TypeVar("T")


async def _try(send: Callable[[T], Awaitable[None]], data: T) -> bool:
    try:
        await send(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return False
    return True
