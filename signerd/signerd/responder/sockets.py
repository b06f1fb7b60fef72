"""The sockets of a responder: bound here, or inherited already bound."""

import socket
from typing import NamedTuple

# Of the kernel headers; the socket module of Python 3.11 does not have them.
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_OMIT = 5

RECEIVE_BUFFER_OCTETS = 1 << 20  # for bursts; the kernel gives at most net.core.rmem_max
BACKLOG = 128


class BadAddress(ValueError):
    """The text is not of the form ADDRESS@PORT."""


class Address(NamedTuple):
    """Where to listen."""

    host: str  # numeric, IPv4 or IPv6
    port: int

    def __str__(self) -> str:
        """Print as in the configuration."""
        return f"{self.host}@{self.port}"


def parse_address(text: str) -> Address:
    """Read ADDRESS@PORT; ADDRESS must be numeric.

    Raises:
        BadAddress: It is something else.
    """
    host, separator, port = text.rpartition("@")
    if not separator or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise BadAddress(f"'{text}' is not of the form ADDRESS@PORT")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError as error:
        raise BadAddress(f"'{text}': '{host}' is not a numeric address") from error
    return Address(host, int(port))


def _bind(address: Address, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # responders share addresses
        sock.bind((address.host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


def bind_udp(address: Address) -> socket.socket:
    """Bind a UDP socket.

    Raises:
        OSError: The address is not of this machine, or is taken.
    """
    return _bind(address, socket.SOCK_DGRAM)


def bind_tcp(address: Address) -> socket.socket:
    """Bind a TCP socket.

    Raises:
        OSError: The address is not of this machine, or is taken.
    """
    return _bind(address, socket.SOCK_STREAM)


def adopt(descriptor: int) -> socket.socket:
    """Take over an inherited, bound socket.

    Raises:
        OSError: The descriptor is not a socket.
    """
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def prepare_udp(sock: socket.socket) -> None:
    """Set what a bound UDP socket needs for serving."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
    # Forged "fragmentation needed" messages must not make the kernel split answers.
    if sock.family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_OMIT)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT)


def prepare_tcp(sock: socket.socket) -> None:
    """Set what a bound TCP socket needs for serving, and listen."""
    sock.setblocking(False)
    sock.listen(BACKLOG)


def name_address(sock: socket.socket) -> Address:
    """Say where a socket is bound."""
    host, port = sock.getsockname()[:2]
    return Address(str(host), int(port))
