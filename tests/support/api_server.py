"""The API on a real socket of its own."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx
import trio
from starlette.types import ASGIApp

from fake_access import TOKEN, FakeServer
from signerd.api.application import AdminParts, ApiOptions, make_application
from signerd.api.route import AnyEndpoint
from signerd.api.server import ServerOptions, bind_admin, serve_admin
from signerd.control.listen_address import ListenAddress

HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Organisation-Identity": "local"}


@asynccontextmanager
async def serve(application: ASGIApp, options: ServerOptions | None = None) -> AsyncGenerator[ListenAddress]:
    """Serve an application until the block ends."""
    async with trio.open_nursery() as nursery:
        sock = bind_admin(ListenAddress("127.0.0.1", 0))
        yield await nursery.start(serve_admin, application, sock, options)
        nursery.cancel_scope.cancel()


def make_fake_application(
    fake: FakeServer, endpoints: Sequence[AnyEndpoint] | None = None, options: ApiOptions | None = None
) -> ASGIApp:
    parts = AdminParts(
        access=fake,
        audit=fake,
        readiness=fake,
        kms_summary=fake,
        audit_log=fake,
        platform=fake.open_platform,
        kms=fake.open_kms,
        secrets=fake.open_secrets,
        dns=fake.open_dns,
        now=lambda: 1_800_000_000,
    )
    return make_application(parts, endpoints, options)


def make_client(address: ListenAddress) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{address.host}:{address.port}", trust_env=False, headers=HEADERS, timeout=60
    )


async def talk(address: ListenAddress, *requests: bytes) -> list[bytes]:
    """Send requests on one connection, one after the other, and give the head and body of each response."""
    responses: list[bytes] = []
    async with await trio.open_tcp_stream(address.host, address.port) as stream:
        for request in requests:
            await stream.send_all(request)
            responses.append(await read_response(stream))
    return responses


async def read_response(stream: trio.abc.ReceiveStream) -> bytes:
    """Read one response with Content-Length; what there was if the server closes before its end."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        if not (received := await stream.receive_some()):
            return buffer
        buffer += received
    head, _, body = buffer.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    while len(body) < sum(lengths):
        if not (received := await stream.receive_some()):
            break
        body += received
    return head + b"\r\n\r\n" + body
