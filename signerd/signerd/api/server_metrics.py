"""Figures of zones, alarms and webhooks for Prometheus, found when they are asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """A zone. Names are without final dot.

    Attributes:
        zone: Its name.
        runway_seconds: Until the first signature expires, negative when one has; None if it is not signed.
        sign_error_age_seconds: For how long it could not be signed; 0 if it can.
        is_delegated: Whether the parent has its DS; None if that is not known.
        next_key_event_at: When its key timetable takes a step at the latest, epoch seconds; None without one.
    """

    zone: str
    runway_seconds: int | None
    sign_error_age_seconds: int
    is_delegated: bool | None
    next_key_event_at: int | None


@dataclass(frozen=True, slots=True)
class AlarmFigure:
    """An alarm that is on, the oldest of its zone and code."""

    zone: str
    code: str
    age_seconds: int


@dataclass(frozen=True, slots=True)
class WebhookFigures:
    """A receiver of events, since the start of the server; `waiting` is None while the database is closed."""

    name: str
    sent: int
    failed_attempts: int
    given_up: int
    waiting: int | None


@dataclass(frozen=True, slots=True)
class ReadyKeyFigures:
    """RSA keys made ahead, of one type; `taken` and `waited` since the start of the server."""

    key_type: str
    ready: int
    taken: int
    waited: int


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """All of them."""

    zones: Sequence[ZoneFigures] = ()
    alarms: Sequence[AlarmFigure] = ()
    webhooks: Sequence[WebhookFigures] = ()
    ready_keys: Sequence[ReadyKeyFigures] = ()


@dataclass(frozen=True)
class ServerCollector(Collector):
    """Gives Prometheus the figures of the moment.

    Attributes:
        find: Finds them; called in a worker thread for each request.
    """

    find: Callable[[], ServerFigures] = field(repr=False)

    def describe(self) -> Iterable[Metric]:
        """Give nothing: what there is depends on the moment."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give all figures."""
        figures = self.find()
        yield from _collect_zones(figures.zones)
        ages = _make_gauge("signerd_alarm_age_seconds", "For how long an alarm has been on", "zone", "code")
        for alarm in figures.alarms:
            ages.add_metric([alarm.zone, alarm.code], alarm.age_seconds)
        yield ages
        yield from _collect_webhooks(figures.webhooks)
        yield from _collect_ready_keys(figures.ready_keys)


def _collect_zones(zones: Sequence[ZoneFigures]) -> Iterable[Metric]:
    runway = _make_gauge("signerd_zone_runway_seconds", "Until the first signature expires", "zone")
    failing = _make_gauge(
        "signerd_zone_sign_error_age_seconds", "For how long a zone could not be signed; 0 if it can", "zone"
    )
    delegated = _make_gauge("signerd_zone_ds_delegated", "Whether the parent has the DS of the zone", "zone")
    following = _make_gauge(
        "signerd_zone_next_key_event_timestamp_seconds", "When the key timetable takes its next step", "zone"
    )
    for zone in zones:
        failing.add_metric([zone.zone], zone.sign_error_age_seconds)
        if zone.runway_seconds is not None:
            runway.add_metric([zone.zone], zone.runway_seconds)
        if zone.is_delegated is not None:
            delegated.add_metric([zone.zone], int(zone.is_delegated))
        if zone.next_key_event_at is not None:
            following.add_metric([zone.zone], zone.next_key_event_at)
    return (runway, failing, delegated, following)


def _collect_webhooks(webhooks: Sequence[WebhookFigures]) -> Iterable[Metric]:
    sent = _make_counter("signerd_webhook_sent", "Events delivered", "webhook")
    failed = _make_counter("signerd_webhook_failed_attempts", "Attempts to deliver that failed", "webhook")
    given_up = _make_counter("signerd_webhook_given_up", "Events given up", "webhook")
    waiting = _make_gauge("signerd_webhook_waiting", "Events that wait", "webhook")
    for webhook in webhooks:
        sent.add_metric([webhook.name], webhook.sent)
        failed.add_metric([webhook.name], webhook.failed_attempts)
        given_up.add_metric([webhook.name], webhook.given_up)
        if webhook.waiting is not None:
            waiting.add_metric([webhook.name], webhook.waiting)
    return (sent, failed, given_up, waiting)


def _collect_ready_keys(found: Sequence[ReadyKeyFigures]) -> Iterable[Metric]:
    ready = _make_gauge("signerd_kms_ready_keys", "RSA keys made ahead", "type")
    made = _make_counter("signerd_kms_rsa_keys", "RSA keys asked for: ready, or waited for", "type", "source")
    for figures in found:
        ready.add_metric([figures.key_type], figures.ready)
        made.add_metric([figures.key_type, "ready"], figures.taken)
        made.add_metric([figures.key_type, "waited"], figures.waited)
    return (ready, made)


def _make_gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _make_counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)
