"""An address that queries are answered on, and whether it can be.

Also short commands read it in the configuration: nothing is imported here that takes time.
"""

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address that queries are answered on."""

    host: str  # numeric, IPv4 or IPv6
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of the host."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        """Print as in the configuration."""
        return f"{self.host}@{self.port}"


def reserve_port(
    address: ListenAddress, preferred: int | None = None, *, is_shared: bool = False
) -> ListenAddress:
    """Give port 0 a number that is free for UDP and TCP; other ports stay as they are.

    The port is free again when this returns, for the responders to bind, so another process could still
    take it in between: port 0 is meant for tests.

    Args:
        address: Where to answer.
        preferred: The port to take if it is free.
        is_shared: Whether responders that were left behind may be on the port.

    Raises:
        OSError: No such address on this machine, or no port free.
    """
    if address.port:
        return address
    for port in (preferred, *([None] * 20)):
        with (
            socket.socket(address.family, socket.SOCK_DGRAM) as udp,
            socket.socket(address.family, socket.SOCK_STREAM) as tcp,
        ):
            try:
                _bind_probe(udp, ListenAddress(address.host, port or 0), is_shared=is_shared)
                number = udp.getsockname()[1]
                _bind_probe(tcp, ListenAddress(address.host, number), is_shared=is_shared)
            except OSError:
                continue
            return ListenAddress(address.host, number)
    raise OSError(f"no port is free for both UDP and TCP on {address.host}")


def check_bindable(address: ListenAddress, *, is_shared: bool) -> None:
    """Raise OSError unless a responder will be able to bind UDP and TCP on the address.

    Args:
        address: Where to answer.
        is_shared: Whether responders that were left behind may be there; nobody else may, as the kernel would
            give each a part of the queries.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(address.family, kind) as sock:
            _bind_probe(sock, address, is_shared=is_shared)


def _bind_probe(sock: socket.socket, address: ListenAddress, *, is_shared: bool) -> None:
    if sock.type is socket.SOCK_STREAM:  # connections that have ended are no obstacle
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if is_shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((address.host, address.port))
