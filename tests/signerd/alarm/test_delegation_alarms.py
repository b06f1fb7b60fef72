"""What has to be done at the parent of a zone of the API."""

import pytest

from signerd.alarm.delegation_alarms import FIRST_DS_SECONDS, find_delegation_alarms
from signerd.delegation.delegation_state import Intent, ZoneDsSets, judge
from signerd.delegation.parent_view import ParentView, ServerAnswer
from signerd.zone_dnssec.delegation_news import DelegationNews

NOW = 1_800_000_000
OLD, NEW, STRANGER = (tag.to_bytes(2) + bytes((13, 2)) + bytes(32) for tag in (11, 22, 33))
READY = NOW - 10


def find(
    *parent: bytes,
    current: bytes = NEW,
    outgoing: tuple[bytes, ...] = (),
    intent: Intent = Intent.SIGNED,
    not_before: int | None = READY,
) -> list[tuple[str, int | None]]:
    """Give codes and begin times, for a parent with these DS records."""
    view = ParentView().take_in([ServerAnswer("192.0.2.1#53", NOW, frozenset(parent), 300)], NOW)
    state = judge(view, ZoneDsSets((current,), outgoing), intent, NOW)
    alarms = find_delegation_alarms(DelegationNews(state, intent, bool(outgoing), not_before), NOW)
    return [(alarm.code, alarm.since) for alarm in alarms]


def test_a_zone_whose_parent_has_its_ds_is_in_order() -> None:
    assert find(NEW) == []


@pytest.mark.parametrize(
    ("not_before", "expected"),
    [
        (None, []),
        (NOW + 100, []),
        (NOW - FIRST_DS_SECONDS + 1, []),
        (NOW - FIRST_DS_SECONDS, [("dnssec.ds_missing", NOW - FIRST_DS_SECONDS)]),
    ],
)
def test_a_first_ds_is_missed_a_day_after_it_could_be_there(
    not_before: int | None, expected: list[tuple[str, int | None]]
) -> None:
    assert find(not_before=not_before) == expected


def test_a_key_change_waits_for_the_new_ds_from_when_it_may_be_there() -> None:
    assert find(OLD, outgoing=(OLD,)) == [("rollover.parent_must_act", READY)]
    assert find(OLD, outgoing=(OLD,), not_before=NOW + 100) == []


def test_and_then_for_the_old_one_to_go() -> None:
    assert find(OLD, NEW, outgoing=(OLD,)) == [("rollover.parent_must_act", None)]
    assert find(NEW, outgoing=(OLD,)) == []


def test_a_zone_that_shall_be_unsigned_waits_for_its_ds_to_go() -> None:
    assert find(NEW, intent=Intent.UNSIGNED) == [("rollover.parent_must_act", None)]
    assert find(intent=Intent.UNSIGNED) == []


def test_a_ds_that_breaks_the_zone_is_another_alarm_than_one_that_is_only_too_much() -> None:
    assert find(NEW, STRANGER) == [("dnssec.ds_stray", None)]
    assert find(STRANGER) == [("dnssec.delegation_broken", None)]
