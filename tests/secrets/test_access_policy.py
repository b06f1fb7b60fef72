import json
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from signerd_secrets.access_policy import AccessPolicy, Action, Visitor, parse_policy
from signerd_secrets.errors import AccessDenied, InvalidPolicy

NOON = int(datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("UTC")).timestamp())
ALICE = frozenset({"user:alice", "team:platform", "team:team-1"})


def parse(document: dict[str, object]) -> AccessPolicy:
    policy = parse_policy(document)
    assert policy is not None
    return policy


def allows(
    policy: AccessPolicy,
    action: Action = Action.REVEAL,
    *,
    principals: frozenset[str] = ALICE,
    address: str | None = "192.0.2.7",
    now: int = NOON,
) -> bool:
    try:
        policy.require(action, Visitor(principals, address, now))
    except AccessDenied:
        return False
    return True


def ip(effect: str, *cidrs: str) -> dict[str, object]:
    return {"type": "ip", "effect": effect, "cidrs": list(cidrs)}


def hours(effect: str, start: int, end: int, zone: str | None = None) -> dict[str, object]:
    condition: dict[str, object] = {"type": "time", "effect": effect, "startHour": start, "endHour": end}
    return condition if zone is None else {**condition, "timezone": zone}


def statement(
    effect: str, actions: Sequence[str] | None, principals: Sequence[str] | None
) -> dict[str, object]:
    entry: dict[str, object] = {"effect": effect}
    if actions is not None:
        entry["actions"] = list(actions)
    if principals is not None:
        entry["principals"] = list(principals)
    return entry


@pytest.mark.parametrize("document", [None, {}, {"conditions": []}, {"conditions": None, "statements": []}])
def test_an_empty_document_is_no_policy(document: dict[str, object] | None) -> None:
    assert parse_policy(document) is None


def test_a_document_is_kept_as_received() -> None:
    document: dict[str, object] = {
        "statements": [statement("Allow", ["read", "Odd"], ["team:platform"])],
        "conditions": [hours("DENY", 22, 6), ip("allow", "10.0.0.1/8")],
    }
    assert json.loads(parse(document).render()) == document
    assert list(json.loads(parse(document).render())) == ["statements", "conditions"]


@pytest.mark.parametrize(
    ("conditions", "address", "expected"),
    [
        ([ip("allow", "192.0.2.0/24")], "192.0.2.7", True),
        ([ip("allow", "192.0.2.0/24")], "198.51.100.1", False),
        ([ip("allow", "192.0.2.7")], "192.0.2.7", True),
        ([ip("deny", "192.0.2.0/24")], "192.0.2.7", False),
        ([ip("deny", "192.0.2.0/24")], "198.51.100.1", True),
        ([ip("allow", "0.0.0.0/0"), ip("deny", "192.0.2.7")], "192.0.2.7", False),
        ([ip("allow", "2001:db8::/32")], "2001:db8::1", True),
        ([ip("allow", "2001:db8::/32")], "192.0.2.7", False),
        ([ip("allow", "192.0.2.0/24")], "::ffff:192.0.2.7", True),
        ([ip("allow", "::ffff:192.0.2.0/120")], "192.0.2.7", True),
        ([ip("allow", "192.0.2.5/24")], "192.0.2.7", True),
        ([ip("Allow", "198.51.100.0/24", "192.0.2.0/24")], "192.0.2.7", True),
        ([ip("allow", "0.0.0.0/0", "::/0")], None, False),
        ([ip("deny", "0.0.0.0/0", "::/0")], None, True),
    ],
)
def test_addresses(conditions: list[object], address: str | None, expected: bool) -> None:
    assert allows(parse({"conditions": conditions}), address=address) is expected


@pytest.mark.parametrize(
    ("window", "local", "expected"),
    [
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 7, 1, 8, 0, "Europe/Amsterdam"), True),
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 7, 1, 7, 59, "Europe/Amsterdam"), False),
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 7, 1, 17, 59, "Europe/Amsterdam"), True),
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 7, 1, 18, 0, "Europe/Amsterdam"), False),
        # winter and summer: the same hour of UTC is another one on the wall
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 1, 15, 7, 30, "UTC"), True),
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 7, 15, 6, 30, "UTC"), True),
        (hours("allow", 8, 18, "Europe/Amsterdam"), (2026, 1, 15, 6, 30, "UTC"), False),
        (hours("allow", 22, 6), (2026, 7, 1, 23, 0, "UTC"), True),
        (hours("allow", 22, 6), (2026, 7, 1, 5, 59, "UTC"), True),
        (hours("allow", 22, 6), (2026, 7, 1, 6, 0, "UTC"), False),
        (hours("deny", 22, 6), (2026, 7, 1, 23, 0, "UTC"), False),
        (hours("allow", 18, 24), (2026, 7, 1, 23, 59, "UTC"), True),
        (hours("allow", 0, 24), (2026, 7, 1, 0, 0, "UTC"), True),
        (hours("allow", 22, 0), (2026, 7, 1, 23, 0, "UTC"), True),
        (hours("allow", 22, 0), (2026, 7, 1, 0, 0, "UTC"), False),
        # an hour that daylight saving repeats is inside both times
        (hours("allow", 2, 3, "Europe/Amsterdam"), (2026, 10, 25, 0, 30, "UTC"), True),
        (hours("allow", 2, 3, "Europe/Amsterdam"), (2026, 10, 25, 1, 30, "UTC"), True),
        (hours("allow", 2, 3, "Europe/Amsterdam"), (2026, 10, 25, 2, 30, "UTC"), False),
    ],
)
def test_hours(window: object, local: tuple[int, int, int, int, int, str], expected: bool) -> None:
    *parts, zone = local
    year, month, day, hour, minute = (int(part) for part in parts)
    now = int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(str(zone))).timestamp())
    assert allows(parse({"conditions": [window]}), now=now) is expected


