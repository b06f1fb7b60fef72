"""The API over real sockets."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import trio
from starlette.types import Receive, Scope, Send

from api_server import make_fake_application
from fake_access import TOKEN, FakeServer
from signerd.api.kms_summary import KmsSummary
from signerd.api.route import DEFAULT_BODY_OCTETS
from signerd.api.server import bind_admin, serve_admin
from signerd.control.listen_address import ListenAddress
from signerd_kms.errors import AuditNotWritten, Sealed


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def address(fake: FakeServer) -> AsyncGenerator[ListenAddress]:
    """Where the API is served on a real socket."""
    application = make_fake_application(fake)
    sock = bind_admin(ListenAddress("127.0.0.1", 0))
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve_admin, application, sock)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def client(address: ListenAddress) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://{address.host}:{address.port}", trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture
def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}", "X-Organisation-Identity": "local"}


async def test_the_process_is_healthy_while_it_answers(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_readiness_gives_the_reasons(client: httpx.AsyncClient, fake: FakeServer) -> None:
    response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "reasons": []})
    fake.reasons.append("zone example.com is not served")
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reasons": ["zone example.com is not served"]}


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "token", "BEARER"])
@pytest.mark.parametrize("organisation", ["local", "o-d9537foqog6c73bedc70"])
async def test_the_summary_has_the_form_of_the_contract(
    client: httpx.AsyncClient, headers: dict[str, str], scheme: str, organisation: str
) -> None:
    headers["Authorization"] = headers["Authorization"].replace("Bearer", scheme)
    headers["X-Organisation-Identity"] = organisation
    response = await client.get("/v1/kms/summary", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json() == {
        "featureEnabled": True,
        "regions": [
            {
                "identity": "r-1",
                "name": "Local",
                "slug": "nl-01",
                "kmsAvailable": True,
                "totalKeys": 4,
                "activeKeys": 2,
                "disabledKeys": 1,
                "pendingDeletionKeys": 1,
            }
        ],
    }


async def test_the_summary_says_that_the_feature_is_off(
    client: httpx.AsyncClient, headers: dict[str, str], fake: FakeServer
) -> None:
    fake.summary = KmsSummary(False, fake.summary.regions)
    response = await client.get("/v1/kms/summary", headers=headers)
    assert (response.status_code, response.json()) == (200, {"featureEnabled": False, "regions": []})


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "tc_pat_for_tests", "Bearer a b"],
)
async def test_a_bad_credential_is_401_before_anything_else(
    client: httpx.AsyncClient, authorization: str | None
) -> None:
    response = await client.get(
        "/v1/kms/summary", headers={} if authorization is None else {"Authorization": authorization}
    )
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    body = response.json()
    assert body.keys() == {"message", "code", "requestId"}
    assert body["requestId"] == response.headers["X-Request-Id"]
    assert "tc_pat" not in body["message"]


async def test_two_credentials_are_none(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    twice = [*headers.items(), ("Authorization", headers["Authorization"])]
    assert (await client.get("/v1/kms/summary", headers=twice)).status_code == 401


@pytest.mark.parametrize(
    ("organisation", "status"), [(None, 400), ("", 400), ("other", 403), ("Local", 403), ("local/", 403)]
)
async def test_the_organisation_is_checked_next(
    client: httpx.AsyncClient, headers: dict[str, str], organisation: str | None, status: int
) -> None:
    del headers["X-Organisation-Identity"]
    if organisation is not None:
        headers["X-Organisation-Identity"] = organisation
    response = await client.get("/v1/kms/summary", headers=headers)
    assert response.status_code == status
    assert response.json().keys() == {"message", "code", "requestId"}


async def test_an_organisation_named_twice_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    twice = [*headers.items(), ("X-Organisation-Identity", "local")]
    assert (await client.get("/v1/kms/summary", headers=twice)).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/kms",
        "/v1/kms/summary/",
        "//v1/kms/summary",
        "/V1/kms/summary",
        "/x",
    ],
)
async def test_an_unknown_path_is_404_and_never_a_redirect(
    client: httpx.AsyncClient, headers: dict[str, str], path: str
) -> None:
    response = await client.get(
        httpx.URL(f"http://{client.base_url.netloc.decode()}").copy_with(raw_path=path.encode()),
        headers=headers,
    )
    assert response.status_code == 404
    assert response.json()["message"] == "not found"
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_405(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/v1/kms/summary")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert response.json()["message"] == "method not allowed"


async def test_each_request_has_its_own_id(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/healthz")).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Sealed("the KMS is sealed"), 503, "the KMS is sealed"),
        (AuditNotWritten("disk full at /secret/path"), 500, "internal error"),
    ],
)
async def test_errors_of_the_kms_have_their_status(
    client: httpx.AsyncClient,
    headers: dict[str, str],
    fake: FakeServer,
    error: Exception,
    status: int,
    message: str,
) -> None:
    fake.error = error
    response = await client.get("/v1/kms/summary", headers=headers)
    assert (response.status_code, response.json()["message"]) == (status, message)


async def test_a_bug_is_500_without_details_and_the_server_goes_on(
    client: httpx.AsyncClient, headers: dict[str, str], fake: FakeServer
) -> None:
    fake.error = ZeroDivisionError("secret detail")
    response = await client.get("/v1/kms/summary", headers=headers)
    assert response.status_code == 500
    assert response.json().keys() == {"message", "code", "requestId"}
    assert "secret" not in response.text
    assert (await client.get("/healthz")).status_code == 200


async def talk(address: ListenAddress, *requests: bytes) -> list[bytes]:
    """Send requests on one connection, one after the other, and give the head and body of each response."""
    responses: list[bytes] = []
    async with await trio.open_tcp_stream(address.host, address.port) as stream:
        for request in requests:
            await stream.send_all(request)
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                received = await stream.receive_some()
                if not received:
                    break
                buffer += received
            head, _, body = buffer.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            while len(body) < length:
                body += await stream.receive_some()
            assert len(body) == length
            responses.append(head + b"\r\n\r\n" + body)
    return responses


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "post",
    [
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"Content-Length: 3\r\n\r\nabc",
        b"Content-Length: 0\r\n\r\n",
    ],
    ids=["empty chunked", "chunked", "length", "no length"],
)
async def test_a_body_that_nobody_wants_leaves_the_connection_in_order(
    address: ListenAddress, post: bytes
) -> None:
    with trio.fail_after(60):
        request = b"POST /v1/kms/summary HTTP/1.1\r\nHost: x\r\n" + post
        refused, healthy, again = await talk(address, request, GET, GET)
    assert refused.startswith(b"HTTP/1.1 405 ")
    assert healthy.startswith(b"HTTP/1.1 200 ")
    assert again.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/healthz", b"200"),
        (b"/healthz?x=/v1", b"200"),
        (b"http://127.0.0.1/healthz", b"200"),
        (b"/health%7A", b"404"),
        (b"/v1/../healthz", b"404"),
        (b"/v1%2Fkms/summary", b"404"),
        (b"/healthz%00", b"404"),
        (b"/healthz/", b"404"),
        (b"http://127.0.0.1", b"404"),
        (b"/\xff", b"400"),
        (b"/healthz;x", b"400"),
        (b"/healthz\\", b"400"),
    ],
)
async def test_paths_are_matched_as_they_were_sent(
    address: ListenAddress, target: bytes, status: bytes
) -> None:
    with trio.fail_after(60):
        (response,) = await talk(
            address, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    assert response.split(b" ")[1] == status


async def test_a_body_that_is_too_large_is_413(address: ListenAddress) -> None:
    with trio.fail_after(60):
        head = b"POST /v1/kms/summary HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
            DEFAULT_BODY_OCTETS + 1
        )
        (response,) = await talk(address, head)
        assert response.startswith(b"HTTP/1.1 413 ")
        chunk = b"%x\r\n" % 65536 + bytes(65536) + b"\r\n"
        head = b"POST /v1/kms/summary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        (response,) = await talk(address, head + chunk * 17)
    assert response.startswith(b"HTTP/1.1 413 ")


async def test_headers_that_are_too_large_are_refused(address: ListenAddress) -> None:
    with trio.fail_after(60):
        (response,) = await talk(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000)
    assert response.split(b" ")[1] in (b"400", b"431")


async def test_stopping_lets_a_running_request_finish(fake: FakeServer) -> None:
    started, finish = trio.Event(), trio.Event()

    class SlowApplication:
        def __init__(self) -> None:
            self.inner = make_fake_application(fake)

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                started.set()
                await finish.wait()
            await self.inner(scope, receive, send)

    with trio.fail_after(60):
        async with trio.open_nursery() as outer:  # noqa: SIM117  # the server ends before the client
            async with trio.open_nursery() as nursery:
                address = await nursery.start(
                    serve_admin, SlowApplication(), bind_admin(ListenAddress("127.0.0.1", 0))
                )
                results: list[list[bytes]] = []

                async def ask() -> None:
                    results.append(await talk(address, GET))

                outer.start_soon(ask)
                await started.wait()
                nursery.cancel_scope.cancel()
                finish.set()
    assert results[0][0].startswith(b"HTTP/1.1 200 ")


async def test_stopping_takes_no_longer_than_the_grace(fake: FakeServer) -> None:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            application = make_fake_application(fake)
            address = await nursery.start(serve_admin, application, bind_admin(ListenAddress("127.0.0.1", 0)))
            stream = await trio.open_tcp_stream(address.host, address.port)
            await stream.send_all(b"GET /healthz HT")  # never finished
            nursery.cancel_scope.cancel()
        await stream.aclose()


def test_an_address_in_use_is_an_error() -> None:
    with bind_admin(ListenAddress("127.0.0.1", 0)) as sock, pytest.raises(OSError, match="in use"):
        bind_admin(ListenAddress("127.0.0.1", sock.getsockname()[1]))
