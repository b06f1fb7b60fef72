"""Brings the events of one receiver to it, one after the other."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from signerd.custody import CustodyUnavailable
from signerd.webhook import outbox
from signerd.webhook.message import KeySignature, make_headers, make_signed_octets
from signerd.webhook.outbox import Delivery
from signerd.webhook.patience import LONGEST_PAUSE_SECONDS, find_delay
from signerd.webhook.sender import Send, Verdict
from signerd.webhook.signing_key import WebhookKeyRefused
from signerd.webhook.webhook import Webhook
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import KmsError, NotInitialised, Sealed

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 3600.0  # new events wake the lane
WAIT_SECONDS: Final = 15.0  # for a KMS that is sealed, or a database that fails
FAILING_AFTER: Final = 5  # failures in a row make an alarm


class Sign(Protocol):
    """Signs with a key of the KMS; blocks."""

    def __call__(self, reference: str, data: bytes, /) -> KeySignature:
        """Sign. Raises CustodyUnavailable, WebhookKeyRefused, KmsError."""
        ...


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What all lanes share.

    Attributes:
        open_store: Gives the database; raises CustodyUnavailable while it is closed.
        sign: Signs.
        send: Makes an attempt.
        now: The wall clock, epoch seconds.
        monotonic: A clock that nobody sets.
        agent: Name and version of this program.
        on_trouble: Told the name of a receiver and what is wrong with it; None once it is over.
        chance: Gives a number from 0 up to 1, at random.
    """

    open_store: Callable[[], AuditedStore]
    sign: Sign
    send: Send
    now: Callable[[], int]
    monotonic: Callable[[], float]
    agent: str
    on_trouble: Callable[[str, str | None], None] = lambda _name, _trouble: None
    chance: Callable[[], float] = random.random


@dataclass
class LaneCounts:
    """What has become of events since the start, and what the last failure was."""

    sent: int = 0
    failed: int = 0  # attempts
    given_up: int = 0  # events
    last_error: str | None = None


class Waits(Exception):
    """Nothing can be delivered now, and no attempt was made; the text says why."""


