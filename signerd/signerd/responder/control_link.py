"""The responder's end of the Unix socket to the control process: JSON objects, one a line.

Sent: {"hello": {"pid", "version", "addresses"}} first, then {"loaded": {"zone", "serial"}} for each zone, and
again when it changes, {"unloaded": {"zone"}}, and every second {"counters": {...}}. Received: {"zones": true}
when the manifest changed, {"zone": NAME, "serial": N} when a zone did, {"drain": true} to finish, and
{"stopping": true} when the control process is about to end.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import trio

from signerd.control.line_server import BadLine, LineStream
from signerd.dns.name import BadName, Name
from signerd.unix_address import short_address
from signerd.zones.zone_list import format_zone_name, parse_zone_name

logger = logging.getLogger(__name__)

COUNTER_SECONDS = 1.0
CONNECT_SECONDS = 5.0
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
SEND_SECONDS = 10.0  # a control process that does not read for so long is taken for gone


class Served(Protocol):
    """What the link talks about."""

    def describe(self) -> Mapping[str, object]:
        """Give the content of the greeting."""
        ...

    def count(self) -> Mapping[str, object]:
        """Give the counters."""
        ...

    def list_serials(self) -> Mapping[Name, int]:
        """Give the zones that have data, with their serials."""
        ...

    async def refresh(self) -> None:
        """Look at the manifest and all zones."""
        ...

    async def refresh_manifest(self) -> None:
        """Look at the manifest."""
        ...

    async def refresh_zone(self, apex: Name) -> None:
        """Look at one zone."""
        ...

    def drain(self) -> None:
        """Finish."""
        ...


class ControlLink:
    """Stays connected to the control process; answering does not depend on it."""

    def __init__(self, path: Path, served: Served) -> None:
        """Prepare; nothing is opened before `run`."""
        self._path = path
        self._served = served
        self._changed: dict[Name, int | None] = {}  # what is still to be reported; at most the zones
        self._wake = trio.Event()
        self._is_end_announced = False

    def report(self, apex: Name, serial: int | None) -> None:
        """Report that a zone was loaded, or is gone (None), as soon as there is a connection."""
        self._changed[apex] = serial
        self._wake.set()

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            try:
                with trio.fail_after(CONNECT_SECONDS), short_address(self._path) as address:
                    stream = await trio.open_unix_socket(address)
            except (OSError, trio.TooSlowError) as error:
                logger.debug("control process not reached at %s: %s", self._path, error)
            else:
                wait_seconds = FIRST_WAIT_SECONDS
                logger.info("connected to the control process")
                self._is_end_announced = False
                await self._talk(LineStream(stream))
                if self._is_end_announced:
                    logger.info("the control process has stopped")
                else:
                    logger.warning("the control process is gone; answering goes on")
            await trio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            await self._served.refresh()  # nobody tells what changes meanwhile

    async def _talk(self, lines: LineStream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_all, lines)
                nursery.start_soon(self._receive_all, lines, nursery.cancel_scope)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as group:
            logger.debug("link to the control process broke: %r", group.exceptions)
        except* BadLine as group:
            logger.error("the control process sent what is no message: %r", group.exceptions)
        finally:
            with trio.move_on_after(1, shield=True):
                await lines.aclose()

    async def _send_all(self, lines: LineStream) -> None:
        await _send(lines, {"hello": dict(self._served.describe())})
        self._changed = {**self._changed, **self._served.list_serials()}
        next_counters = trio.current_time()
        while True:
            self._wake = trio.Event()
            changed, self._changed = self._changed, {}
            for apex, serial in changed.items():
                zone: dict[str, object] = {"zone": format_zone_name(apex)}
                if serial is None:
                    await _send(lines, {"unloaded": zone})
                else:
                    await _send(lines, {"loaded": {**zone, "serial": serial}})
            if trio.current_time() >= next_counters:
                await _send(lines, {"counters": dict(self._served.count())})
                next_counters = trio.current_time() + COUNTER_SECONDS
            with trio.move_on_at(next_counters):
                await self._wake.wait()

    async def _receive_all(self, lines: LineStream, scope: trio.CancelScope) -> None:
        await self._served.refresh()  # what changed while there was no connection
        while (message := await lines.receive()) is not None:
            await self._take_in(message)
        scope.cancel()

    async def _take_in(self, message: dict[str, object]) -> None:
        match message:
            case {"drain": True}:
                self._served.drain()
            case {"stopping": True}:
                self._is_end_announced = True
            case {"look": True}:
                await self._served.refresh()
            case {"zones": True}:
                await self._served.refresh_manifest()
            case {"zone": str() as text}:
                try:
                    apex = parse_zone_name(text)
                except BadName as error:
                    logger.error("the control process named a bad zone: %s", error)
                    return
                await self._served.refresh_zone(apex)
            case _:
                logger.warning("the control process sent an unknown message: %s", sorted(message))


async def _send(lines: LineStream, message: Mapping[str, object]) -> None:
    with trio.fail_after(SEND_SECONDS):
        await lines.send(message)