def test_allow_conditions_are_joined_by_or() -> None:
    policy = parse({"conditions": [ip("allow", "10.0.0.0/8"), hours("allow", 0, 24)]})
    assert allows(policy, address="192.0.2.7")


@pytest.mark.parametrize(
    ("entries", "action", "principals", "expected"),
    [
        ([statement("Allow", ["read"], ["team:platform"])], Action.REVEAL, ALICE, True),
        ([statement("Allow", ["read"], ["team:other"])], Action.REVEAL, ALICE, False),
        # an allow for reading says nothing of writing
        ([statement("Allow", ["read"], ["team:other"])], Action.ADD_VERSION, ALICE, True),
        ([statement("Allow", ["write"], ["user:alice"])], Action.ADD_VERSION, ALICE, True),
        ([statement("Deny", ["*"], ["user:alice"])], Action.REVEAL, ALICE, False),
        ([statement("Deny", ["*"], ["user:bob"])], Action.REVEAL, ALICE, True),
        ([statement("Deny", None, None)], Action.ADD_VERSION, ALICE, False),
        ([statement("Allow", [], []), statement("Deny", ["read"], ["*"])], Action.REVEAL, ALICE, False),
        ([statement("allow", ["SECRETS:GET-VALUE"], ["*"])], Action.REVEAL, ALICE, True),
        ([statement("Allow", ["reboot"], ["user:bob"])], Action.REVEAL, ALICE, True),
        (
            [statement("Allow", ["read"], ["serviceAccount:sa-1"])],
            Action.REVEAL,
            frozenset({"serviceAccount:sa-1"}),
            True,
        ),
        ([statement("Allow", ["read"], ["user:ALICE"])], Action.REVEAL, ALICE, False),
    ],
)
def test_statements(
    entries: list[object], action: Action, principals: frozenset[str], expected: bool
) -> None:
    assert allows(parse({"statements": entries}), action, principals=principals) is expected


@pytest.mark.parametrize(
    ("name", "action"),
    [
        *(
            (name, Action.REVEAL)
            for name in ("getSecretValue", "secrets:get-value", "secrets:getSecretValue", "read")
        ),
        *(
            (name, Action.ADD_VERSION)
            for name in ("putSecretValue", "secrets:put-value", "secrets:putSecretValue", "write")
        ),
    ],
)
def test_each_name_of_an_action_gates_that_action_alone(name: str, action: Action) -> None:
    policy = parse({"statements": [statement("deny", [name], None)]})
    assert not allows(policy, action)
    (other,) = set(Action) - {action}
    assert allows(policy, other)


def test_statements_do_not_lift_what_a_condition_denies() -> None:
    policy = parse(
        {"conditions": [ip("deny", "192.0.2.7")], "statements": [statement("Allow", ["*"], ["user:alice"])]}
    )
    assert not allows(policy)


@pytest.mark.parametrize(
    "document",
    [
        {"condition": []},
        {"conditions": {}},
        {"conditions": ["ip"]},
        {"conditions": [{"type": "mac", "effect": "allow"}]},
        {"conditions": [{"effect": "allow", "cidrs": ["10.0.0.0/8"]}]},
        {"conditions": [ip("permit", "10.0.0.0/8")]},
        {"conditions": [{"type": "ip", "cidrs": ["10.0.0.0/8"]}]},
        {"conditions": [ip("allow")]},
        {"conditions": [ip("allow", "10.0.0.0/33")]},
        {"conditions": [ip("allow", "10.0.0")]},
        {"conditions": [ip("allow", "fe80::1%eth0")]},
        {"conditions": [{**ip("allow", "10.0.0.0/8"), "note": "x"}]},
        {"conditions": [{"type": "ip", "effect": "allow", "cidrs": "10.0.0.0/8"}]},
        {"conditions": [{"type": "ip", "effect": "allow", "cidrs": [10]}]},
        {"conditions": [hours("allow", 8, 8)]},
        {"conditions": [hours("allow", 24, 8)]},
        {"conditions": [hours("allow", -1, 8)]},
        {"conditions": [hours("allow", 8, 25)]},
        {"conditions": [{"type": "time", "effect": "allow", "startHour": True, "endHour": 8}]},
        {"conditions": [{"type": "time", "effect": "allow", "startHour": "8", "endHour": 9}]},
        {"conditions": [{"type": "time", "effect": "allow", "endHour": 9}]},
        {"conditions": [hours("allow", 8, 9, "Europe/Atlantis")]},
        {"conditions": [hours("allow", 8, 9, "../UTC")]},
        {"statements": [statement("maybe", ["read"], None)]},
        {"statements": [{"actions": ["read"]}]},
        {"statements": [{"effect": "Allow", "sid": "x"}]},
        {"statements": [{"effect": "Allow", "actions": "read"}]},
        {"statements": [statement("Allow", ["read"] * 101, None)]},
        {"statements": [statement("Allow", ["read"], None)] * 101},
        {"statements": [statement("Allow", ["\ud800"], None)]},
    ],
)
def test_refuses_what_it_cannot_enforce(document: dict[str, object]) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(document)


def test_a_denial_says_nothing_of_the_policy() -> None:
    policy = parse({"statements": [statement("Deny", ["read"], None)]})
    with pytest.raises(AccessDenied, match=r"^access policy denied$"):
        policy.require(Action.REVEAL, Visitor(ALICE, None, NOON))
