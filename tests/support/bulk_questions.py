"""Many questions to one server in little time, over UDP and TCP."""

import socket
from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

import dns.name
import dns.rdatatype

_HEADER = Struct(">HHHHHH")
_OPT = bytes.fromhex("00 0029 04d0 0000 8000 0000")  # 1232 octets, DO
_WINDOW = 32  # questions under way; more could overflow a socket buffer
_PATIENCE_SECONDS = 5.0
_TRIES = 3


class Question(NamedTuple):
    """A question of class IN."""

    name: str  # absolute
    type: str
    dnssec: bool  # with EDNS and DO; without: no EDNS at all

    def make_packet(self, number: int) -> bytes:
        """Make the query, RD clear."""
        wire = dns.name.from_text(self.name).to_wire() or b""
        header = _HEADER.pack(number, 0, 1, 0, 0, int(self.dnssec))
        rdatatype = int(dns.rdatatype.from_text(self.type))
        return header + wire + rdatatype.to_bytes(2) + b"\0\x01" + (_OPT if self.dnssec else b"")


def ask_over_udp(port: int, questions: Sequence[Question]) -> list[bytes]:
    """Give the responses in the order of the questions.

    Raises:
        TimeoutError: A question got no answer, also when repeated.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(_PATIENCE_SECONDS)
        return _exchange(questions, client.send, lambda: client.recv(65_535), tries=_TRIES)


def ask_over_tcp(port: int, questions: Sequence[Question]) -> list[bytes]:
    """Give the responses in the order of the questions, all from one connection.

    Raises:
        TimeoutError: A question got no answer.
        ConnectionError: The server closed the connection.
    """
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS) as client:
        stream = client.makefile("rb")

        def read_exactly(octets: int) -> bytes:
            data = stream.read(octets)
            if len(data) < octets:
                raise ConnectionResetError(f"closed {octets - len(data)} octets too early")
            return data

        return _exchange(
            questions,
            lambda packet: client.sendall(len(packet).to_bytes(2) + packet),
            lambda: read_exactly(int.from_bytes(read_exactly(2))),
            tries=1,
        )


def _exchange(
    questions: Sequence[Question],
    send: Callable[[bytes], object],
    receive: Callable[[], bytes],
    *,
    tries: int,
) -> list[bytes]:
    responses: dict[int, bytes] = {}
    for start in range(0, len(questions), _WINDOW):
        waiting = set(range(start, min(start + _WINDOW, len(questions))))
        for remaining in reversed(range(tries)):
            for number in waiting:
                send(questions[number].make_packet(number & 0xFFFF))
            try:
                while waiting:
                    response = receive()
                    number = start + (int.from_bytes(response[:2]) - start & 0xFFFF)
                    if number in waiting:  # else it answers an earlier try
                        responses[number] = response
                        waiting.remove(number)
            except TimeoutError:
                if not remaining:
                    raise
            if not waiting:
                break
    return [responses[number] for number in range(len(questions))]
