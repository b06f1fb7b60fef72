"""The background job that makes RSA keys ahead, one at a time."""

from collections.abc import Callable
from typing import Final, Protocol

import trio

from signerd.custody import CustodyUnavailable
from signerd_kms.key import KeyType

START_SECONDS: Final = 30.0  # leaves the processor to what a start is for: loading and signing zones
LOOK_SECONDS: Final = 5.0  # from seeing that there are enough to looking again


class ReadyKeyMaker(Protocol):
    """Makes keys ahead; the KMS has one."""

    def make_one(self, wanted: int, /) -> KeyType | None:
        """Make a key where fewer than wanted are ready; None if there was nothing to do."""
        ...


class ReadyKeyCare:
    """Keeps keys ready."""

    def __init__(self, open_maker: Callable[[], ReadyKeyMaker], wanted: int) -> None:
        """Do nothing yet.

        Args:
            open_maker: Gives what makes them; raises CustodyUnavailable while there is nothing.
            wanted: Of each type.
        """
        self._open_maker = open_maker
        self._wanted = wanted
        self._limiter = trio.CapacityLimiter(1)  # one processor at most

    async def run(self) -> None:
        """Look again and again until cancelled."""
        if not self._wanted:
            return
        await trio.sleep(START_SECONDS)
        while True:
            # what was begun at the end of the server may be dropped: nobody waits for it
            made = await trio.to_thread.run_sync(
                self._make_one, limiter=self._limiter, abandon_on_cancel=True
            )
            if made is None:
                await trio.sleep(LOOK_SECONDS)

    def _make_one(self) -> KeyType | None:
        try:
            return self._open_maker().make_one(self._wanted)
        except CustodyUnavailable:
            return None
