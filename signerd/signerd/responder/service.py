"""A responder process's parts, joined: sockets, answering, zones, the link to the control process."""

import gc
import importlib.metadata
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

from signerd.dns.name import Name
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet
from signerd.responder.control_link import ControlLink
from signerd.responder.loader import ZoneLoader
from signerd.responder.responder import Responder, ResponderOptions
from signerd.responder.sockets import name_address, prepare_tcp, prepare_udp
from signerd.responder.tcp import TcpLimits, TcpServer
from signerd.responder.udp import drain, serve_udp
from signerd.serving_lock import hold_serving_lock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bound sockets."""

    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]


class ResponderService:
    """Answers on sockets from the zones of a directory until drained."""

    def __init__(
        self,
        *,
        published: Path,
        control_socket: Path | None,
        options: ResponderOptions,
        limits: TcpLimits,
        monotonic: Callable[[], float],
    ) -> None:
        """Join the parts.

        Args:
            published: Directory of the manifest and the zones' directories.
            control_socket: Where the control process listens; None to do without one.
            options: How to answer.
            limits: What TCP connections may take.
            monotonic: A clock for the log.
        """
        self.responder = Responder(options, monotonic)
        self._tcp = TcpServer(self.responder, limits)
        self._link = None if control_socket is None else ControlLink(control_socket, self)
        self._published = published
        self._loader = ZoneLoader(published, self._replace_zones, self._report)
        self._sockets = Sockets((), ())
        self._draining = trio.Event()

    async def run(
        self,
        open_sockets: Callable[[], Sockets],
        task_status: trio.TaskStatus[Sockets] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Load the zones, then open the sockets and answer until drained.

        Sockets come last so that the kernel gives no queries to a responder that cannot answer them yet.

        Raises:
            OSError: A socket cannot be opened.
        """
        await self._loader.refresh()
        self._sockets = sockets = open_sockets()
        with ExitStack() as stack:
            for sock in (*sockets.udp, *sockets.tcp):
                stack.enter_context(sock)
            self._show_presence(stack)
            for sock in sockets.udp:
                prepare_udp(sock)
            for sock in sockets.tcp:
                prepare_tcp(sock)
            async with trio.open_nursery() as nursery:
                for sock in sockets.udp:
                    nursery.start_soon(serve_udp, sock, self.responder)
                async with trio.open_nursery() as streams:
                    for sock in sockets.tcp:
                        streams.start_soon(self._tcp.serve, sock)
                    if self._link is not None:
                        nursery.start_soon(self._link.run)
                    task_status.started(sockets)
                    logger.info("answering on %s", ", ".join(str(name_address(sock)) for sock in sockets.udp))
                    await self._draining.wait()
                    self._tcp.drain()
                nursery.cancel_scope.cancel()
            for sock in sockets.udp:
                while drain(sock, self.responder):
                    pass

    def _show_presence(self, stack: ExitStack) -> None:
        """Hold the serving lock; opened after the sockets, since a dying process closes in that order."""
        try:
            stack.enter_context(hold_serving_lock(self._published))
        except OSError as error:
            logger.warning("a restarted control process will not know this one: %s", error)

    def drain(self) -> None:
        """Answer what has arrived, then let `run` end."""
        self._draining.set()

    def _replace_zones(self, zones: ZoneSet) -> None:
        self.responder.replace_zones(zones)
        # Zones hold no reference cycles: looking through millions of objects for some would only cost pauses.
        gc.freeze()

    def _report(self, apex: Name, index: ZoneIndex | None) -> None:
        if self._link is not None:
            self._link.report(apex, None if index is None else index.zone.serial)

    def describe(self) -> Mapping[str, object]:
        """Say who this is."""
        return {
            "pid": os.getpid(),
            "version": importlib.metadata.version("signerd"),
            "addresses": [str(name_address(sock)) for sock in self._sockets.udp],
        }

    def count(self) -> Mapping[str, object]:
        """Give the counters."""
        return self.responder.counters.as_object()

    def list_serials(self) -> Mapping[Name, int]:
        """Give the zones that have data, with their serials."""
        zones = self._loader.zones.zones
        return {apex: index.zone.serial for apex, index in zones.items() if index is not None}

    async def refresh(self) -> None:
        """Look at the manifest and all zones."""
        await self._loader.refresh()

    async def refresh_manifest(self) -> None:
        """Look at the manifest."""
        await self._loader.refresh_manifest()

    async def refresh_zone(self, apex: Name) -> None:
        """Look at one zone."""
        await self._loader.refresh_zone(apex)
