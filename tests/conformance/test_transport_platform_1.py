"""platform.md section 1 and the transport part of the security checklist, over sockets."""

import ipaddress
import socket
import ssl
import warnings
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import trio
import trustme

from api_server import HEADERS, make_client, make_fake_application, read_response, serve, talk
from fake_access import FakeServer
from signerd.api.application import ApiOptions
from signerd.api.call import Call
from signerd.api.client_address import ClientAddresses
from signerd.api.connection import Timeouts
from signerd.api.rate_limit import Rate, Rates
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.server import ServerOptions, serve_admin
from signerd.api.tls import ReloadableTls, TlsFiles, TlsRefused
from signerd.control.line_server import bind_unix
from signerd.control.listen_address import ListenAddress

HEAD = b"".join(b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in HEADERS.items())
GET = b"GET /v1/things/a HTTP/1.1\r\nHost: x\r\n" + HEAD + b"\r\n"


def show(call: Call) -> Reply:
    return Reply(body={"path": dict(call.path), "address": call.address})


def act(call: Call) -> Reply:
    call.read_empty()
    return Reply(body={"done": True})


ENDPOINTS = [
    Endpoint("GET", "/v1/things/{thing}", show, "test:Get", "Get"),
    Endpoint("POST", "/v1/things/{thing}/act", act, "test:Act", "Act"),
    Endpoint("GET", "/v1/expensive", show, "test:Expensive", "Expensive", is_expensive=True),
]


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def address(fake: FakeServer) -> AsyncGenerator[ListenAddress]:
    async with serve(make_fake_application(fake, ENDPOINTS)) as address:
        yield address


def make_post(body: bytes) -> bytes:
    return b"POST /v1/things/a/act HTTP/1.1\r\nHost: x\r\n" + HEAD + body


