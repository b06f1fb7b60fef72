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
from signerd.delegation.parent_view import ParentView, ServerAnswer, Sighting

NOW = 1_800_000_000
NEW = (b"\x00\x01\x0d\x02new-256", b"\x00\x01\x0d\x04new-384")
OLD = (b"\x00\x02\x0d\x02old-256", b"\x00\x02\x0d\x04old-384")
GONE = (b"\x00\x03\x0d\x02retired",)
ALIEN = b"\x00\x09\x0d\x02alien"
KEYS = ZoneDsSets(NEW, OLD, GONE)


def say(*sets: set[bytes] | None, at: int = NOW, ttl: int = 300) -> list[ServerAnswer]:
    return [
        ServerAnswer(f"192.0.2.{number}#53", at, None, error="timed out")
        if ds is None
        else ServerAnswer(f"192.0.2.{number}#53", at, frozenset(ds), ttl if ds else 0)
        for number, ds in enumerate(sets)
    ]


def see(
    *sets: set[bytes] | None, view: ParentView | None = None, at: int = NOW, ttl: int = 300
) -> ParentView:
    return (view or ParentView()).take_in(say(*sets, at=at, ttl=ttl), at)


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
        state = judge(see(*sets), KEYS, Intent.SIGNED, NOW, was_delegated=was_delegated)
        assert state.is_delegated is expected


@pytest.mark.parametrize("was_delegated", [False, True])
def test_nothing_changes_while_no_server_answers(was_delegated: bool) -> None:
    state = judge(see(None, None), KEYS, Intent.SIGNED, NOW, was_delegated=was_delegated)
    assert state.is_delegated is was_delegated
    assert (state.retire_at, state.unsign_at) == (None, None)


def test_asks_for_the_ds_of_the_current_key_until_all_have_it() -> None:
    assert judge(see(set()), KEYS, Intent.SIGNED, NOW).to_add == NEW
    assert judge(see({NEW[0]}, set()), KEYS, Intent.SIGNED, NOW).to_add == NEW
    assert judge(see({NEW[0]}), KEYS, Intent.SIGNED, NOW).to_add == ()


def test_asks_for_removal_of_the_old_ds_only_when_all_have_the_new_one() -> None:
    assert judge(see({*OLD}, {*OLD, *NEW}), KEYS, Intent.SIGNED, NOW).to_remove == ()
    assert judge(see({*OLD, *NEW}), KEYS, Intent.SIGNED, NOW).to_remove == OLD


def test_a_stray_ds_is_to_be_removed_at_any_time() -> None:
    assert judge(see({*OLD, ALIEN}), KEYS, Intent.SIGNED, NOW).to_remove == (ALIEN,)


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
    assert list(judge(see(*sets), KEYS, Intent.SIGNED, NOW).alarms) == expected


def test_an_alarm_names_the_ds_and_its_effect() -> None:
    text = str(Alarm(ALIEN, Stray.UNKNOWN, breaks=True))
    assert text == "the parent's DS 9 13 2 points to no key of the zone; validating resolvers get no answers"


def test_the_old_key_leaves_once_its_ds_is_gone_from_all_servers_and_its_ttl_has_passed() -> None:
    view = see(set(OLD), set(OLD), ttl=600)
    view = see({*OLD, *NEW}, {*OLD, *NEW}, view=view, at=NOW + 10, ttl=300)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 10).retire_at is None
    view = see(set(NEW), {*OLD, *NEW}, view=view, at=NOW + 20)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 20).retire_at is None
    view = see(set(NEW), None, view=view, at=NOW + 30)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 30).retire_at is None
    view = see(set(NEW), set(NEW), view=view, at=NOW + 40)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 40).retire_at == NOW + 641
    view = see(set(NEW), set(NEW), view=view, at=NOW + 50)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 50).retire_at == NOW + 641


def test_the_old_key_stays_if_its_ds_went_before_the_new_one_came() -> None:
    view = see(set(), view=see(set(OLD)), at=NOW + 10)
    assert judge(view, KEYS, Intent.SIGNED, NOW + 10).retire_at is None


def test_the_zone_stays_signed_until_no_cache_can_have_a_ds() -> None:
    view = see({NEW[0]}, ttl=86400)
    assert judge(view, KEYS, Intent.UNSIGNED, NOW).to_remove == (NEW[0],)
    assert judge(view, KEYS, Intent.UNSIGNED, NOW).unsign_at is None
    view = see(set(), view=view, at=NOW + 5)
    assert judge(view, KEYS, Intent.UNSIGNED, NOW + 5).unsign_at == NOW + 5 + 86400 + 1


