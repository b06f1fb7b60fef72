"""DS records at the parent of a zone of the API that lead nowhere."""

import pytest

from signerd.alarm.delegation_alarms import REGISTRAR, find_delegation_alarms
from signerd.delegation.delegation_state import Intent, ZoneDsSets, judge
from signerd.delegation.parent_view import ParentView, ServerAnswer

OLD, NEW, STRANGER, GONE = (tag.to_bytes(2) + bytes((13, 2)) + bytes(32) for tag in (11, 22, 33, 44))
KEYS = ZoneDsSets((NEW,), (OLD,), (GONE,))


def find(*servers: list[bytes], intent: Intent = Intent.SIGNED) -> list[tuple[str, str]]:
    """Give codes and texts, for a parent whose servers have these DS records."""
    answers = [
        ServerAnswer(f"192.0.2.{number}#53", 1_800_000_000, frozenset(ds), 300 if ds else 0)
        for number, ds in enumerate(servers)
    ]
    alarms = find_delegation_alarms(judge(ParentView().take_in(answers, 1_800_000_000), KEYS, intent))
    assert {alarm.who for alarm in alarms} <= {REGISTRAR}
    return [(alarm.code, alarm.text) for alarm in alarms]


@pytest.mark.parametrize("intent", Intent)
@pytest.mark.parametrize("ds", [[], [NEW], [OLD], [OLD, NEW]])
def test_what_the_parent_has_to_do_is_no_alarm_of_the_delegation(ds: list[bytes], intent: Intent) -> None:
    assert find(ds, intent=intent) == []


@pytest.mark.parametrize("intent", Intent)
def test_a_ds_that_breaks_the_zone_is_another_alarm_than_one_that_is_only_too_much(intent: Intent) -> None:
    [(code, text)] = find([NEW, STRANGER], intent=intent)
    assert code == "dnssec.ds_stray"
    assert text == "the parent's DS 33 13 2 points to no key of the zone"
    [(code, text)] = find([STRANGER], intent=intent)
    assert code == "dnssec.delegation_broken"
    assert text.startswith("the parent's DS 33 13 2 points to no key of the zone; ")
    assert find([NEW], [STRANGER], intent=intent) == [(code, text)], "one broken server is enough"


def test_a_ds_of_a_key_that_left_the_zone_is_named_so_and_each_ds_has_an_alarm() -> None:
    (gone, stranger) = find([NEW, GONE, STRANGER])[::-1]
    assert [code for code, _ in (gone, stranger)] == ["dnssec.ds_stray"] * 2
    assert "44 13 2" in gone[1]
    assert "33 13 2" in stranger[1]
    assert gone[1].replace("44", "33") != stranger[1]
