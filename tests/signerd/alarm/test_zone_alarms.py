"""When a zone is an alarm."""

import pytest

from signerd.alarm.zone_alarms import ZoneCondition, find_zone_alarms

DAY = 86400
NOW = 1_800_000_000
HEALTHY = ZoneCondition(is_published=True, next_due=NOW + DAY, expires_at=NOW + 6 * DAY)


def codes(condition: ZoneCondition) -> list[str]:
    return [alarm.code for alarm in find_zone_alarms(condition, NOW, 3 * DAY)]


def test_a_zone_in_order_has_none() -> None:
    assert codes(HEALTHY) == []


def test_a_zone_that_cannot_be_signed_says_why_and_what_is_served() -> None:
    served = ZoneCondition(is_published=True, last_error="the key is disabled")
    [alarm] = find_zone_alarms(served, NOW, 3 * DAY)
    assert alarm.code == "dnssec.sign_failed"
    assert alarm.text.endswith("the key is disabled; the last good version is served")
    [alarm] = find_zone_alarms(ZoneCondition(is_published=False, last_error="no"), NOW, 3 * DAY)
    assert alarm.text.endswith("the zone is not served")


def test_each_error_has_its_code() -> None:
    condition = ZoneCondition(is_published=True, file_error="line 3", check_error="no NSEC")
    assert codes(condition) == ["zone.file_refused", "zone.check_failed"]


def test_one_reason_is_one_alarm() -> None:
    assert codes(ZoneCondition(is_published=False, last_error="line 3", file_error="line 3")) == [
        "dnssec.sign_failed"
    ]


@pytest.mark.parametrize(
    ("due_ago", "expires_in", "expected"),
    [
        (-DAY, 2 * DAY, []),  # short-lived, and not due yet
        (DAY, 4 * DAY, []),  # overdue, and lasts long
        (4 * DAY, DAY, ["dnssec.runway_short"]),  # half of 5 days
        (10 * DAY, 3 * DAY - 1, ["dnssec.runway_short"]),
        (10 * DAY, 3 * DAY, []),
        (60, 3600, []),  # signatures of hours: most of it is left
        (1800, 1200, ["dnssec.runway_short"]),
        (5 * DAY, 0, ["dnssec.expired"]),
        (5 * DAY, -1, ["dnssec.expired"]),
    ],
)
def test_overdue_signatures_are_an_alarm_before_they_expire(
    due_ago: int, expires_in: int, expected: list[str]
) -> None:
    condition = ZoneCondition(is_published=True, next_due=NOW - due_ago, expires_at=NOW + expires_in)
    assert codes(condition) == expected


def test_the_text_of_an_alarm_does_not_change_with_time_alone() -> None:
    condition = ZoneCondition(is_published=True, next_due=NOW - 4 * DAY, expires_at=NOW + DAY)
    assert find_zone_alarms(condition, NOW, 3 * DAY) == find_zone_alarms(condition, NOW + 60, 3 * DAY)
