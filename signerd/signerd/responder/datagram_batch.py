"""Many datagrams with one system call: recvmmsg and sendmmsg, which the socket module does not have.

A system call for each datagram costs more than a cached answer, and so does turning each peer's address into
Python objects and back. Here a query's address stays where the kernel put it, and the response is sent to it
from there.
"""

import ctypes
import os
import socket
from collections.abc import Callable, Sequence

BATCH = 64  # datagrams of one system call
QUERY_OCTETS = 4096  # a larger datagram is cut off, and what is left is malformed
SLOT_OCTETS = 4096  # a larger response is sent by itself
_LARGEST_OCTETS = 65536  # no datagram is larger
_ADDRESS_OCTETS = {socket.AF_INET: 16, socket.AF_INET6: 28}  # sockaddr_in, sockaddr_in6
_ADDRESS_SLOT = 32


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_octets", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_octets", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_HEADER_OCTETS = ctypes.sizeof(_Mmsghdr)
_HEADER_WORDS = _HEADER_OCTETS // 4  # of the size of `length`


_Call = Callable[..., int]


def open_batch(sock: socket.socket) -> "DatagramBatch | None":
    """Make the batch of a bound, non-blocking UDP socket, which stays the caller's.

    Returns:
        None if the C library does not have the two calls with the structures of Linux.
    """
    if os.uname().sysname != "Linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    receive: _Call | None = getattr(library, "recvmmsg", None)
    send: _Call | None = getattr(library, "sendmmsg", None)
    return None if receive is None or send is None else DatagramBatch(sock, receive, send)


class DatagramBatch:
    """Receives and answers on one bound, non-blocking UDP socket."""

    def __init__(self, sock: socket.socket, receive: _Call, send: _Call) -> None:
        """Allocate the buffers; `open_batch` gives the arguments."""
        self._sock = sock
        self._receive, self._send = receive, send
        self._queries = ctypes.create_string_buffer(BATCH * QUERY_OCTETS)
        self._responses = ctypes.create_string_buffer(BATCH * SLOT_OCTETS)
        self._large = ctypes.create_string_buffer(_LARGEST_OCTETS)
        self._addresses = ctypes.create_string_buffer(BATCH * _ADDRESS_SLOT)
        self._in = (_Mmsghdr * BATCH)()
        self._out = (_Mmsghdr * BATCH)()
        self._in_vectors = (_Iovec * BATCH)()
        self._out_vectors = (_Iovec * BATCH)()
        address_octets = _ADDRESS_OCTETS[sock.family]
        for headers, vectors, slots, octets in (
            (self._in, self._in_vectors, self._queries, QUERY_OCTETS),
            (self._out, self._out_vectors, self._responses, SLOT_OCTETS),
        ):
            for number in range(BATCH):
                vectors[number].base = ctypes.addressof(slots) + number * octets
                vectors[number].length = octets
                header = headers[number].header
                header.name = ctypes.addressof(self._addresses) + number * _ADDRESS_SLOT
                # The kernel writes the size of the address here, which is always this.
                header.name_octets = address_octets
                header.vectors = ctypes.addressof(vectors[number])
                header.vector_count = 1
        # Views cost a fraction of the attributes of structures.
        self._query_view = memoryview(self._queries).cast("B")
        self._response_view = memoryview(self._responses).cast("B")
        self._query_lengths = memoryview(self._in).cast("B").cast("I")[_Mmsghdr.length.offset // 4 :]
        self._response_lengths = memoryview(self._out_vectors).cast("B").cast("L")[1::2]

    def receive(self) -> list[bytes]:
        """Take what the socket holds, up to BATCH datagrams; `send` answers by their places in the list.

        Raises:
            BlockingIOError: The socket holds nothing.
            OSError: Something else is wrong.
        """
        count = self._receive(self._sock.fileno(), self._in, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        lengths, view = self._query_lengths, self._query_view
        return [
            bytes(view[start : start + lengths[number * _HEADER_WORDS]])
            for number, start in enumerate(range(0, count * QUERY_OCTETS, QUERY_OCTETS))
        ]

    def send(self, responses: Sequence[bytes | None]) -> int:
        """Answer what `receive` gave.

        Args:
            responses: As many and in the same order; None for what gets no answer.

        Returns:
            How many could not be sent: a full send buffer, an address that nothing can be sent to, a
            firewall. UDP may lose an answer, and waiting would let one client hold up all others.
        """
        view, lengths = self._response_view, self._response_lengths
        start = place = lost = 0
        for number, response in enumerate(responses):
            octets = SLOT_OCTETS + 1 if response is None else len(response)
            if response is not None and octets <= SLOT_OCTETS:
                view[place : place + octets] = response
                lengths[number] = octets
            else:
                lost += self._send_some(start, number)
                start = number + 1
                if response is not None:
                    lost += self._send_large(number, response)
            place += SLOT_OCTETS
        return lost + self._send_some(start, len(responses))

    def _send_some(self, start: int, end: int) -> int:
        lost = 0
        while start < end:
            rest = ctypes.byref(self._out, start * _HEADER_OCTETS)
            sent = self._send(self._sock.fileno(), rest, end - start, socket.MSG_DONTWAIT)
            if sent < 0:  # it speaks of the first of the rest
                lost += 1
                sent = 1
            start += sent
        return lost

    def _send_large(self, number: int, response: bytes) -> int:
        ctypes.memmove(self._large, response, len(response))
        vector = self._out_vectors[number]
        slot = vector.base
        vector.base, vector.length = ctypes.addressof(self._large), len(response)
        lost = self._send_some(number, number + 1)
        vector.base = slot
        return lost
