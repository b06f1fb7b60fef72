"""Name servers and resolvers on the loopback whose answers are written in the tests."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trio

from signerd.delegation.stub_resolver import ServerAddress

Answer = Callable[[dns.message.Message, bool], dns.message.Message | None]  # the query, whether over TCP


@asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[ServerAddress]:
    """Answer over UDP and TCP on one port."""
    while True:
        udp = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        try:
            listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        except OSError:
            udp.close()
            continue
        break

    async def serve_datagrams() -> None:
        while True:
            octets, peer = await udp.recvfrom(4096)
            response = answer(dns.message.from_wire(octets), False)
            if response is not None:
                await udp.sendto(response.to_wire(), peer)

    async def serve_stream(stream: trio.SocketStream) -> None:
        async with stream:
            await serve_open_stream(stream)

    async def serve_open_stream(stream: trio.SocketStream) -> None:
        head = await stream.receive_some(2)
        octets = b""
        while len(octets) < int.from_bytes(head):
            octets += await stream.receive_some(4096)
        response = answer(dns.message.from_wire(octets), True)
        if response is not None:
            wire = response.to_wire()
            await stream.send_all(len(wire).to_bytes(2) + wire)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_datagrams)
            nursery.start_soon(trio.serve_listeners, serve_stream, listeners)
            yield ServerAddress("127.0.0.1", port)
            nursery.cancel_scope.cancel()
    finally:
        udp.close()


def respond(
    query: dns.message.Message,
    *records: str,
    flags: int = dns.flags.AA,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    authority: str = "",
) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= flags
    response.set_rcode(rcode)
    for record in records:
        owner, ttl, rdatatype, rdata = record.split(" ", 3)
        response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", rdatatype, rdata))
    if authority:
        owner, ttl, rdatatype, rdata = authority.split(" ", 3)
        response.authority.append(dns.rrset.from_text(owner, int(ttl), "IN", rdatatype, rdata))
    return response
