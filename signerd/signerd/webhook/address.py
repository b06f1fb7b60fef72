"""Where a receiver is: its name is looked up once, checked, and that answer is used."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

_PORTS = {"https": 443, "http": 80}


class AddressRefused(Exception):
    """A receiver must not be there, or cannot be found; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect.

    Attributes:
        host: As in the URL: certificates are for it.
        authority: Of the Host header.
        addresses: Numeric, in the order to try.
        is_literal: Whether the URL has an address in place of a name.
    """

    host: str
    authority: str
    addresses: tuple[str, ...]
    is_literal: bool


async def find_place(url: str, *, allow_private: bool) -> Place:
    """Look up the host of a URL.

    An address that stands in the URL itself is what the operator wants. A name may lead elsewhere, and may do
    so by somebody else's doing: into a private network only if the operator allows it, and never to what
    nobody means, such as the services that clouds offer on link-local addresses.

    Args:
        url: Of a receiver, well formed.
        allow_private: Whether names may lead to private networks.

    Raises:
        AddressRefused: It is not known, or is where it must not be.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    if port != _PORTS[parts.scheme]:
        authority += f":{port}"
    try:
        return Place(host, authority, (str(ipaddress.ip_address(host)),), is_literal=True)
    except ValueError:
        pass  # a name
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{host} is not known: {error}") from error
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
    for address in addresses:
        check_address(host, address, allow_private=allow_private)
    return Place(host, authority, addresses, is_literal=False)


def check_address(host: str, address: str, *, allow_private: bool) -> None:
    """Check what a name leads to.

    Raises:
        AddressRefused: A receiver must not be there.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified or parsed.is_reserved:
        raise AddressRefused(f"{host} is at {address}, where no receiver can be")
    if parsed.is_loopback and host == "localhost":
        return
    if not (parsed.is_global or allow_private):
        raise AddressRefused(
            f"{host} is at {address}, in a private network; `allow_private: true` of the webhook accepts that"
        )
