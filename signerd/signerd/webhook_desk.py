"""Joins the webhooks to configuration, database and KMS; carries out the commands about them."""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

import trio

from signerd.alarm.alarm import Alarm
from signerd.clock import Clock
from signerd.config.webhook_options import WebhookOptions
from signerd.control.command_server import CommandRefused, Further
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.key_desk import OPERATOR
from signerd.webhook.courier import Courier, LaneReport, WebhookUnknown
from signerd.webhook.lane import LaneParts
from signerd.webhook.sender import send_over_http
from signerd.webhook.signing_key import WebhookKeyRefused, WebhookKeys
from signerd.webhook.webhook import Webhook
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import ExportNotAllowed, KmsError
from signerd_kms.key import Scope
from signerd_kms.kms import Kms

logger = logging.getLogger(__name__)

AGENT: Final = f"signerd/{version('signerd')}"


class WebhookDesk:
    """The receivers of events, and what may be asked of them."""

    def __init__(
        self,
        options: Sequence[WebhookOptions],
        clock: Clock,
        holder: CustodyHolder,
        on_alarms: Callable[[Sequence[Alarm]], None],
    ) -> None:
        """Do nothing yet.

        Args:
            options: The receivers.
            clock: The wall clock.
            holder: Opens the database and the KMS.
            on_alarms: Told all that is wrong with receivers.
        """
        self._holder = holder
        self._keys = WebhookKeys(self._open_kms)
        parts = LaneParts(
            self._open_store, self._keys.sign, send_over_http, clock.now, clock.monotonic, AGENT
        )
        webhooks = [make_webhook(webhook) for webhook in options]
        self.courier = Courier(webhooks, parts, socket.gethostname(), on_alarms)

    def _open_store(self) -> AuditedStore:
        return self._holder.custody.kms.custodian.store

    def _open_kms(self) -> tuple[Kms, Scope]:
        custody = self._holder.custody
        return custody.kms, Scope(custody.platform.organisation, custody.platform.region)

    def list_commands(self) -> Mapping[str, Further]:
        """Give the operator's commands about webhooks."""
        return {"webhook_list": self._list, "webhook_test": self._test, "webhook_secret": self._give_secret}

    async def _list(self, request: Mapping[str, object]) -> dict[str, object]:
        del request
        reports = await trio.to_thread.run_sync(self.courier.report)
        return {"webhooks": [describe_lane(report) for report in reports]}

    async def _test(self, request: Mapping[str, object]) -> dict[str, object]:
        try:
            verdicts = await self.courier.test(_read_text(request, "webhook"))
        except WebhookUnknown as error:
            raise CommandRefused(str(error)) from error
        return {
            "results": [
                {"webhook": name, "delivered": verdict.reason is None, "reason": verdict.reason}
                for name, verdict in sorted(verdicts.items())
            ]
        }

    async def _give_secret(self, request: Mapping[str, object]) -> dict[str, object]:
        number = request.get("version")
        if number is not None and not isinstance(number, int):
            raise CommandRefused("version is no number")
        try:
            key = self.courier.find_key(_read_text(request, "webhook"))
            identity, exported = await trio.to_thread.run_sync(self._keys.export, key, number, OPERATOR)
        except ExportNotAllowed as error:
            reason = "receivers can ask the API instead, see `verify-hmac` in signerd/WEBHOOKS.md"
            raise CommandRefused(f"{error}; {reason}") from error
        except (WebhookUnknown, WebhookKeyRefused, CustodyUnavailable, KmsError) as error:
            raise CommandRefused(str(error)) from error
        logger.warning("the secret of key %s was given out by command", identity)
        return {"key": identity, "version": exported.version, "secret": exported.text}


def make_webhook(options: WebhookOptions) -> Webhook:
    """Take a receiver from its options."""
    return Webhook(
        options.title,
        options.url,
        options.events,
        options.key,
        options.timeout,
        options.max_attempts,
        options.max_age,
        options.max_waiting,
        options.allow_private,
        options.ca_file,
    )


def describe_lane(report: LaneReport) -> dict[str, object]:
    """Describe how it stands with a receiver, for programs."""
    backlog = report.backlog
    return {
        "name": report.webhook.name,
        "url": report.webhook.url,
        "events": list(report.webhook.events),
        "key": report.webhook.key,
        "sent": report.sent,
        "failed_attempts": report.failed,
        "given_up": report.given_up,
        "waiting": None if backlog is None else backlog.waiting,
        "oldest_waiting_at": None if backlog is None else backlog.oldest_at,
        "last_error": report.last_error,
    }


def _read_text(request: Mapping[str, object], name: str) -> str | None:
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise CommandRefused(f"{name} is no text")
    return value
