"""The operator's commands, as they arrive on the control socket."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import trio

from signerd.control.line_server import LineStream
from signerd.dns.name import BadName, Name
from signerd.zones.fleet import ZoneUnknown
from signerd.zones.keeper import Outcome
from signerd.zones.zone_list import parse_zone_name

logger = logging.getLogger(__name__)


class Zones(Protocol):
    """What commands do to zones."""

    async def reload(self, name: Name | None) -> Mapping[str, Outcome]:
        """Read the files of one zone or of all."""
        ...

    async def forget(self, name: Name) -> None:
        """End the service of a zone."""
        ...


class CommandRefused(Exception):
    """A command cannot be carried out; the message is for the operator."""

    code = "control.command_refused"


class CommandServer:
    """Carries out commands: one JSON object a line, one reply a line."""

    def __init__(
        self,
        zones: Zones,
        report: Callable[[], dict[str, object]],
        accept_clock: Callable[[], Awaitable[dict[str, object]]],
    ) -> None:
        """Prepare.

        Args:
            zones: All zones.
            report: Makes the reply to `status`, in a worker thread.
            accept_clock: Takes the clock as it is now for right.
        """
        self._zones = zones
        self._report = report
        self._accept_clock = accept_clock

    async def serve(self, lines: LineStream) -> None:
        """Answer one client until it goes."""
        while (request := await lines.receive()) is not None:
            try:
                reply = {"ok": True} | await self._carry_out(request)
            except (CommandRefused, ZoneUnknown, BadName, OSError) as error:
                reply = {"ok": False, "error": str(error)}
            await lines.send(reply)

    async def _carry_out(self, request: Mapping[str, object]) -> dict[str, object]:
        match request:
            case {"command": "status"}:
                return await trio.to_thread.run_sync(self._report)
            case {"command": "reload", "zone": str() as zone}:
                return _describe_outcomes(await self._zones.reload(parse_zone_name(zone)))
            case {"command": "reload"}:
                return _describe_outcomes(await self._zones.reload(None))
            case {"command": "forget", "zone": str() as zone}:
                logger.info("zone %s is forgotten by command", zone)
                await self._zones.forget(parse_zone_name(zone))
                return {"message": f"zone {zone} is no longer served; its keys are kept"}
            case {"command": "clock_accept"}:
                return await self._accept_clock()
            case _:
                raise CommandRefused(f"unknown command {request.get('command')!r}")


def _describe_outcomes(outcomes: Mapping[str, Outcome]) -> dict[str, object]:
    failed = {zone: outcome.error for zone, outcome in outcomes.items() if outcome.error is not None}
    published = sorted(zone for zone, outcome in outcomes.items() if outcome.is_published)
    if failed:
        reasons = "; ".join(f"zone {zone}: {reason}" for zone, reason in sorted(failed.items()))
        raise CommandRefused(reasons)
    unchanged = len(outcomes) - len(published)
    words = [f"published a new version of {', '.join(published)}"] if published else []
    words += [f"{unchanged} unchanged"] if unchanged or not words else []
    return {"message": "; ".join(words), "published": published}