async def test_1_chunked_empty_posts_leave_a_kept_connection_in_order(address: ListenAddress) -> None:
    empty = make_post(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    with trio.fail_after(60):
        responses = await talk(address, empty, GET, empty, empty, GET)
    assert [response.split(b" ")[1] for response in responses] == [b"200"] * 5
    assert responses[0].endswith(b'{"done":true}')
    assert b'"thing":"a"' in responses[4]


async def test_1_chunked_empty_posts_may_be_sent_without_waiting(address: ListenAddress) -> None:
    empty = make_post(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(address.host, address.port) as stream:
            await stream.send_all(empty + GET)
            first = await read_response(stream)
            if b'{"path"' not in first:  # else both came in one piece
                first += await read_response(stream)
    assert b'{"done":true}' in first
    assert b'"thing":"a"' in first


@pytest.mark.parametrize(
    ("target", "status", "thing"),
    [
        ("/v1/things/a+b", 200, "a+b"),
        ("/v1/things/a%2Bb", 200, "a%2Bb"),
        ("/v1/things/a%2Fb", 200, "a%2Fb"),
        ("/v1/things/%2e%2e", 200, "%2e%2e"),
        ("/v1/things/a%00", 200, "a%00"),
        ("/v1/things/a%0a", 200, "a%0a"),
        ("/v1/things/a/", 404, None),
        ("/v1/things/", 404, None),
        ("/v1/things//a", 404, None),
        ("/v1/things/a;x=1", 400, None),
        ("/v1/things/a\\b", 400, None),
        ("/v1%2Fthings/a", 404, None),
        ("/v1/thin%67s/a", 404, None),
    ],
)
async def test_1_paths_are_taken_as_sent_with_a_literal_plus(
    address: ListenAddress, target: str, status: int, thing: str | None
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n".encode() + HEAD + b"\r\n"
    with trio.fail_after(60):
        (response,) = await talk(address, request)
    assert int(response.split(b" ")[1]) == status
    if thing is not None:
        assert f'"thing":"{thing}"'.encode() in response


async def test_1_never_a_redirect_and_always_json(address: ListenAddress) -> None:
    async with make_client(address) as client:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in ("/", "/v1", "/v1/", "/v1/things/a/", "/v1/things/a", "/v1/things/a/act"):
                response = await client.request(method, path)
                assert response.status_code in (200, 404, 405)
                assert response.headers["Content-Type"] == "application/json"
                assert response.headers["Cache-Control"] == "no-store"
                if response.status_code == 405:
                    assert response.headers["Allow"]


async def test_1_head_is_get_without_the_body(address: ListenAddress) -> None:
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(address.host, address.port) as stream:
            await stream.send_all(GET.replace(b"GET", b"HEAD", 1))
            head = await stream.receive_some()
            await stream.send_all(GET)
            assert (await read_response(stream)).startswith(b"HTTP/1.1 200 ")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /v1/things/a HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /v1/things/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + HEAD + b"\r\n",
        make_post(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        make_post(b"Content-Length: x\r\n\r\n"),
        make_post(b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        make_post(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
        b"GET /v1/things/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/things/\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\xff\x01",
    ],
)
async def test_1_what_is_no_http_is_refused_and_the_server_goes_on(
    address: ListenAddress, request_text: bytes
) -> None:
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(address.host, address.port) as stream:
            await stream.send_all(request_text)
            response = await read_response(stream)
        assert response[9:10] in (b"4", b"5", b"")
        assert not response.startswith(b"HTTP/1.1 500")
        assert (await talk(address, GET))[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ],
    ids=["websocket", "h2c"],
)
async def test_1_upgrades_are_ignored(address: ListenAddress, upgrade: bytes) -> None:
    with trio.fail_after(60):
        (response,) = await talk(address, GET[:-2] + upgrade + b"\r\n")
    assert response.startswith(b"HTTP/1.1 200 ")


async def test_1_http2_without_asking_is_refused(address: ListenAddress) -> None:
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(address.host, address.port) as stream:
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert (await read_response(stream)).split(b" ")[1] in (b"400", b"404", b"505")


async def test_checklist_headers_over_16_kib_are_refused(address: ListenAddress) -> None:
    with trio.fail_after(60):
        (within,) = await talk(address, GET[:-2] + b"X: " + b"a" * 12_000 + b"\r\n\r\n")
        (beyond,) = await talk(address, GET[:-2] + b"X: " + b"a" * 17_000 + b"\r\n\r\n")
    assert within.startswith(b"HTTP/1.1 200 ")
    assert beyond.split(b" ")[1] == b"431"


@pytest.mark.parametrize("begin", [b"", b"G", GET[:-2]], ids=["nothing", "one octet", "almost all"])
async def test_checklist_slow_clients_are_cut_off(fake: FakeServer, begin: bytes) -> None:
    options = ServerOptions(timeouts=Timeouts(idle=0.2, header=0.2))
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:
        with trio.fail_after(60):
            async with await trio.open_tcp_stream(address.host, address.port) as stream:
                if begin:
                    await stream.send_all(begin)
                assert await read_response(stream) == b""


async def test_checklist_a_client_that_dribbles_its_header_is_cut_off(fake: FakeServer) -> None:
    options = ServerOptions(timeouts=Timeouts(idle=0.3, header=0.3))
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:
        with trio.fail_after(60):
            async with await trio.open_tcp_stream(address.host, address.port) as stream:
                with pytest.raises((trio.BrokenResourceError, AssertionError)):  # noqa: PT012  # while it sends
                    for octet in GET * 100:
                        await stream.send_all(bytes([octet]))
                        with trio.move_on_after(0.05):
                            assert await stream.receive_some()


async def test_checklist_connections_of_one_address_are_limited(fake: FakeServer) -> None:
    options = ServerOptions(max_connections_per_address=3)
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address, AsyncExitStack() as stack:
        with trio.fail_after(60):
            streams: list[trio.SocketStream] = []
            for _ in range(3):
                stream = await stack.enter_async_context(
                    await trio.open_tcp_stream(address.host, address.port)
                )
                streams.append(stream)
                await stream.send_all(GET)
                assert (await read_response(stream)).startswith(b"HTTP/1.1 200 ")
            with pytest.raises((trio.BrokenResourceError, AssertionError)):  # noqa: PT012  # either end sees it
                refused = await stack.enter_async_context(
                    await trio.open_tcp_stream(address.host, address.port)
                )
                await refused.send_all(GET)
                assert await read_response(refused)
            await streams[-1].aclose()
            while True:  # the server sees the end of the third in its own time
                try:
                    (response,) = await talk(address, GET)
                except trio.BrokenResourceError:
                    continue
                if response:
                    break
    assert response.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("rates", "path"),
    [
        (Rates(address=Rate(0.001, 2)), "/v1/things/a"),
        (Rates(credential=Rate(0.001, 2)), "/v1/things/a"),
        (Rates(organisation=Rate(0.001, 2)), "/v1/things/a"),
        (Rates(expensive=Rate(0.001, 2)), "/v1/expensive"),
    ],
    ids=["address", "credential", "organisation", "expensive"],
)
async def test_checklist_too_many_requests_are_429_with_retry_after(
    fake: FakeServer, rates: Rates, path: str
) -> None:
    application = make_fake_application(fake, ENDPOINTS, ApiOptions(rates))
    async with serve(application) as address, make_client(address) as client:
        statuses = [(await client.get(path)).status_code for _ in range(2)]
        refused = await client.get(path)
        cheap = await client.get("/v1/things/a")
    assert statuses == [200, 200]
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json().keys() == {"message", "code", "requestId"}
    assert cheap.status_code == (200 if path == "/v1/expensive" else 429)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ([], ["192.0.2.1"], "127.0.0.1"),
        (["127.0.0.0/8"], ["192.0.2.1"], "192.0.2.1"),
        (["127.0.0.0/8"], ["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
        (["127.0.0.0/8"], ["198.51.100.9", "192.0.2.1"], "192.0.2.1"),
        (["127.0.0.0/8", "192.0.2.0/24"], ["198.51.100.9, 192.0.2.1"], "198.51.100.9"),
        (["127.0.0.0/8"], ["192.0.2.1, junk"], "127.0.0.1"),
        (["127.0.0.0/8"], ["::ffff:192.0.2.1"], "192.0.2.1"),
        (["10.0.0.0/8"], ["192.0.2.1"], "127.0.0.1"),
        (["127.0.0.0/8"], [], "127.0.0.1"),
    ],
)
async def test_notes_forwarded_addresses_count_only_from_trusted_proxies(
    fake: FakeServer, trusted: Sequence[str], forwarded: Sequence[str], expected: str
) -> None:
    addresses = ClientAddresses([ipaddress.ip_network(text) for text in trusted])
    application = make_fake_application(fake, ENDPOINTS, ApiOptions(addresses=addresses))
    async with serve(application) as address, make_client(address) as client:
        headers = [*HEADERS.items(), *(("X-Forwarded-For", value) for value in forwarded)]
        response = await client.get("/v1/things/a", headers=headers)
    assert response.json()["address"] == expected
    assert fake.records[0].address == expected


class Certificates:
    """An authority and what it made, as files."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.files = TlsFiles(directory / "server.pem", directory / "server.key")
        self.issue("127.0.0.1")

    def issue(self, name: str) -> None:
        made = self.authority.issue_cert(name)
        self.files.certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        self.files.key.write_bytes(made.private_key_pem.bytes())

    def make_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def handshake(address: ListenAddress, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    stream = await trio.open_tcp_stream(address.host, address.port)
    encrypted = trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)
    try:
        await encrypted.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted


async def test_checklist_tls_answers_with_hsts(fake: FakeServer, certificates: Certificates) -> None:
    options = ServerOptions(tls=ReloadableTls(certificates.files))
    async with (
        serve(make_fake_application(fake, ENDPOINTS), options) as address,
        httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{address.port}",
            verify=certificates.make_context(),
            headers=HEADERS,
            trust_env=False,
            timeout=60,
        ) as client,
    ):
        response = await client.get("/v1/things/a")
        again = await client.post("/v1/things/a/act")
    assert response.status_code == again.status_code == 200
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("version", "ciphers", "is_fine"),
    [
        (ssl.TLSVersion.TLSv1_3, None, True),
        (ssl.TLSVersion.TLSv1_2, None, True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:AES128-SHA", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
    ],
)
async def test_checklist_tls_is_1_2_with_aead_or_1_3(
    fake: FakeServer,
    certificates: Certificates,
    version: ssl.TLSVersion,
    ciphers: str | None,
    is_fine: bool,  # a parameter of a table
) -> None:
    context = certificates.make_context()
    if ciphers is not None:
        context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old versions
        context.minimum_version = context.maximum_version = version
    options = ServerOptions(tls=ReloadableTls(certificates.files))
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:
        with trio.fail_after(60):
            if is_fine:
                stream = await handshake(address, context)
                await trio.aclose_forcefully(stream)
            else:
                with pytest.raises(trio.BrokenResourceError):
                    await handshake(address, context)


def test_checklist_a_new_certificate_is_taken_and_a_bad_one_is_not(certificates: Certificates) -> None:
    tls = ReloadableTls(certificates.files)
    assert not tls.reload_if_changed()
    certificates.issue("localhost")
    assert tls.reload_if_changed()
    certificates.files.certificate.write_text("junk")
    for _ in range(2):
        with pytest.raises(TlsRefused, match=r"server\.pem"):
            tls.reload_if_changed()
    certificates.files.certificate.unlink()
    with pytest.raises(TlsRefused, match="No such file"):
        tls.reload_if_changed()
    certificates.issue("127.0.0.1")
    assert tls.reload_if_changed()


async def test_checklist_new_connections_see_the_new_certificate(
    fake: FakeServer, certificates: Certificates
) -> None:
    tls = ReloadableTls(certificates.files)
    options = ServerOptions(tls=tls, tls_seconds=0.05)
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:

        async def read_serial() -> object:
            stream = await handshake(address, certificates.make_context())
            found = stream.getpeercert()
            await trio.aclose_forcefully(stream)
            return found["serialNumber"]

        with trio.fail_after(60):
            before = await read_serial()
            certificates.issue("127.0.0.1")
            while await read_serial() == before:
                pass


async def test_checklist_client_certificates_open_the_door_where_they_are_asked_for(
    fake: FakeServer, certificates: Certificates, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authorities = tmp_path / "clients.pem"
    authority.cert_pem.write_to_path(str(authorities))
    files = TlsFiles(certificates.files.certificate, certificates.files.key, authorities)
    with_one, with_other = certificates.make_context(), certificates.make_context()
    authority.issue_cert("client@example.com").configure_cert(with_one)  # pyright: ignore[reportUnknownMemberType]
    trustme.CA().issue_cert("client@example.com").configure_cert(with_other)  # pyright: ignore[reportUnknownMemberType]
    options = ServerOptions(tls=ReloadableTls(files))
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:
        with trio.fail_after(60):
            for context, is_fine in (
                (with_one, True),
                (with_other, False),
                (certificates.make_context(), False),
            ):
                response = b""
                try:
                    stream = await handshake(address, context)
                    try:
                        await stream.send_all(GET)
                        response = await read_response(stream)
                    finally:
                        await trio.aclose_forcefully(stream)
                except trio.BrokenResourceError:
                    pass
                assert response.startswith(b"HTTP/1.1 200 ") == is_fine


async def test_checklist_a_unix_socket_takes_plain_requests_of_its_owner(
    fake: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "api.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_admin, make_fake_application(fake, ENDPOINTS), bind_unix(path, 0o600))
        assert path.stat().st_mode & 0o777 == 0o600
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=HEADERS) as client:
            response = await client.get("/v1/things/a")
        nursery.cancel_scope.cancel()
    assert (response.status_code, response.json()["address"]) == (200, "unix")


async def test_checklist_metrics_need_their_own_token(fake: FakeServer, tmp_path: Path) -> None:
    token = tmp_path / "metrics.token"
    token.write_text("figures\n")
    async with serve(make_fake_application(fake, ENDPOINTS)) as address, make_client(address) as client:
        assert (await client.get("/metrics")).status_code == 404
    application = make_fake_application(fake, ENDPOINTS, ApiOptions(metrics_token=token))
    async with serve(application) as address, make_client(address) as client:
        await client.get("/v1/things/secret-name")
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": "Bearer x"})).status_code == 401
        shown = await client.get("/metrics", headers={"Authorization": "Bearer figures"})
    assert shown.status_code == 200
    assert 'signerd_api_requests_total{action="test:Get",status="200"} 1.0' in shown.text
    assert "secret-name" not in shown.text


async def test_a_broken_handshake_does_not_stop_the_server(
    fake: FakeServer, certificates: Certificates
) -> None:
    options = ServerOptions(tls=ReloadableTls(certificates.files), timeouts=Timeouts(handshake=0.2))
    async with serve(make_fake_application(fake, ENDPOINTS), options) as address:
        with trio.fail_after(60):
            for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b""):
                with socket.create_connection((address.host, address.port)) as sock:
                    sock.sendall(octets)
            async with await trio.open_tcp_stream(address.host, address.port) as silent:
                with pytest.raises((trio.BrokenResourceError, AssertionError)):
                    assert await silent.receive_some()
            stream = await handshake(address, certificates.make_context())
            await trio.aclose_forcefully(stream)
