"""Each kind of rollover, with the exact times that follow from the TTLs (RFC 7583, RFC 6781)."""

from dataclasses import replace

import pytest

from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.parent import ParentHabits
from signerd.simulation.resolver import find_failures
from signerd.simulation.scenario import Deed, PolicyChange, Scenario, StartCommand
from signerd.simulation.simulator import Run, simulate
from signerd.timetable.policy import DAY, CdsPolicy, DenialKind, TimetablePolicy
from signerd.timetable.presence import TtlMemory
from signerd.timetable.state import RolloverKind

START = 1_798_761_600
BEGIN = START + 20 * DAY  # of the rollover
DPRP = 1800  # RFC 7583: from publication to the last name server
TTL_KEY = 7200
TTL_SIG = 40_000
TTL_DS = 50_000
DPRP_P = 600  # the same at the parent
DREG = 3 * DAY  # from a request until the parent carries it out
LAG = 900  # between the name servers of the parent
QUIET = TimetablePolicy(zsk_period=None, propagation=DPRP, parent_propagation=DPRP_P, parent_interval=DAY)


def run(deed: Deed, policy: TimetablePolicy = QUIET) -> Run:
    scenario = Scenario(
        START,
        START + 80 * DAY,
        policy,
        SigningPolicy(),
        ParentHabits(lambda _: DREG, (0, LAG), DPRP_P, TTL_DS),
        deeds=((BEGIN, deed),),
        dnskey_ttl=TTL_KEY,
        largest_ttl=TTL_SIG,
        secondary_lag=DPRP,
    )
    result = simulate(scenario)
    assert find_failures(result.history) == []
    assert result.state.rollovers == ()
    return result


def find_times(result: Run) -> dict[str, int]:
    """Give the moment of each event since the rollover began, in seconds from then."""
    return {event.text: event.at - BEGIN for event in result.history.events if event.at >= BEGIN}


def test_first_keys_and_first_ds() -> None:
    texts = {event.text: event.at - START for event in run(PolicyChange(QUIET)).history.events}
    assert texts["publish-key ksk-1"] == texts["sign-with-key zsk-1"] == 0
    # the DS may come once each cache has the key, or nothing that lacks a signature
    assert texts["add-ds ksk-1"] == texts["publish-cds ksk-1"] == DPRP + max(TTL_KEY, TTL_SIG)


def test_zsk_pre_publication() -> None:
    result = run(StartCommand(RolloverKind.ZSK))
    times = find_times(result)

    assert times["publish-key zsk-2"] == 0
    # RFC 7583, section 3.2.1: Ipub = Dprp + TTLkey
    assert times["sign-with-key zsk-2"] == times["stop-signing-with-key zsk-1"] == DPRP + TTL_KEY
    # Iret = Dsgn + Dprp + TTLsig, where Dsgn ends with the last signature of the old key
    last_signed = max(
        version.end
        for version in result.history.served
        if version.server == "first" and any(each.key.name == "zsk-1" for each in version.signatures)
    )
    assert times["withdraw-key zsk-1"] == last_signed - BEGIN + DPRP + TTL_SIG
    assert last_signed > BEGIN + DPRP + TTL_KEY
    assert times["forget-key zsk-1"] == times["withdraw-key zsk-1"] + DPRP + TTL_KEY


@pytest.mark.parametrize(("kind", "is_csk"), [(RolloverKind.KSK, False), (RolloverKind.CSK, True)])
def test_double_ksk(kind: RolloverKind, *, is_csk: bool) -> None:
    times = find_times(run(StartCommand(kind), replace(QUIET, is_csk=is_csk, cds=CdsPolicy.ROLLOVER)))

    assert times[f"publish-key {kind}-2"] == 0
    # RFC 7583, section 3.3.1: IpubC = DprpC + TTLkey
    asked = DPRP + TTL_KEY
    assert (
        times[f"add-ds {kind}-2"] == times[f"remove-ds {kind}-1"] == times[f"publish-cds {kind}-2"] == asked
    )
    shown = asked + DREG + LAG  # by the last server of the parent
    assert times[f"withdraw-cds {kind}-2"] == shown
    if not is_csk:  # for a CSK the signatures of the old key last longer than its DS
        # the parent's retire interval (IretP) is DprpP and TTLds
        assert times["withdraw-key ksk-1"] == shown + DPRP_P + TTL_DS
    assert times[f"forget-key {kind}-1"] == times[f"withdraw-key {kind}-1"] + DPRP + TTL_KEY


def test_algorithm() -> None:
    times = find_times(run(PolicyChange(replace(QUIET, algorithm=14))))

    # RFC 6781, section 4.1.4: signatures, DNSKEY, DS; then the old ones in reverse order
    assert times["sign-with-key zsk-2"] == 0
    assert times["publish-key ksk-2"] == times["publish-key zsk-2"] == DPRP + TTL_SIG
    asked = DPRP + TTL_SIG + DPRP + TTL_KEY
    assert times["add-ds ksk-2"] == times["remove-ds ksk-1"] == asked
    withdrawn = asked + DREG + LAG + DPRP_P + TTL_DS
    assert times["withdraw-key ksk-1"] == times["withdraw-key zsk-1"] == withdrawn
    assert times["stop-signing-with-key zsk-1"] == withdrawn + DPRP + TTL_KEY
    assert times["forget-key zsk-1"] == withdrawn + DPRP + TTL_KEY + DPRP + TTL_SIG


def test_from_two_keys_to_one() -> None:
    result = run(PolicyChange(replace(QUIET, is_csk=True)))
    times = find_times(result)

    assert times["sign-with-key csk-2"] == times["add-ds csk-2"] == DPRP + TTL_KEY
    assert times["withdraw-key ksk-1"] == times["withdraw-key zsk-1"]
    assert [key.name for key in result.state.keys] == ["csk-2"]


def test_going_insecure() -> None:
    result = run(PolicyChange(replace(QUIET, is_signed=False)))
    times = find_times(result)

    assert times["publish-cds-delete"] == times["remove-ds ksk-1"] == 0
    unsigned = DREG + LAG + DPRP_P + TTL_DS
    assert times["stop-signing-with-key zsk-1"] == times["withdraw-key ksk-1"] == unsigned
    assert not result.last.arrangement.has_cds_delete
    assert result.state.keys == ()
    assert result.last.sentence == "The zone is not signed."


def test_the_kind_of_denial_changes_at_once() -> None:
    result = run(PolicyChange(replace(QUIET, denial=DenialKind.NSEC)))
    assert find_times(result)["change-denial nsec"] == 0


def test_a_ttl_that_was_lowered_counts_until_caches_have_forgotten_it() -> None:
    memory = TtlMemory().observe(1000, 0, 10).observe(100, 500, 10)

    assert memory.find_settling(600, 10) == 500 + 10 + 1000
    assert memory.find_settling(5000, 10) == 5000 + 10 + 100