@dataclass
class Lane:
    """The events of one receiver.

    Attributes:
        webhook: The receiver.
        parts: What all lanes share.
        counts: For metrics.
    """

    webhook: Webhook
    parts: LaneParts
    counts: LaneCounts = field(default_factory=LaneCounts)
    _failures: int = 0  # in a row, of attempts that say something about the receiver
    _refusals: int = 0  # in a row
    _paused_until: float = 0.0
    _woken: trio.Event = field(default_factory=trio.Event)

    def wake(self) -> None:
        """Look for new events now; called in the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._woken = trio.Event()
            seconds = await self.deliver()
            with trio.move_on_after(seconds):
                await self._woken.wait()

    async def deliver(self) -> float:
        """Deliver what is due.

        Returns:
            Seconds until to look again.
        """
        while True:
            pause = self._paused_until - self.parts.monotonic()
            if pause > 0:
                return pause
            try:
                found = await trio.to_thread.run_sync(self._find_due)
                if not isinstance(found, Delivery):
                    return found
                verdict = await self._attempt(found)
                await trio.to_thread.run_sync(self._note, found, verdict)
            except Waits as error:
                if self.counts.last_error != str(error):
                    logger.warning("webhook %s: deliveries wait: %s", self.webhook.name, error)
                self.counts.last_error = str(error)
                return WAIT_SECONDS
            except (CustodyUnavailable, KmsError, SQLAlchemyError) as error:
                self.counts.last_error = str(error)  # whoever closed it says why
                return WAIT_SECONDS

    async def _attempt(self, delivery: Delivery) -> Verdict:
        headers, body = await trio.to_thread.run_sync(self._prepare, delivery.event, delivery.body)
        return await self.parts.send(self.webhook, headers, body)

    def _prepare(self, event: str, body: str) -> tuple[dict[str, str], bytes]:
        now, octets = self.parts.now(), body.encode()
        try:
            signature = self.parts.sign(self.webhook.key, make_signed_octets(now, octets))
        except (Sealed, NotInitialised, CustodyUnavailable) as error:
            raise Waits(str(error)) from error
        except (WebhookKeyRefused, KmsError) as error:
            self.parts.on_trouble(self.webhook.name, f"its events cannot be signed: {error}")
            raise Waits(str(error)) from error
        return dict(make_headers(event, now, signature, self.parts.agent)), octets

    async def send_now(self, event: str, body: str) -> Verdict:
        """Make one attempt beside the outbox, for a test.

        Raises:
            Waits: It cannot be signed now.
        """
        headers, octets = await trio.to_thread.run_sync(self._prepare, event, body)
        return await self.parts.send(self.webhook, headers, octets)

    # In worker threads

    def _find_due(self) -> Delivery | float:
        """Give what is to be delivered now, or the seconds until something may be."""
        now, name = self.parts.now(), self.webhook.name
        store = self.parts.open_store()
        before = now - self.webhook.max_age_seconds
        while True:
            with store.read() as connection:
                found = outbox.find_due(connection, name, now)
                following = None if found else outbox.find_next_attempt(connection, name)
            if found is None:
                return IDLE_SECONDS if following is None else min(float(following - now), IDLE_SECONDS)
            if found.created_at >= before:
                return found
            gone = store.write(lambda connection: outbox.drop_old(connection, name, before))
            self._note_given_up(gone, "they are too old")

    def _note_given_up(self, count: int, reason: str) -> None:
        self.counts.given_up += count
        logger.error("webhook %s: %d events are given up: %s", self.webhook.name, count, reason)

    def note_dropped(self, count: int) -> None:
        """Take note of events that were given up because too many wait."""
        self._note_given_up(count, f"more than {self.webhook.max_waiting} wait")

    def _note(self, delivery: Delivery, verdict: Verdict) -> None:
        if verdict.reason is None:
            self._note_success(delivery)
        else:
            self._note_failure(delivery, verdict, verdict.reason)

    def _note_success(self, delivery: Delivery) -> None:
        now, name = self.parts.now(), self.webhook.name
        was_down = self._failures > 0
        self.counts.sent += 1
        self.counts.last_error = None
        self._failures = self._refusals = 0
        self.parts.on_trouble(name, None)

        def store(connection: Connection) -> None:
            outbox.remove(connection, delivery.number)
            if was_down:
                outbox.hurry(connection, name, now)

        self.parts.open_store().write(store)

    def _note_failure(self, delivery: Delivery, verdict: Verdict, reason: str) -> None:
        now, name = self.parts.now(), self.webhook.name
        self.counts.failed += 1
        is_known = self.counts.last_error == reason
        self.counts.last_error = reason
        if verdict.is_refused:
            self._refusals += 1
        else:
            self._failures += 1
            pause = find_delay(self._failures, self.parts.chance(), LONGEST_PAUSE_SECONDS)
            self._paused_until = self.parts.monotonic() + max(pause, verdict.retry_after)
        level = logging.DEBUG if is_known else logging.WARNING  # the same for days would be noise
        logger.log(level, "webhook %s: event %s is not delivered: %s", name, delivery.event, reason)
        if max(self._failures, self._refusals) >= FAILING_AFTER:
            self.parts.on_trouble(name, f"events cannot be delivered: {reason}")
        attempts = delivery.attempts + 1
        is_over = attempts >= self.webhook.max_attempts
        delay = max(find_delay(attempts, self.parts.chance()), verdict.retry_after)

        def store(connection: Connection) -> None:
            if is_over:
                outbox.remove(connection, delivery.number)
            else:
                outbox.postpone(connection, delivery, now + max(1, round(delay)), reason)

        self.parts.open_store().write(store)
        if is_over:
            self._note_given_up(1, f"{attempts} attempts failed, the last with {reason}")