def test_a_foreign_ds_counts_as_much_when_signatures_are_to_go() -> None:
    view = see(set(), view=see({ALIEN}, ttl=50), at=NOW + 5)
    assert judge(view, KEYS, Intent.UNSIGNED, NOW + 5).unsign_at == NOW + 56


def test_a_zone_that_was_never_delegated_may_be_unsigned_on_the_word_of_all_servers() -> None:
    assert judge(see(set(), set()), KEYS, Intent.UNSIGNED, NOW).unsign_at == NOW
    assert judge(see(set(), None), KEYS, Intent.UNSIGNED, NOW).unsign_at is None
    assert judge(ParentView(), KEYS, Intent.UNSIGNED, NOW).unsign_at is None
    assert judge(ParentView().fail("no parent"), KEYS, Intent.UNSIGNED, NOW).unsign_at is None


def test_a_ds_that_comes_back_is_waited_for_again() -> None:
    view = see(set(), view=see(set(NEW), ttl=1000), at=NOW + 10)
    view = see(set(NEW), view=view, at=NOW + 20, ttl=5)
    assert view.sightings[NEW[0]] == Sighting(1000, NOW + 20)
    view = see(set(), view=view, at=NOW + 30)
    assert judge(view, KEYS, Intent.UNSIGNED, NOW + 30).unsign_at == NOW + 1031


IDLE = DelegationState(True, (), (), (), None, None)


@pytest.mark.parametrize(
    ("state", "chance", "expected"),
    [
        (IDLE, 0.5, 3600),
        (IDLE, 0.0, 3240),
        (replace(IDLE, to_add=NEW), 0.5, 60),
        (replace(IDLE, to_remove=NEW), 0.5, 60),
        (replace(IDLE, alarms=(Alarm(ALIEN, Stray.UNKNOWN, False),)), 0.5, 60),
        (replace(IDLE, retire_at=NOW + 100), 0.5, 100),
        (replace(IDLE, unsign_at=NOW + 5000), 0.5, 3600),
        (replace(IDLE, unsign_at=NOW), 0.5, 3600),
    ],
)
def test_next_probe(state: DelegationState, chance: float, expected: int) -> None:
    assert ProbePlan().find_next(state, NOW, chance) == NOW + expected


@pytest.mark.parametrize(("moment", "expected"), [(50, 50), (61, 60), (0, 60), (-5, 60)])
def test_the_next_probe_is_no_later_than_the_moment_when_the_ds_may_be_at_the_parent(
    moment: int, expected: int
) -> None:
    state = replace(IDLE, to_add=NEW)
    assert ProbePlan().find_next(state, NOW, 0.5, NOW + moment) == NOW + expected


ds_sets = st.sets(st.sampled_from([*NEW, *OLD, *GONE, ALIEN]))
probes = st.lists(
    st.tuples(
        st.integers(1, 500),
        st.lists(st.one_of(st.none(), ds_sets), min_size=1, max_size=3),
        st.integers(0, 900),
    ),
    min_size=1,
    max_size=12,
)


@given(probes)
def test_signatures_and_keys_never_go_while_a_cache_may_have_a_ds(
    story: list[tuple[int, list[set[bytes] | None], int]],
) -> None:
    view, now = ParentView(), NOW
    last_possible: dict[bytes, int] = {}  # when the last cache drops a DS that was fetched
    uncertain: set[bytes] = set()  # seen, and not yet denied by all servers at once
    for wait, sets, ttl in story:
        now += wait
        answers = say(*sets, at=now, ttl=ttl)
        view = view.take_in(answers, now)
        for rdata in set[bytes]().union(*(ds or set() for ds in sets)):
            uncertain.add(rdata)
            last_possible[rdata] = max(last_possible.get(rdata, 0), now + ttl)
        if None not in sets:
            uncertain &= set[bytes]().union(*(ds or set() for ds in sets))
        for intent in Intent:
            state = judge(view, KEYS, intent, now)
            if state.unsign_at is not None:
                assert not uncertain
                assert state.unsign_at >= max(last_possible.values(), default=0)
            if state.retire_at is not None:
                assert uncertain.isdisjoint(OLD)
                assert state.retire_at >= max(last_possible.get(ds, 0) for ds in OLD)
                assert state.is_delegated
            assert ProbePlan().find_next(state, now, 0.5) > now
