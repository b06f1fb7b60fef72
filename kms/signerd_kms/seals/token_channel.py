"""Frames between the server and the child process that talks to a token: a length, then a list of fields."""

import socket
import struct
from collections.abc import Sequence

from signerd_kms.associated_data import encode_fields
from signerd_kms.memory import wipe

MAX_FRAME_OCTETS = 1 << 16  # a root key and its associated data need some hundred
_LENGTH = struct.Struct(">I")


class BadFrame(Exception):
    """The peer sent something other than a frame, or closed the connection within one."""


class Refusal(Exception):
    """What the child process replies instead of a result.

    Attributes:
        kind: `missing`, `refused`, `pin`, `unopened` or `failed`.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def send_frame(sock: socket.socket, fields: Sequence[bytes | str]) -> None:
    """Send a list of fields; the octets that were put together for it are wiped."""
    body = encode_fields(fields)
    try:
        sock.sendall(_LENGTH.pack(len(body)))
        sock.sendall(body)
    finally:
        wipe(body)


def receive_frame(sock: socket.socket) -> list[bytes]:
    """Receive a list of fields, each a fresh object that the caller may wipe.

    Raises:
        BadFrame: It is none.
        TimeoutError: It did not arrive in the time the socket allows.
    """
    (length,) = _LENGTH.unpack(_receive(sock, _LENGTH.size))
    if length > MAX_FRAME_OCTETS:
        raise BadFrame(f"a frame of {length} octets")
    body = _receive(sock, length)
    try:
        return _decode(body)
    finally:
        body[:] = bytes(len(body))


def _receive(sock: socket.socket, octets: int) -> bytearray:
    buffer = bytearray(octets)
    view = memoryview(buffer)
    while view:
        received = sock.recv_into(view)
        if not received:
            raise BadFrame("the connection was closed")
        view = view[received:]
    return buffer


def _decode(body: bytearray) -> list[bytes]:
    if not body:
        raise BadFrame("a frame without fields")
    fields: list[bytes] = []
    position = 1
    for _ in range(body[0]):
        if len(body) < position + _LENGTH.size:
            raise BadFrame("a frame that ends within a field")
        (length,) = _LENGTH.unpack_from(body, position)
        position += _LENGTH.size
        if len(body) < position + length:
            raise BadFrame("a frame that ends within a field")
        fields.append(bytes(memoryview(body)[position : position + length]))
        position += length
    if position != len(body):
        raise BadFrame("a frame with something behind its fields")
    return fields
