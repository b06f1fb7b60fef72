"""Fetches documents of identity providers, whose addresses members of an organisation choose.

So it is careful: https only, no redirects, no address of a private network (checked once and then used, so
that a second look at the DNS cannot give another), little time, little data.
"""

import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

MAX_DOCUMENT_OCTETS: Final = 256 * 1024
TIMEOUT_SECONDS: Final = 5.0  # for each step
MAX_FETCHES: Final = 4  # at once: each holds one of the API's threads
HTTPS_PORT: Final = 443


class FetchFailed(Exception):
    """A document cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class HttpsFetcher:
    """Fetches from the Internet.

    Attributes:
        allow_private: Whether addresses of private networks are good, too.
        context: Certificates that are trusted; those of the system if None.
    """

    allow_private: bool = False
    context: ssl.SSLContext | None = None
    slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MAX_FETCHES), repr=False, compare=False
    )

    def __call__(self, url: str) -> bytes:
        """Fetch a document.

        Raises:
            FetchFailed: It cannot be had, or must not be.
        """
        parts = urlsplit(url)
        host = parts.hostname
        try:
            port = parts.port or HTTPS_PORT
        except ValueError as error:
            raise FetchFailed("the address has no valid port") from error
        if parts.scheme != "https" or not host or parts.username is not None:
            raise FetchFailed("the address is no https URL")
        if not self.slots.acquire(blocking=False):
            raise FetchFailed("too many documents are being fetched")
        try:
            address = self._resolve(host, port)
            target = httpx.URL(url).copy_with(host=address)
            return self._get(target, host, port)
        finally:
            self.slots.release()

    def _resolve(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"{host} is not known") from error
        addresses = [str(info[4][0]) for info in found]
        if not self.allow_private and not all(_is_public(address) for address in addresses):
            raise FetchFailed(f"{host} is in a private network")
        return addresses[0]

    def _get(self, target: httpx.URL, host: str, port: int) -> bytes:
        authority = host if port == HTTPS_PORT else f"{host}:{port}"
        body = bytearray()
        try:
            with (
                httpx.Client(
                    verify=self.context or ssl.create_default_context(),
                    timeout=TIMEOUT_SECONDS,
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
                client.stream(
                    "GET",
                    target,
                    headers={"Host": authority, "Accept": "application/json", "Accept-Encoding": "identity"},
                    extensions={"sni_hostname": host},  # the certificate must be for the name
                ) as response,
            ):
                if response.status_code != 200:
                    raise FetchFailed(f"{host} answered with status {response.status_code}")
                for part in response.iter_raw():
                    body += part
                    if len(body) > MAX_DOCUMENT_OCTETS:
                        raise FetchFailed(f"{host} sent more than {MAX_DOCUMENT_OCTETS} octets")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise FetchFailed(f"{host} cannot be reached: {type(error).__name__}") from error
        return bytes(body)


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global and not parsed.is_multicast
