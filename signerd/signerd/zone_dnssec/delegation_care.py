"""The background job that asks the parents of zones for their DS sets."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from signerd.delegation.parent_probe import ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.zone_dnssec.management import DnssecManagement
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 16  # zones whose parents are asked at a time: bounds sockets


class Probe(Protocol):
    """Asks all servers of a parent."""

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        """Give one answer for each server. Raises ParentNotFound."""
        ...


class DelegationCare:
    """Looks at intervals which parents are to be asked, and asks them."""

    def __init__(
        self, find_management: Callable[[], DnssecManagement | None], probe: Probe, interval_seconds: float
    ) -> None:
        """Do nothing yet.

        Args:
            find_management: Gives it; None while the database is not open.
            probe: Asks.
            interval_seconds: From the end of a round to the next.
        """
        self._find_management = find_management
        self._probe = probe
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Do a round now and after each interval, until cancelled."""
        while True:
            await self.look()
            await trio.sleep(self._interval_seconds)

    async def look(self) -> None:
        """Ask the parents of all zones that are due. What fails in the database is tried again."""
        management = self._find_management()
        if management is None:
            return
        try:
            due = await trio.to_thread.run_sync(management.list_due)
        except KmsError as error:
            logger.error("it is not known which parents are to be asked: %s", error)
            return
        limiter = trio.CapacityLimiter(_AT_ONCE)

        async def ask(zone: ZonePlace) -> None:
            async with limiter:
                await self._ask(management, zone)

        async with trio.open_nursery() as nursery:
            for zone in due:
                nursery.start_soon(ask, zone)

    async def _ask(self, management: DnssecManagement, zone: ZonePlace) -> None:
        answers: Sequence[ServerAnswer] = ()
        problem: str | None = None
        try:
            answers = await self._probe.ask(zone.apex)
        except ParentNotFound as error:
            problem = str(error)
            logger.warning("zone %s: its parent cannot be asked: %s", zone.text, error)
        try:
            await trio.to_thread.run_sync(management.take_in, zone, answers, problem)
        except KmsError as error:
            logger.error("zone %s: what its parent said is not stored: %s", zone.text, error)
