"""The task that keeps one zone up to date: runs its pipeline when its file changed or signatures are due."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from signerd.clock import Clock
from signerd.zones.pipeline import PipelineError, ZonePipeline, ZoneState
from signerd.zones.zone_list import ZoneEntry

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 300.0
LONGEST_SLEEP_SECONDS = 30.0  # the wall clock is looked at this often, whatever the due time: it may be set


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of bringing a zone up to date."""

    is_published: bool
    error: str | None


class ZoneKeeper:
    """Runs a zone's pipeline in worker threads, one step at a time."""

    def __init__(
        self,
        pipeline: ZonePipeline,
        clock: Clock,
        limiter: trio.CapacityLimiter,
        on_published: Callable[["ZoneKeeper"], Awaitable[None]],
    ) -> None:
        """Prepare; `restore`, then `run`.

        Args:
            pipeline: The zone's pipeline.
            clock: Tells when signatures are due.
            limiter: How many zones may be at work at a time.
            on_published: Awaited after each new version.
        """
        self._pipeline = pipeline
        self._clock = clock
        self._limiter = limiter
        self._on_published = on_published
        self._busy = trio.Lock()
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._read_file = True
        self._is_ended = False
        self.started = trio.Event()  # set when the first attempt is over

    @property
    def entry(self) -> ZoneEntry:
        """The zone."""
        return self._pipeline.entry

    @property
    def state(self) -> ZoneState:
        """What is known of the zone."""
        return self._pipeline.state

    async def restore(self) -> None:
        """Find the published version, so that it is known before anything is signed."""
        await trio.to_thread.run_sync(self._pipeline.restore, limiter=self._limiter)

    def wake(self, *, read_file: bool) -> None:
        """Have the zone brought up to date soon; called when its file changed or a cause of failure went."""
        self._read_file |= read_file
        self._wake.set()

    async def end(self) -> None:
        """End `run`, and wait until nothing is at work on the zone: another keeper may take it over then."""
        self._is_ended = True
        self._scope.cancel()
        async with self._busy:
            pass

    async def reload(self) -> Outcome:
        """Read the zone file now, and say what came of it."""
        outcome = await self._advance(read_file=True)
        error = self.state.file_error or outcome.error
        return Outcome(outcome.is_published, error)

    async def run(self) -> None:
        """Keep the zone up to date until cancelled or stopped."""
        retry_seconds = FIRST_RETRY_SECONDS
        with self._scope:
            while True:
                self._wake = trio.Event()
                read_file, self._read_file = self._read_file, False
                outcome = await self._advance(read_file=read_file)
                self.started.set()
                if outcome.error is None:
                    retry_seconds = FIRST_RETRY_SECONDS
                    await self._wait_until_due()
                    continue
                with trio.move_on_after(retry_seconds):
                    await self._wake.wait()
                retry_seconds = min(retry_seconds * 2, LONGEST_RETRY_SECONDS)

    async def _wait_until_due(self) -> None:
        while not self._wake.is_set():
            due = self.state.next_due
            remaining = LONGEST_SLEEP_SECONDS if due is None else due - self._clock.now()
            if remaining <= 0:
                return
            with trio.move_on_after(min(remaining, LONGEST_SLEEP_SECONDS)):
                await self._wake.wait()

    async def _advance(self, *, read_file: bool) -> Outcome:
        async with self._busy:
            if self._is_ended:
                return Outcome(is_published=False, error=f"zone {self.entry.text} was taken out of service")
            try:
                is_published = await trio.to_thread.run_sync(
                    lambda: self._pipeline.advance(read_file=read_file), limiter=self._limiter
                )
            except (PipelineError, OSError) as error:
                return Outcome(is_published=False, error=str(error))
            if is_published:
                logger.info("zone %s: serial %d is published", self.entry.text, self.state.floor)
                await self._on_published(self)
            return Outcome(is_published, None)
