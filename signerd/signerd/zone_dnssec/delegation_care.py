"""The background job that asks the parents of zones for their DS sets."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio

from signerd.delegation.parent_probe import ParentNotFound
from signerd.delegation.parent_view import ServerAnswer
from signerd.delegation.probe_pool import Probe
from signerd.zone_dnssec.management import DnssecManagement
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

_REST_FACTOR: Final = 20  # how many times what a look took is rested: zones may be long in being asked for


class DelegationCare:
    """Looks at intervals which parents are to be asked, and asks them."""

    def __init__(
        self, find_management: Callable[[], DnssecManagement | None], probe: Probe, interval_seconds: float
    ) -> None:
        """Do nothing yet.

        Args:
            find_management: Gives it; None while the database is not open.
            probe: Asks; bounds how many are asked at a time.
            interval_seconds: From one look for zones that are due to the next.
        """
        self._find_management = find_management
        self._probe = probe
        self._interval_seconds = interval_seconds
        self._asking: set[str] = set()  # identities of zones

    async def run(self) -> None:
        """Begin to ask for what is due, now and after each interval, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                started = trio.current_time()
                await self._begin(nursery)
                took = trio.current_time() - started
                await trio.sleep(max(self._interval_seconds, _REST_FACTOR * took))

    async def look(self) -> None:
        """Ask the parents of all zones that are due now, to the end."""
        async with trio.open_nursery() as nursery:
            await self._begin(nursery)

    async def _begin(self, nursery: trio.Nursery) -> None:
        """Begin to ask for the zones that are due. What fails in the database is tried again."""
        management = self._find_management()
        if management is None:
            return
        try:
            due = await trio.to_thread.run_sync(management.list_due)
        except KmsError as error:
            logger.error("it is not known which parents are to be asked: %s", error)
            return
        for zone in due:
            if zone.identity not in self._asking:
                self._asking.add(zone.identity)
                nursery.start_soon(self._ask_once, management, zone)

    async def _ask_once(self, management: DnssecManagement, zone: ZonePlace) -> None:
        try:
            await self._ask(management, zone)
        finally:
            self._asking.discard(zone.identity)

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
