"""The task that keeps one zone up to date: runs its pipeline when its file changed or signatures are due."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import trio

from signerd.clock import Clock
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.zones.pipeline import PipelineError, ZonePipeline, ZoneState
from signerd.zones.zone_edit import ZoneEdit, check_edit
from signerd.zones.zone_list import Source, ZoneEntry

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 300.0
CHECK_SECONDS = (
    20 * 3600.0
)  # the published version is looked at as a whole this often: daily, and not all at once
CHECK_RETRY_SECONDS = 300.0  # when the keys cannot be had, which say what to expect
ANNOUNCE_SECONDS = 5.0  # bounds how long telling of a version may hold up a task that is cancelled meanwhile
LONGEST_SLEEP_SECONDS = 30.0  # the wall clock is looked at this often, whatever the due time: it may be set


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of bringing a zone up to date."""

    is_published: bool
    error: str | None


@dataclass(slots=True)
class _Batch:
    """Edits that are published together: those that arrive while a version is being made.

    Attributes:
        outcome: What came of them, once they are done; before that, what comes of them if nobody takes them.
        edit: All of them.
        done: Set when they were taken in, and published unless something stood in the way.
    """

    outcome: Outcome
    edit: dict[Name, Mapping[int, RRset]] = field(default_factory=dict[Name, Mapping[int, RRset]])
    done: trio.Event = field(default_factory=trio.Event)


class ZoneKeeper:
    """Runs a zone's pipeline in worker threads, one step at a time."""

    def __init__(
        self,
        pipeline: ZonePipeline,
        clock: Clock,
        limiter: trio.CapacityLimiter,
        on_published: Callable[["ZoneKeeper"], Awaitable[None]],
        check_limiter: trio.CapacityLimiter | None = None,
    ) -> None:
        """Prepare; `restore`, then `run`.

        Args:
            pipeline: The zone's pipeline.
            clock: Tells when signatures are due.
            limiter: How many zones may be at work at a time.
            on_published: Awaited for each new version, as soon as it is on the disk.
            check_limiter: How many published versions may be looked at as a whole at a time.
        """
        self._pipeline = pipeline
        self._clock = clock
        self._limiter = limiter
        self._on_published = on_published
        self._check_limiter = check_limiter or trio.CapacityLimiter(1)
        self._batch = _Batch(self._describe_end())
        self._busy = trio.Lock()
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._read_file = True
        self._is_ended = False
        self._attempted = trio.Event()  # set and replaced after each attempt
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
            self._batch.done.set()

    async def wait_for_data(self, data_version: int) -> None:
        """Wait until a version of the data of a zone of the API is served, or an attempt to that failed.

        The caller bounds the waiting.
        """
        while (self.state.published_data_version or 0) < data_version:
            if (self.state.data_version or 0) >= data_version and self.state.last_error is not None:
                return
            await self._attempted.wait()

    async def reload(self, *, allow_mass_deletion: bool = False) -> Outcome:
        """Read the zone file now, and say what came of it."""
        outcome = await self._advance(read_file=True, allow_mass_deletion=allow_mass_deletion)
        error = self.state.file_error or outcome.error
        return Outcome(outcome.is_published, error)

    async def edit(self, edit: ZoneEdit) -> Outcome:
        """Take in a change of the zone's data now, and say what came of it.

        It stays, also if it cannot be published now or nobody waits for it any more: then it is in the next
        version. Edits that arrive while a version is being made are published together, in one after it.

        Raises:
            BadEdit: No zone can have that; nothing is taken in.
        """
        check_edit(self.entry.name, edit)
        batch = self._batch
        batch.edit.update(edit)
        self._wake.set()
        if self._is_ended:
            return self._describe_end()
        await batch.done.wait()
        return batch.outcome

    async def run(self) -> None:
        """Keep the zone up to date until cancelled or stopped."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._check_now_and_then)
                await self._keep_up_to_date()

    async def _check_now_and_then(self) -> None:
        """Look at the published version as a whole, at the start and then daily."""
        await self.started.wait()
        while True:
            wait_seconds = CHECK_SECONDS
            try:
                is_good = await trio.to_thread.run_sync(
                    self._pipeline.check_published, limiter=self._check_limiter
                )
            except PipelineError as error:
                logger.warning("zone %s: the published version is not checked: %s", self.entry.text, error)
                wait_seconds = CHECK_RETRY_SECONDS
            else:
                if not is_good:
                    self._wake.set()
            await trio.sleep(wait_seconds)

    async def _keep_up_to_date(self) -> None:
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            self._wake = trio.Event()
            read_file, self._read_file = self._read_file, False
            outcome = await self._advance(read_file=read_file)
            self.started.set()
            if outcome.error is None:
                retry_seconds = FIRST_RETRY_SECONDS
                await self._wait_until_due()
                continue
            if self.entry.source is Source.API:
                self._read_file = True  # the rows may be what could not be read
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

    async def _advance(self, *, read_file: bool, allow_mass_deletion: bool = False) -> Outcome:
        """Run the pipeline once, with all edits that have arrived."""
        try:
            return await self._advance_alone(read_file=read_file, allow_mass_deletion=allow_mass_deletion)
        finally:
            self._attempted.set()
            self._attempted = trio.Event()

    async def _advance_alone(self, *, read_file: bool, allow_mass_deletion: bool) -> Outcome:
        async with self._busy:
            batch, self._batch = self._batch, _Batch(self._describe_end())
            try:
                if not self._is_ended:
                    batch.outcome = await self._advance_with(
                        batch.edit, read_file=read_file, allow_mass_deletion=allow_mass_deletion
                    )
            finally:
                batch.done.set()
            return batch.outcome

    def _describe_end(self) -> Outcome:
        return Outcome(is_published=False, error=f"zone {self.entry.text} was taken out of service")

    async def _advance_with(self, edit: ZoneEdit, *, read_file: bool, allow_mass_deletion: bool) -> Outcome:
        is_announced = trio.Event()
        token = trio.lowlevel.current_trio_token()
        waiting = trio.CancelScope(
            shield=True
        )  # the worker thread goes on too, should this task be cancelled

        async def tell() -> None:
            with waiting:
                await is_announced.wait()
                with trio.move_on_after(ANNOUNCE_SECONDS):
                    await self._on_published(self)

        def advance() -> bool:
            return self._pipeline.advance(
                read_file=read_file,
                edit=edit,
                allow_mass_deletion=allow_mass_deletion,
                announce=lambda: token.run_sync_soon(is_announced.set),
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell)
            try:
                is_published = await trio.to_thread.run_sync(advance, limiter=self._limiter)
            except (PipelineError, OSError) as error:
                return Outcome(is_published=False, error=str(error))
            finally:
                if not is_announced.is_set():
                    waiting.cancel()
        if is_published:
            logger.info("zone %s: serial %d is published", self.entry.text, self.state.floor)
        return Outcome(is_published, None)
