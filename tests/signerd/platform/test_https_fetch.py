"""Fetching from a real TLS server on the loopback."""

import ipaddress
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from certificate import make_certificate
from signerd.platform.https_fetch import MAX_DOCUMENT_OCTETS, MAX_FETCHES, FetchFailed, HttpsFetcher


@dataclass
class Site:
    """A server with a certificate for one name."""

    port: int
    context: ssl.SSLContext
    hosts: list[str] = field(default_factory=list[str])

    def fetcher(self, *, allow_private: bool = True) -> HttpsFetcher:
        return HttpsFetcher(allow_private, self.context)

    def url(self, path: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    certificate, key = make_certificate(tmp_path, "localhost")
    hosts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
                return
            self.send_response(200 if self.path != "/missing" else 404)
            self.end_headers()
            size = MAX_DOCUMENT_OCTETS + 1 if self.path == "/large" else 2
            self.wfile.write(b"{}" + b" " * (size - 2))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base names it
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    server.socket = own.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that refuse are no errors
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Site(server.server_port, ssl.create_default_context(cafile=str(certificate)), hosts)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_document_is_fetched_by_name(site: Site) -> None:
    assert site.fetcher()(site.url("/good")) == b"{}"
    assert site.hosts == [f"localhost:{site.port}"]


@pytest.mark.parametrize(("path", "reason"), [("/moved", "302"), ("/missing", "404"), ("/large", "octets")])
def test_redirects_errors_and_large_documents_are_refused(site: Site, path: str, reason: str) -> None:
    with pytest.raises(FetchFailed, match=reason):
        site.fetcher()(site.url(path))
    assert len(site.hosts) == 1


def test_the_certificate_must_be_for_the_name_and_trusted(site: Site) -> None:
    with pytest.raises(FetchFailed, match="ConnectError"):
        site.fetcher()(site.url("/good", "127.0.0.1"))
    with pytest.raises(FetchFailed, match="ConnectError"):
        HttpsFetcher(allow_private=True)(site.url("/good"))
    assert site.hosts == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"],  # noqa: S104
)
def test_private_addresses_are_not_even_connected_to(site: Site, host: str) -> None:
    with pytest.raises(FetchFailed, match=r"private|not known"):
        site.fetcher(allow_private=False)(site.url("/good", host))
    assert site.hosts == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "file:///etc/passwd",
        "https:///x",
        "https://user@example.com/",
        "https://a:99999/",
    ],
)
def test_other_addresses_than_https_are_refused(url: str) -> None:
    with pytest.raises(FetchFailed):
        HttpsFetcher()(url)


def test_a_private_range_is_said_by_address() -> None:
    assert ipaddress.ip_address(
        "192.0.2.1"
    ).is_private  # documentation addresses are not fetched from, either
    with pytest.raises(FetchFailed, match="private"):
        HttpsFetcher()("https://192.0.2.1/")


def test_only_so_many_documents_are_fetched_at_once(site: Site) -> None:
    fetcher = site.fetcher()
    for _ in range(MAX_FETCHES):
        assert fetcher.slots.acquire(blocking=False)
    with pytest.raises(FetchFailed, match="too many"):
        fetcher(site.url("/good"))
    fetcher.slots.release()
    assert fetcher(site.url("/good")) == b"{}"
    assert fetcher(site.url("/good")) == b"{}"  # the slot was given back
