"""The text that Prometheus gets of zones, alarms and webhooks."""

from prometheus_client import CollectorRegistry, generate_latest

from signerd.api.server_metrics import (
    AlarmFigure,
    ServerCollector,
    ServerFigures,
    WebhookFigures,
    ZoneFigures,
)


def print_figures(figures: ServerFigures) -> set[str]:
    """Give the samples of a request."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(lambda: figures))
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_each_zone_has_its_figures() -> None:
    zones = [
        ZoneFigures("a.test", 432_000, 0, True, 1_800_000_000),
        ZoneFigures("b.test", -5, 90, False, None),
        ZoneFigures("unsigned.test", None, 0, None, None),
    ]
    assert print_figures(ServerFigures(zones)) == {
        'signerd_zone_runway_seconds{zone="a.test"} 432000.0',
        'signerd_zone_runway_seconds{zone="b.test"} -5.0',
        'signerd_zone_sign_error_age_seconds{zone="a.test"} 0.0',
        'signerd_zone_sign_error_age_seconds{zone="b.test"} 90.0',
        'signerd_zone_sign_error_age_seconds{zone="unsigned.test"} 0.0',
        'signerd_zone_ds_delegated{zone="a.test"} 1.0',
        'signerd_zone_ds_delegated{zone="b.test"} 0.0',
        'signerd_zone_next_key_event_timestamp_seconds{zone="a.test"} 1.8e+09',
    }


def test_alarms_have_their_age_and_webhooks_their_counts() -> None:
    figures = ServerFigures(
        alarms=[AlarmFigure("a.test", "dnssec.ds_stray", 7200), AlarmFigure("", "kms.sealed", 3)],
        webhooks=[WebhookFigures("ops", 5, 2, 1, 4), WebhookFigures("closed", 0, 0, 0, None)],
    )
    assert print_figures(figures) == {
        'signerd_alarm_age_seconds{code="dnssec.ds_stray",zone="a.test"} 7200.0',
        'signerd_alarm_age_seconds{code="kms.sealed",zone=""} 3.0',
        'signerd_webhook_sent_total{webhook="ops"} 5.0',
        'signerd_webhook_sent_total{webhook="closed"} 0.0',
        'signerd_webhook_failed_attempts_total{webhook="ops"} 2.0',
        'signerd_webhook_failed_attempts_total{webhook="closed"} 0.0',
        'signerd_webhook_given_up_total{webhook="ops"} 1.0',
        'signerd_webhook_given_up_total{webhook="closed"} 0.0',
        'signerd_webhook_waiting{webhook="ops"} 4.0',
    }


def test_names_that_look_like_syntax_stay_names() -> None:
    [line] = print_figures(ServerFigures(alarms=[AlarmFigure('a"b\\c.test', "x.y", 1)]))
    assert line == 'signerd_alarm_age_seconds{code="x.y",zone="a\\"b\\\\c.test"} 1.0'
