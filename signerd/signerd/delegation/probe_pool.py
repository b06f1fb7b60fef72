"""Asks the parents of many zones, a bounded number at a time; silent ones do not hold up the others."""

from collections.abc import Sequence
from typing import Final, Protocol

import trio

from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name

AT_ONCE: Final = 16  # zones asked for in each of the two lanes: bounds sockets
PROMPT_SECONDS: Final = 1.0  # a parent that takes longer goes on in the slow lane, from the start
MAX_SLOW_ZONES: Final = 100_000  # that are remembered: bounds memory, and lets go of zones that are no more


class Probe(Protocol):
    """Asks all servers of a parent."""

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        """Give one answer for each server. Raises ParentNotFound."""
        ...


class ProbePool:
    """A probe with two lanes: zones whose parent answers at once wait for none whose parent does not.

    A dead server is waited for a dozen seconds, so that thousands of zones with one would take hours of every
    place there is.
    """

    def __init__(self, probe: Probe) -> None:
        """Do nothing yet.

        Args:
            probe: Asks for one zone.
        """
        self._probe = probe
        self._prompt = trio.CapacityLimiter(AT_ONCE)
        self._patient = trio.CapacityLimiter(AT_ONCE)
        self._slow: dict[Name, None] = {}  # in the order in which they were found to be slow

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        """Give one answer for each server of the parent, when it is the zone's turn.

        Raises:
            ParentNotFound: It is not known whom to ask.
        """
        if zone not in self._slow:
            async with self._prompt:
                with trio.move_on_after(PROMPT_SECONDS):
                    return await self._probe.ask(zone)
            self._remember(zone)
        async with self._patient:
            started = trio.current_time()
            try:
                return await self._probe.ask(zone)
            finally:
                if trio.current_time() - started < PROMPT_SECONDS:
                    self._slow.pop(zone, None)

    def _remember(self, zone: Name) -> None:
        self._slow[zone] = None
        if len(self._slow) > MAX_SLOW_ZONES:
            del self._slow[next(iter(self._slow))]
