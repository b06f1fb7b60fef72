"""The background job of the KMS: rotates keys that are due, destroys those whose time has come."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from signerd.custody import CustodyUnavailable
from signerd_kms.clock import Clock
from signerd_kms.errors import KmsError, NotInitialised, Sealed
from signerd_kms.key import KeyIdentity

logger = logging.getLogger(__name__)


class KeyKeeper(Protocol):
    """Does the work; the KMS is one."""

    def purge_due(self, now: int, /) -> Sequence[KeyIdentity]:
        """Destroy keys whose time has come."""
        ...

    def rotate_due(self, now: int, /) -> Sequence[KeyIdentity]:
        """Rotate keys that are due."""
        ...


class KeyCare:
    """Looks after the keys at intervals."""

    def __init__(self, open_keys: Callable[[], KeyKeeper], clock: Clock, interval_seconds: float) -> None:
        """Do nothing yet.

        Args:
            open_keys: Gives the KMS; raises CustodyUnavailable while there is none.
            clock: The wall clock.
            interval_seconds: From the end of a round to the next.
        """
        self._open_keys = open_keys
        self._clock = clock
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Do a round now and after each interval, until cancelled."""
        while True:
            await trio.to_thread.run_sync(self.look)
            await trio.sleep(self._interval_seconds)

    def look(self) -> None:
        """Do one round; for a worker thread. What fails now is tried again in the next."""
        try:
            keys = self._open_keys()
        except CustodyUnavailable:
            return  # whoever opens it says why it is not open
        now = self._clock.now()
        for what, work in (("destroyed", keys.purge_due), ("rotated", keys.rotate_due)):
            try:
                done = work(now)
            except (Sealed, NotInitialised):
                continue  # destroying works while sealed, rotating has to wait
            except KmsError as error:
                logger.error("keys that are due were not %s: %s", what, error)
                continue
            for identity in done:
                logger.info("key %s was %s, as it was due", identity, what)
