"""All receivers: what goes into the outbox, the lanes that empty it, and what the operator may ask."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import trio
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from signerd.alarm.alarm import Alarm, AlarmEvent, EventKind
from signerd.custody import CustodyUnavailable
from signerd.webhook import outbox
from signerd.webhook.lane import WAIT_SECONDS, Lane, LaneParts, Waits
from signerd.webhook.message import make_body
from signerd.webhook.outbox import Backlog
from signerd.webhook.sender import Verdict
from signerd.webhook.webhook import Webhook
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)


class WebhookUnknown(Exception):
    """No receiver of that name or URL is configured."""

    code = "webhook.unknown"


@dataclass(frozen=True, slots=True)
class LaneReport:
    """How it stands with a receiver.

    Attributes:
        webhook: The receiver.
        sent: Events delivered since the start.
        failed: Attempts that failed since the start.
        given_up: Events given up since the start.
        last_error: Of the last attempt; None if it was good.
        backlog: What waits; None while the database is closed.
    """

    webhook: Webhook
    sent: int
    failed: int
    given_up: int
    last_error: str | None
    backlog: Backlog | None


class Courier:
    """Delivers events to all receivers; one that is down holds up no other."""

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        parts: LaneParts,
        server: str,
        on_alarms: Callable[[Sequence[Alarm]], None],
    ) -> None:
        """Do nothing yet.

        Args:
            webhooks: The receivers.
            parts: What is needed to deliver; trouble is told to this courier.
            server: Name of this machine.
            on_alarms: Told all that is wrong with receivers.
        """
        self._parts = parts = replace(parts, on_trouble=self.note_trouble)
        self._server = server
        self._on_alarms = on_alarms
        self._trouble: dict[str, str] = {}
        self._heard_of: set[str] = set()  # receivers of which it is known how it stands
        self._lanes = [Lane(webhook, parts) for webhook in webhooks]

    def note_trouble(self, name: str, trouble: str | None) -> None:
        """Take note of what is wrong with a receiver, or that it is over; any thread."""
        is_known = name in self._heard_of
        if self._trouble.get(name) == trouble and is_known:
            return
        self._heard_of.add(name)
        if trouble is None:
            self._trouble.pop(name, None)
        else:
            self._trouble[name] = trouble
        if not self._trouble and len(self._heard_of) < len(self._lanes):
            return  # what was wrong before a restart is over, or goes on: others may have been in trouble
        self._on_alarms(
            [
                Alarm("webhook.failing", f"webhook {failing}: {text}", "the operator")
                for failing, text in sorted(self._trouble.copy().items())
            ]
        )

    def add_events(self, connection: Connection, events: Sequence[AlarmEvent]) -> None:
        """Put events into the outbox, inside a transaction."""
        webhooks = [lane.webhook for lane in self._lanes]
        dropped = outbox.add_events(connection, webhooks, events, self._server, self._parts.now())
        for lane in self._lanes:
            if count := dropped.get(lane.webhook.name):
                lane.note_dropped(count)

    def wake(self) -> None:
        """Look for new events now; called in the event loop."""
        for lane in self._lanes:
            lane.wake()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while not await trio.to_thread.run_sync(self._tidy):  # noqa: ASYNC110  # a database may come back
            await trio.sleep(WAIT_SECONDS)
        if not self._lanes:
            self._on_alarms(())
        async with trio.open_nursery() as nursery:
            for lane in self._lanes:
                nursery.start_soon(lane.run)

    def _tidy(self) -> bool:
        """Give up what is for receivers that are not configured any more."""
        names = [lane.webhook.name for lane in self._lanes]
        try:
            gone = self._parts.open_store().write(lambda connection: outbox.drop_unknown(connection, names))
        except (CustodyUnavailable, KmsError, SQLAlchemyError):
            return False
        if gone:
            logger.warning("%d events for webhooks that are not configured any more are given up", gone)
        return True

    # What the operator asks

    def report(self) -> list[LaneReport]:
        """Say how it stands with each receiver; for a worker thread."""
        reports: list[LaneReport] = []
        for lane in self._lanes:
            backlog = None
            try:
                with self._parts.open_store().read() as connection:
                    backlog = outbox.count_backlog(connection, lane.webhook.name)
            except (CustodyUnavailable, KmsError, SQLAlchemyError):
                logger.debug("webhook %s: what waits is not known", lane.webhook.name)
            counts = lane.counts
            reports.append(
                LaneReport(
                    lane.webhook, counts.sent, counts.failed, counts.given_up, counts.last_error, backlog
                )
            )
        return reports

    async def test(self, wanted: str | None) -> Mapping[str, Verdict]:
        """Send a test event to one receiver, or to all.

        Args:
            wanted: Name or URL.

        Returns:
            What came of it, by name.

        Raises:
            WebhookUnknown: There is no such receiver.
        """
        lanes = [lane for lane in self._lanes if wanted in (None, lane.webhook.name, lane.webhook.url)]
        if not lanes:
            known = ", ".join(lane.webhook.name for lane in self._lanes)
            if not known:
                raise WebhookUnknown("no webhooks are configured; see 'webhooks' in config/signerd.yaml")
            raise WebhookUnknown(f"no webhook {wanted!r} is configured; there are: {known}")
        verdicts: dict[str, Verdict] = {}

        async def send(lane: Lane) -> None:
            text = "A test of this webhook: nothing is wrong."
            event = AlarmEvent(EventKind.TEST, "webhook.test", "", text, self._parts.now())
            try:
                verdict = await lane.send_now(event.identity, make_body(event, self._server))
            except Waits as error:
                verdict = Verdict(str(error))
            verdicts[lane.webhook.name] = verdict

        async with trio.open_nursery() as nursery:
            for lane in lanes:
                nursery.start_soon(send, lane)
        return verdicts

    def find_key(self, wanted: str | None) -> str:
        """Give the key of a receiver, or of all if they have the same.

        Raises:
            WebhookUnknown: There is no such receiver, or they have several keys.
        """
        keys = sorted(
            {
                lane.webhook.key
                for lane in self._lanes
                if wanted in (None, lane.webhook.name, lane.webhook.url, lane.webhook.key)
            }
        )
        if len(keys) != 1:
            reason = f"several keys are in use: {', '.join(keys)}; name one" if keys else "no such webhook"
            raise WebhookUnknown(reason)
        return keys[0]
