"""The responder process: `python -P -m signerd.responder --published DIR --listen 127.0.0.1@5300`."""

import argparse
import logging
import os
import resource
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from signerd.dns.chaos import MAX_TEXT_OCTETS, ServerTexts
from signerd.dns.edns import DEFAULT_UDP_OCTETS, MIN_UDP_OCTETS
from signerd.log_output import set_up_logging
from signerd.responder.responder import DEFAULT_CACHE_OCTETS, ResponderOptions
from signerd.responder.service import ResponderService, Sockets
from signerd.responder.sockets import BadAddress, adopt, bind_tcp, bind_udp, parse_address
from signerd.responder.tcp import TcpLimits

logger = logging.getLogger("signerd.responder")

MAX_UDP_OCTETS = 4096  # more than any path carries in one piece
MAX_NSID_OCTETS = 255  # RFC 5001 has no limit; an answer must have room beside it


def make_parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    limits = TcpLimits()
    parser = argparse.ArgumentParser(
        prog="signerd.responder", description="Answer DNS queries from published zones. Holds no keys."
    )
    add = parser.add_argument
    add("--published", type=Path, required=True, metavar="DIR", help="directory of the published zones")
    add("--control-socket", type=Path, metavar="PATH", help="Unix socket of the control process")
    add("--udp-fd", type=int, action="append", default=[], metavar="N", help="inherited bound UDP socket")
    add("--tcp-fd", type=int, action="append", default=[], metavar="N", help="inherited bound TCP socket")
    add("--listen", action="append", default=[], metavar="ADDRESS@PORT", help="bind UDP and TCP here")
    add("--udp-octets", type=int, default=DEFAULT_UDP_OCTETS, metavar="N", help="largest datagram sent")
    add("--cache-octets", type=int, default=DEFAULT_CACHE_OCTETS, metavar="N", help="size of each cache")
    add("--identity", metavar="TEXT", help="answer for id.server and hostname.bind, class CH")
    add("--version-text", metavar="TEXT", help="answer for version.server and version.bind, class CH")
    add("--nsid", metavar="TEXT", help="name server identifier (RFC 5001)")
    add("--tcp-connections", type=int, default=limits.connections, metavar="N")
    add("--tcp-connections-per-client", type=int, default=limits.connections_per_client, metavar="N")
    add("--tcp-queries", type=int, default=limits.queries, metavar="N", help="on one connection")
    add("--tcp-idle-seconds", type=float, default=limits.idle_seconds, metavar="S")
    add("--tcp-write-seconds", type=float, default=limits.write_seconds, metavar="S")
    add("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    add("--log-format", default="console", choices=("console", "json"))
    return parser


def _encode_text(parser: argparse.ArgumentParser, text: str | None, limit: int) -> bytes | None:
    if text is None:
        return None
    octets = text.encode()
    if len(octets) > limit:
        parser.error(f"'{text}' is longer than {limit} octets")
    return octets


def open_sockets(listen: Sequence[str], udp: Sequence[int], tcp: Sequence[int]) -> Sockets:
    """Bind or adopt all sockets.

    Raises:
        BadAddress: An address is not of the form ADDRESS@PORT.
        OSError: A socket cannot be bound, or a descriptor is not a socket.
    """
    addresses = [parse_address(text) for text in listen]
    return Sockets(
        (*map(adopt, udp), *map(bind_udp, addresses)), (*map(adopt, tcp), *map(bind_tcp, addresses))
    )


async def _drain_on_signal(
    service: ResponderService, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            service.drain()


async def _run(service: ResponderService, arguments: argparse.Namespace) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_drain_on_signal, service)
        await service.run(partial(open_sockets, arguments.listen, arguments.udp_fd, arguments.tcp_fd))
        nursery.cancel_scope.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until drained; give the exit status."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if not (arguments.listen or arguments.udp_fd or arguments.tcp_fd):
        parser.error("nothing to answer on: give --listen, --udp-fd or --tcp-fd")
    if not MIN_UDP_OCTETS <= arguments.udp_octets <= MAX_UDP_OCTETS:
        parser.error(f"--udp-octets must be {MIN_UDP_OCTETS} to {MAX_UDP_OCTETS}")
    set_up_logging(arguments.log_level, is_json=arguments.log_format == "json", process=os.getpid())
    # Queries of clients are nobody else's business, in a core file least of all.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ctrl-C and a closed terminal reach the whole process group; the control process decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    service = ResponderService(
        published=arguments.published,
        control_socket=arguments.control_socket,
        options=ResponderOptions(
            udp_octets=arguments.udp_octets,
            texts=ServerTexts(
                _encode_text(parser, arguments.identity, MAX_TEXT_OCTETS),
                _encode_text(parser, arguments.version_text, MAX_TEXT_OCTETS),
            ),
            nsid=_encode_text(parser, arguments.nsid, MAX_NSID_OCTETS),
            cache_octets=arguments.cache_octets,
        ),
        limits=TcpLimits(
            connections=arguments.tcp_connections,
            connections_per_client=arguments.tcp_connections_per_client,
            queries=arguments.tcp_queries,
            idle_seconds=arguments.tcp_idle_seconds,
            write_seconds=arguments.tcp_write_seconds,
        ),
        monotonic=time.monotonic,
    )
    status = 0
    try:
        trio.run(_run, service, arguments)
    except* (BadAddress, OSError) as group:
        logger.error("cannot answer: %s", "; ".join(map(str, group.exceptions)))
        status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
