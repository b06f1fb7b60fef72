"""Ten years of a zone at random: no resolver, whatever is in its cache, may fail to validate."""

import os
from itertools import accumulate

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.parent import ParentHabits
from signerd.simulation.resolver import find_failures
from signerd.simulation.scenario import (
    AbortCommand,
    Deed,
    PolicyChange,
    Scenario,
    StartCommand,
    Trouble,
    TroubleKind,
    TtlChange,
)
from signerd.simulation.simulator import simulate
from signerd.timetable.policy import DAY, CdsPolicy, DenialKind, Mode, Step, TimetablePolicy
from signerd.timetable.state import RolloverKind

HOUR = 3600
START = 1_798_761_600  # 2027-01-01
YEARS = 10
END = START + YEARS * 365 * DAY
SIGNING = SigningPolicy(validity_seconds=45 * DAY, refresh_margin_seconds=15 * DAY)
# Trouble that keeps the signer from working lasts less than the refresh margin: signatures that run out in a
# longer one are no matter of the timetable.
LONGEST_TROUBLE = 9 * DAY
EXAMPLES = int(os.environ.get("SIGNERD_HISTORIES", "60"))  # in a night, thousands

policies = st.builds(
    TimetablePolicy,
    algorithm=st.sampled_from([13, 13, 14, 8]),
    is_csk=st.booleans(),
    is_signed=st.sampled_from([True, True, True, True, False]),
    is_ds_unwanted=st.sampled_from([False, False, False, True]),
    zsk_period=st.sampled_from([None, 60 * DAY, 180 * DAY, 365 * DAY]),
    ksk_period=st.sampled_from([None, 200 * DAY, 700 * DAY]),
    modes=st.dictionaries(st.sampled_from(Step), st.sampled_from(Mode), max_size=3),
    cds=st.sampled_from(CdsPolicy),
    denial=st.sampled_from(DenialKind),
    propagation=st.just(2 * HOUR),
    parent_propagation=st.just(HOUR),
    parent_interval=st.just(30 * DAY),  # what the parent does wakes the simulated timetable at once
)
commands = st.one_of(
    st.builds(StartCommand, st.sampled_from([RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.CSK])),
    st.builds(StartCommand, st.sampled_from([RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.CSK])),
    st.just(AbortCommand()),
    st.builds(PolicyChange, policies),
    st.builds(TtlChange, st.integers(60, 2 * DAY), st.integers(60, 4 * DAY)),
)
# Most commands come soon after the one before, so that they meet what is under way.
gaps = st.one_of(st.integers(1, 3 * DAY), st.integers(1, 30 * DAY), st.integers(1, 700 * DAY))


@st.composite
def deeds(draw: st.DrawFn) -> tuple[tuple[int, Deed], ...]:
    drawn = draw(st.lists(st.tuples(gaps, commands), max_size=25))
    moments = accumulate((gap for gap, _ in drawn), initial=START)
    next(moments)
    return tuple((moment, deed) for moment, (_, deed) in zip(moments, drawn, strict=True) if moment < END)


@st.composite
def troubles(draw: st.DrawFn) -> tuple[Trouble, ...]:
    found: list[Trouble] = []
    moment = START + HOUR
    for gap, kind, duration, error in draw(
        st.lists(
            st.tuples(
                gaps,
                st.sampled_from(TroubleKind),
                st.integers(60, LONGEST_TROUBLE),
                st.one_of(st.integers(-200, 200), st.integers(-30 * DAY, 60 * DAY)),
            ),
            max_size=12,
        )
    ):
        moment += gap + 2 * HOUR
        is_clock = kind is TroubleKind.CLOCK
        found.append(Trouble(kind, moment, moment + duration, error if is_clock else 0))
        moment += duration
    return tuple(found)


@st.composite
def parents(draw: st.DrawFn) -> ParentHabits:
    delays = draw(st.lists(st.integers(0, 90 * DAY), min_size=1, max_size=6))
    return ParentHabits(
        lambda number: delays[number % len(delays)],
        draw(st.sampled_from([(0,), (0, 1800), (0, 3 * DAY), (7200, 0, 5 * DAY)])),
        HOUR,
        draw(st.sampled_from([300, HOUR, DAY, 7 * DAY])),
    )


scenarios = st.builds(
    Scenario,
    start=st.just(START),
    end=st.just(END),
    policy=policies,
    signing=st.just(SIGNING),
    parent=parents(),
    troubles=troubles(),
    deeds=deeds(),
    approval_delay=st.integers(1, 20 * DAY),
    approved=st.frozensets(st.sampled_from(Step)),
    dnskey_ttl=st.integers(60, 2 * DAY),
    largest_ttl=st.integers(60, 4 * DAY),
    secondary_lag=st.integers(0, 2 * HOUR),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios)
def test_no_cache_age_makes_a_resolver_fail(scenario: Scenario) -> None:
    run = simulate(scenario)

    failures = find_failures(run.history)

    assert not failures, (failures[:3], run.last.sentence)
    assert run.last.sentence.endswith(".")
    event(f"keys made: {min(run.state.next_number // 10, 5)}0 or more")


@settings(max_examples=max(10, EXAMPLES // 6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios)
def test_a_zone_comes_to_rest_once_nothing_is_in_the_way(scenario: Scenario) -> None:
    """After the last deed all steps go by themselves: every rollover ends, and the policy holds."""
    last = TimetablePolicy(
        algorithm=14, zsk_period=None, propagation=2 * HOUR, parent_interval=30 * DAY, cds=CdsPolicy.ALWAYS
    )
    quiet_from = END - 1500 * DAY
    kept = tuple(deed for deed in scenario.deeds if deed[0] < quiet_from)
    calm = tuple(trouble for trouble in scenario.troubles if trouble.end < quiet_from)
    scenario = Scenario(
        scenario.start,
        scenario.end,
        scenario.policy,
        scenario.signing,
        scenario.parent,
        calm,
        (*kept, (quiet_from, PolicyChange(last))),
        dnskey_ttl=scenario.dnskey_ttl,
        largest_ttl=scenario.largest_ttl,
        secondary_lag=scenario.secondary_lag,
    )

    run = simulate(scenario)

    assert not run.state.rollovers, run.last.sentence
    assert run.last.problem is None
    assert [
        (key.role, key.algorithm, key.ds.is_everywhere) for key in run.state.keys if key.role == "ksk"
    ] == [("ksk", 14, True)]
    assert len(run.state.keys) == 2
