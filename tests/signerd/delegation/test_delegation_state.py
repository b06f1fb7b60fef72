"""What the answers of the parent mean, as tables and as properties."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.delegation.delegation_state import (
    Alarm,
    DelegationState,
    Intent,
    ProbePlan,
    Stray,
    ZoneDsSets,
    judge,
)
from signerd.delegation.parent_view import ParentView, ServerAnswer

NOW = 1_800_000_000
NEW = (b"\x00\x01\x0d\x02new-256", b"\x00\x01\x0d\x04new-384")
OLD = (b"\x00\x02\x0d\x02old-256", b"\x00\x02\x0d\x04old-384")
GONE = (b"\x00\x03\x0d\x02retired",)
ALIEN = b"\x00\x09\x0d\x02alien"
KEYS = ZoneDsSets(NEW, OLD, GONE)


def see(*sets: set[bytes] | None) -> ParentView:
    """Give the view after each server said its DS set; None for one that is down."""
    return ParentView().take_in(
        [
            ServerAnswer(f"192.0.2.{number}#53", NOW, None, error="timed out")
            if ds is None
            else ServerAnswer(f"192.0.2.{number}#53", NOW, frozenset(ds), 300 if ds else 0)
            for number, ds in enumerate(sets)
        ],
        NOW,
    )


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([set(NEW), set(NEW)], True),
        ([{NEW[0]}, {NEW[1]}], True),  # one digest is enough
        ([{NEW[0]}, set[bytes]()], False),
        ([{NEW[0]}, set(OLD)], False),
        ([{NEW[0]}, None], True),  # a server that is down says nothing
        ([set[bytes](), None], False),
        ([set(OLD)], False),
        ([{ALIEN, NEW[0]}], True),
    ],
)
def test_delegated_if_each_server_that_answered_has_a_matching_ds(
    sets: list[set[bytes] | None], expected: bool
) -> None:
    for was_delegated in (False, True):
        state = judge(see(*sets), KEYS, Intent.SIGNED, was_delegated=was_delegated)
        assert state.is_delegated is expected


@pytest.mark.parametrize("was_delegated", [False, True])
def test_nothing_changes_while_no_server_answers(was_delegated: bool) -> None:
    state = judge(see(None, None), KEYS, Intent.SIGNED, was_delegated=was_delegated)
    assert state.is_delegated is was_delegated


def test_asks_for_the_ds_of_the_current_key_until_all_have_it() -> None:
    assert judge(see(set()), KEYS, Intent.SIGNED).to_add == NEW
    assert judge(see({NEW[0]}, set()), KEYS, Intent.SIGNED).to_add == NEW
    assert judge(see({NEW[0]}), KEYS, Intent.SIGNED).to_add == ()


def test_asks_for_removal_of_the_old_ds_only_when_all_have_the_new_one() -> None:
    assert judge(see({*OLD}, {*OLD, *NEW}), KEYS, Intent.SIGNED).to_remove == ()
    assert judge(see({*OLD, *NEW}), KEYS, Intent.SIGNED).to_remove == OLD


def test_a_stray_ds_is_to_be_removed_at_any_time() -> None:
    assert judge(see({*OLD, ALIEN}), KEYS, Intent.SIGNED).to_remove == (ALIEN,)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([set(NEW)], []),
        ([set(OLD)], []),
        ([{ALIEN, NEW[0]}], [Alarm(ALIEN, Stray.UNKNOWN, breaks=False)]),
        ([{ALIEN}], [Alarm(ALIEN, Stray.UNKNOWN, breaks=True)]),
        ([{ALIEN, NEW[0]}, {ALIEN}], [Alarm(ALIEN, Stray.UNKNOWN, breaks=True)]),
        ([set(GONE)], [Alarm(GONE[0], Stray.RETIRED, breaks=True)]),
        ([set[bytes](), None], []),
    ],
)
def test_a_ds_that_leads_nowhere_is_an_alarm(sets: list[set[bytes] | None], expected: list[Alarm]) -> None:
    assert list(judge(see(*sets), KEYS, Intent.SIGNED).alarms) == expected


def test_an_alarm_names_the_ds_and_its_effect() -> None:
    text = str(Alarm(ALIEN, Stray.UNKNOWN, breaks=True))
    assert text == "the parent's DS 9 13 2 points to no key of the zone; validating resolvers get no answers"


def test_a_zone_that_shall_be_unsigned_asks_for_the_removal_of_all_ds() -> None:
    story: list[tuple[list[set[bytes] | None], set[bytes]]] = [
        ([set(NEW), {*OLD, ALIEN}], {*NEW, *OLD, ALIEN}),
        ([{NEW[0]}, None], {NEW[0]}),
        ([set()], set()),
    ]
    for sets, expected in story:
        state = judge(see(*sets), KEYS, Intent.UNSIGNED)
        assert state.to_add == ()
        assert state.to_remove == tuple(sorted(expected))


def test_a_probe_that_found_no_server_says_nothing_about_ds() -> None:
    view = see(set(NEW), {ALIEN}).fail("no parent")
    assert (view.problem, view.answers, view.ds_anywhere, view.is_complete) == (
        "no parent",
        (),
        frozenset(),
        False,
    )
    for was_delegated in (False, True):
        state = judge(view, KEYS, Intent.SIGNED, was_delegated=was_delegated)
        assert state.is_delegated is was_delegated
        assert (state.to_remove, state.alarms) == ((), ())
    assert see(set(NEW)).problem is None


IDLE = DelegationState(True, (), (), ())


@pytest.mark.parametrize(
    ("state", "chance", "expected"),
    [
        (IDLE, 0.5, 3600),
        (IDLE, 0.0, 3240),
        (replace(IDLE, to_add=NEW), 0.5, 60),
        (replace(IDLE, to_remove=NEW), 0.5, 60),
        (replace(IDLE, alarms=(Alarm(ALIEN, Stray.UNKNOWN, False),)), 0.5, 60),
    ],
)
def test_next_probe(state: DelegationState, chance: float, expected: int) -> None:
    assert ProbePlan().find_next(state, NOW, chance) == NOW + expected


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([50], 50),
        ([61], 60),
        ([0], 60),
        ([-5], 60),
        ([None, None], 60),
        ([None, 50], 50),
        ([40, 50], 40),
        ([-5, 50], 50),
    ],
)
def test_the_next_probe_is_no_later_than_the_next_moment_when_something_is_due(
    moments: list[int | None], expected: int
) -> None:
    state = replace(IDLE, to_add=NEW)
    due = [None if moment is None else NOW + moment for moment in moments]
    assert ProbePlan().find_next(state, NOW, 0.5, due) == NOW + expected


ds_sets = st.sets(st.sampled_from([*NEW, *OLD, *GONE, ALIEN]))
parents = st.lists(st.one_of(st.none(), ds_sets), max_size=3)
dues = st.lists(st.one_of(st.none(), st.integers(NOW - 9000, NOW + 9000)), max_size=2)


@given(parents, st.sampled_from(Intent), st.booleans(), dues, st.floats(0, 1, exclude_max=True))
def test_whatever_the_parent_says_nothing_that_carries_the_zone_is_to_go(
    sets: list[set[bytes] | None],
    intent: Intent,
    was_delegated: bool,
    moments: list[int | None],
    chance: float,
) -> None:
    view = see(*sets)
    state = judge(view, KEYS, intent, was_delegated=was_delegated)
    assert view.ds_anywhere.issuperset(state.to_remove)
    assert {alarm.ds for alarm in state.alarms} == view.ds_anywhere - KEYS.published
    if intent is Intent.SIGNED:
        assert bool(state.to_add) is not state.is_delegated
        kept = view.ds_anywhere - set(state.to_remove)
        for ds in sets:  # what makes answers of a server valid does so afterwards
            if ds is not None and not ds.isdisjoint(KEYS.published):
                assert not kept.isdisjoint(ds & KEYS.published)
    following = ProbePlan().find_next(state, NOW, chance, moments)
    assert NOW < following <= NOW + 3600 * 1.1
    assert all(following <= moment for moment in moments if moment is not None and moment > NOW)
