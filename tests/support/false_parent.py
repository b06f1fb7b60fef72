"""A parent's name server that says of each name what it is told to."""

import socketserver
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

TTL = 1


@dataclass
class FalseParent:
    """Answers questions for DS over UDP.

    Attributes:
        port: On the loopback.
        ds: What it answers, in presentation form.
    """

    port: int = 0
    ds: Sequence[str] = field(default_factory=list[str])

    def answer(self, packet: bytes) -> bytes:
        query = dns.message.from_wire(packet)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        name = query.question[0].name
        if query.question[0].rdtype is dns.rdatatype.DS and self.ds:
            response.answer.append(dns.rrset.from_text(name, TTL, "IN", "DS", *self.ds))
        else:
            soa = f"ns.{name.parent()} h.{name.parent()} 1 3600 600 86400 {TTL}"
            response.authority.append(dns.rrset.from_text(name.parent(), TTL, "IN", "SOA", soa))
        return response.to_wire()


@contextmanager
def run_false_parent() -> Generator[FalseParent]:
    """Run one until the block ends."""
    parent = FalseParent()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, sock = self.request
            sock.sendto(parent.answer(packet), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        parent.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield parent
        finally:
            server.shutdown()
            thread.join()
