"""The model resolver finds what it is there to find."""

import pytest

from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.history import History, ServedKey, ServedSet, Signature
from signerd.simulation.parent import ParentHabits
from signerd.simulation.resolver import find_failures
from signerd.simulation.scenario import PolicyChange, Scenario
from signerd.simulation.simulator import simulate
from signerd.timetable.policy import DAY, TimetablePolicy
from signerd.timetable.presence import Trace, TtlMemory

START = 1_798_761_600
OLD, NEW, OTHER = ServedKey("old", 13), ServedKey("new", 13), ServedKey("other", 14)
TTL = 100


def serve(rrset: str, start: int, end: int, keys: set[ServedKey], signers: set[ServedKey]) -> ServedSet:
    signatures = tuple(sorted(Signature(key, 0, 100_000) for key in signers))
    return ServedSet("server", rrset, start, end, TTL, frozenset(keys), signatures)


def find(*versions: ServedSet) -> list[tuple[int, int]]:
    history = History(0, 10_000, list(versions))
    return sorted((failure.start, failure.end) for failure in find_failures(history))


def test_a_zone_at_rest_does_not_fail() -> None:
    assert find(
        serve("DS", 0, 10_000, {OLD}, set()),
        serve("DNSKEY", 0, 10_000, {OLD}, {OLD}),
        serve("SOA", 0, 10_000, set(), {OLD}),
    ) == []  # fmt: skip


@pytest.mark.parametrize(("gap", "expected"), [(TTL, []), (TTL - 1, [(1000 + TTL - 1, 1000 + TTL)])])
def test_a_ds_in_a_cache_needs_its_key_until_its_ttl_is_over(
    gap: int, expected: list[tuple[int, int]]
) -> None:
    # one second too early, and there is one second at which a cached DS meets a key set without its key
    versions = (
        serve("DS", 0, 1000, {OLD}, set()),
        serve("DS", 1000, 10_000, {NEW}, set()),
        serve("DNSKEY", 0, 1000 + gap, {OLD, NEW}, {OLD, NEW}),
        serve("DNSKEY", 1000 + gap, 10_000, {NEW}, {NEW}),
        serve("SOA", 0, 10_000, set(), {NEW}),
    )
    assert find(*versions) == expected


@pytest.mark.parametrize(("gap", "is_good"), [(TTL, True), (TTL - 1, False)])
def test_a_new_key_must_be_in_all_caches_before_it_signs(gap: int, *, is_good: bool) -> None:
    versions = (
        serve("DS", 0, 10_000, {OLD}, set()),
        serve("DNSKEY", 0, 1000, {OLD}, {OLD}),
        serve("DNSKEY", 1000, 10_000, {OLD, NEW}, {OLD}),
        serve("SOA", 0, 1000 + gap, set(), {OLD}),
        serve("SOA", 1000 + gap, 10_000, set(), {NEW}),
    )
    assert (find(*versions) == []) is is_good


def test_each_algorithm_of_the_key_set_must_have_signed() -> None:
    assert find(
        serve("DS", 0, 10_000, {OLD}, set()),
        serve("DNSKEY", 0, 5000, {OLD}, {OLD}),
        serve("DNSKEY", 5000, 10_000, {OLD, OTHER}, {OLD, OTHER}),
        serve("SOA", 0, 10_000, set(), {OLD}),
    ) == [(5000, 10_100)]  # fmt: skip


def test_without_a_ds_nothing_fails() -> None:
    assert find(serve("DNSKEY", 0, 10_000, {OLD}, set()), serve("SOA", 0, 10_000, set(), {NEW})) == []


def test_a_key_set_that_is_gone_fails_while_a_ds_is_cached() -> None:
    assert find(
        serve("DS", 0, 1000, {OLD}, set()),
        serve("DNSKEY", 0, 1050, {OLD}, {OLD}),
        serve("SOA", 0, 1050, set(), {OLD}),
    ) == [(1050, 1100)]  # fmt: skip


def test_signatures_that_run_out_fail() -> None:
    late = ServedSet("server", "SOA", 0, 10_000, TTL, frozenset(), (Signature(OLD, 0, 9000),))
    failures = find_failures(
        History(
            0,
            10_000,
            [serve("DS", 0, 10_000, {OLD}, set()), serve("DNSKEY", 0, 10_000, {OLD}, {OLD}), late],
        )
    )
    assert [(failure.start, failure.end, failure.is_expiry) for failure in failures] == [(9000, 10_000, True)]


def make_scenario(*, algorithm: int) -> Scenario:
    policy = TimetablePolicy(ksk_period=200 * DAY)
    change = PolicyChange(TimetablePolicy(ksk_period=200 * DAY, algorithm=algorithm))
    parent = ParentHabits(lambda number: number * DAY)
    return Scenario(
        START, START + 700 * DAY, policy, SigningPolicy(), parent, deeds=((START + 500 * DAY, change),)
    )


@pytest.mark.parametrize("algorithm", [13, 14])
def test_the_timetable_satisfies_it(algorithm: int) -> None:
    assert find_failures(simulate(make_scenario(algorithm=algorithm)).history) == []


def test_a_timetable_that_does_not_wait_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def settle_at_once(memory: TtlMemory, now: int, propagation: int) -> int:
        del memory, propagation
        return now

    monkeypatch.setattr(TtlMemory, "find_settling", settle_at_once)
    assert find_failures(simulate(make_scenario(algorithm=13)).history)


@pytest.mark.parametrize("shortage", [60, 3600])
def test_a_timetable_that_waits_a_little_too_short_is_caught(
    monkeypatch: pytest.MonkeyPatch, shortage: int
) -> None:
    wait = TtlMemory.find_settling

    def settle_early(memory: TtlMemory, now: int, propagation: int) -> int:
        return max(now, wait(memory, now, propagation) - shortage)

    monkeypatch.setattr(TtlMemory, "find_settling", settle_early)
    assert find_failures(simulate(make_scenario(algorithm=14)).history)


def test_a_timetable_that_believes_without_seeing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(trace: Trace, *, is_there: bool, settles_at: int) -> Trace:
        del is_there
        return see(trace, is_there=trace.is_wanted, settles_at=settles_at)

    see = Trace.observe
    monkeypatch.setattr(Trace, "observe", believe)
    assert find_failures(simulate(make_scenario(algorithm=13)).history)
