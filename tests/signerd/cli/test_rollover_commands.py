"""`signerd rollover` through a real control socket, over timetables that a test sets up."""

import functools
import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
import trio
from typer.testing import CliRunner, Result

from signerd.cli.main import make_app
from signerd.config.state_directory import StateDirectory
from signerd.control.command_server import CommandServer, Keys, Zones
from signerd.control.line_server import listen_unix, serve_lines
from signerd.control.rollover_commands import Rollovers
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.plan_report import summarise_plan
from signerd.timetable.arrangement import arrange
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.policy import Mode, Step, TimetablePolicy
from signerd.timetable.presence import Presence, Trace
from signerd.timetable.rollover_steps import OPERATOR, PARENT, Wait
from signerd.timetable.state import KeyRole, Rollover, RolloverKind, TimetableKey, TimetableState
from signerd.timetable.timetable import Outcome

NOW = 1_790_000_000  # 2026-09-21 14:13:20 UTC
THERE = Trace(Presence.OMNIPRESENT, NOW - 86400)
POLICY = TimetablePolicy(modes={Step.DELEGATE: Mode.ASK})
OLD = TimetableKey("ksk-1", KeyRole.KSK, 13, NOW - 86400, dnskey=THERE, ds=THERE)
NEW = TimetableKey(
    "ksk-2", KeyRole.KSK, 13, NOW - 7200, dnskey=THERE, ds=Trace(Presence.RUMOURED, NOW - 3600, NOW + 3600)
)
ZSK = TimetableKey("zsk-1", KeyRole.ZSK, 13, NOW - 86400, dnskey=THERE, data=THERE)
ROLLOVER = Rollover(
    2, RolloverKind.KSK, ("ksk-2",), ("ksk-1",), NOW - 7200, approved=frozenset({Step.DELEGATE})
)


AGAIN = " It looks again at 2026-09-21 15:13:20 UTC."


def make_plan(zone: str, state: TimetableState, sentence: str, *waits: Wait) -> KeyPlan:
    outcome = Outcome(state, arrange(state, POLICY), (), NOW + 3600, sentence, waits, None, 0)
    return KeyPlan(zone, "default", POLICY, outcome, NOW, {"ksk-1": 11, "ksk-2": 22, "zsk-1": 33})


QUIET = make_plan("quiet.test", TimetableState((OLD, ZSK), {13: THERE}), "Signed; nothing is due.")
WAITING = make_plan(
    "waiting.test",
    TimetableState((OLD, NEW, ZSK), {13: THERE}, (ROLLOVER,), 3),
    "KSK rollover 2, step delegate: the parent must act.",
    Wait(2, Step.DELEGATE, "add the DS", PARENT, None, NOW - 3600),
)
STOPPED = replace(
    (stopped := make_plan("stopped.test", QUIET.outcome.state, "Key changes have stopped: \x1b[31mgone.")),
    outcome=replace(stopped.outcome, problem="key ksk-1 is missing"),
)


@dataclass
class FakeRollovers:
    """Notes what is asked for."""

    plans: Sequence[KeyPlan] = (WAITING, QUIET)
    asked: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    threads: set[int] = field(default_factory=set[int])

    def list_plans(self) -> Sequence[KeyPlan]:
        return self.plans

    def start(self, zone: str, kind: RolloverKind) -> str:
        self.threads.add(threading.get_ident())
        self.asked.append((zone, kind))
        if kind is RolloverKind.CSK:
            raise RolloverRefused("the zone has no csk")
        return f"{zone}: rollover 3 ({kind}) is begun"

    def approve(self, zone: str, number: int, step: Step | None) -> str:
        self.asked.append((zone, number, step))
        return "approved"

    def abort(self, zone: str, number: int) -> str:
        self.asked.append((zone, number))
        return "turned back"


@contextmanager
def serve(state: StateDirectory, rollovers: Rollovers | None) -> Generator[None]:
    """Answer commands on the control socket, in an event loop of its own."""
    ready, scopes = threading.Event(), list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]]()

    async def accept_clock() -> dict[str, object]:
        raise AssertionError

    def report() -> dict[str, object]:
        plans = rollovers.list_plans() if rollovers is not None else ()
        return {"zones": [{"name": plan.zone, "key_changes": summarise_plan(plan)} for plan in plans]}

    async def main() -> None:
        zones, keys = cast("Zones", None), cast("Keys", None)  # no command here is about them
        server = CommandServer(zones, report, accept_clock, keys, lambda: None, rollovers)
        with trio.CancelScope() as scope:
            scopes.append((trio.lowlevel.current_trio_token(), scope))
            listener = listen_unix(state.control_socket, 0o600)
            ready.set()
            await serve_lines(listener, server.serve)

    thread = threading.Thread(target=functools.partial(trio.run, main))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        [(token, scope)] = scopes
        token.run_sync_soon(scope.cancel)
        thread.join(10)
    assert not thread.is_alive()


def run(state: StateDirectory, *arguments: str) -> Result:
    return CliRunner().invoke(make_app(), [*arguments, "--state", str(state.path)])


def test_status_is_a_sentence_a_zone(state: StateDirectory) -> None:
    with serve(state, FakeRollovers()):
        result = run(state, "rollover", "status")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"quiet.test: Signed; nothing is due.{AGAIN}",
        f"waiting.test: KSK rollover 2, step delegate: the parent must act.{AGAIN}",
    ]


def test_verbose_status_shows_keys_steps_and_who_must_act(state: StateDirectory) -> None:
    with serve(state, FakeRollovers()):
        lines = run(state, "rollover", "status", "WAITING.test.", "-v").stdout.splitlines()
    assert lines[1] == (
        "  policy default, nsec3; looked at 2026-09-21 14:13:20 UTC; looks again at 2026-09-21 15:13:20 UTC"
    )
    assert lines[2] == "  rollover 2: KSK, from ksk-1 to ksk-2, started 2026-09-21 12:13:20 UTC"
    assert lines[3] == (
        "    steps: make (done), publish (done), delegate, approved (now), confirm, withdraw, forget"
    )
    assert lines[4].startswith("    waits since 2026-09-21 13:13:20 UTC (")
    assert lines[4].endswith("): add the DS; the operator at the registrar, or the parent must act")
    assert "  key ksk-2: KSK, algorithm 13, tag 22, made 2026-09-21 12:13:20 UTC" in lines
    assert "    ds:     rumoured since 2026-09-21 13:13:20 UTC, certain at 2026-09-21 15:13:20 UTC" in lines
    assert not any(line.startswith("quiet.test") for line in lines)


def test_json_status_has_the_documented_members(state: StateDirectory) -> None:
    with serve(state, FakeRollovers()):
        document = json.loads(run(state, "rollover", "status", "waiting.test", "--json").stdout)
    [zone] = document["zones"]
    assert document == {"zones": [zone]}
    there = {"presence": "omnipresent", "since": NOW - 86400, "settles_at": None}
    hidden = {"presence": "hidden", "since": None, "settles_at": None}
    keys = zone.pop("keys")
    assert keys[0] == {
        "name": "ksk-1", "tag": 11, "role": "ksk", "algorithm": 13, "made_at": NOW - 86400,
        "dnskey": there, "data": hidden, "ds": there,
    }  # fmt: skip
    assert keys[1]["ds"] == {"presence": "rumoured", "since": NOW - 3600, "settles_at": NOW + 3600}
    [rollover] = zone.pop("rollovers")
    steps = rollover.pop("steps")
    assert steps[2] == {"step": "delegate", "state": "current", "mode": "ask", "is_approved": True}
    assert [step["state"] for step in steps] == ["done", "done", "current", "to-come", "to-come", "to-come"]
    assert rollover == {
        "number": 2, "kind": "ksk", "started_at": NOW - 7200, "is_aborted": False,
        "incoming": ["ksk-2"], "outgoing": ["ksk-1"],
        "wait": {
            "step": "delegate", "reason": "add the DS", "who": PARENT, "until": None, "since": NOW - 3600,
        },
    }  # fmt: skip
    assert zone == {
        "zone": "waiting.test",
        "policy": "default",
        "sentence": "KSK rollover 2, step delegate: the parent must act.",
        "problem": None,
        "duties": [
            {"who": PARENT, "what": "add the DS", "since": NOW - 3600, "rollover": 2, "step": "delegate"}
        ],
        "looked_at": NOW,
        "looks_again_at": NOW + 3600,
        "clock_step": 0,
        "denial": "nsec3",
        "coverage": [{"algorithm": 13} | there],
    }


@pytest.mark.parametrize(
    ("plans", "status"), [((QUIET,), 0), ((QUIET, WAITING), 3), ((STOPPED,), 3), ((), 0)]
)
def test_the_exit_status_says_if_a_person_must_act(
    state: StateDirectory, plans: Sequence[KeyPlan], status: int
) -> None:
    with serve(state, FakeRollovers(plans)):
        assert run(state, "rollover", "status", "--exit-code").exit_code == status
        assert run(state, "rollover", "status", "--exit-code", "--json").exit_code == status
        assert run(state, "rollover", "status").exit_code == 0


def test_monitoring_can_tell_a_dead_server_from_a_duty(state: StateDirectory) -> None:
    result = run(state, "rollover", "status", "--exit-code")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "not running" in result.stderr


def test_commands_reach_the_timetable_in_a_thread_of_their_own(state: StateDirectory) -> None:
    rollovers = FakeRollovers()
    with serve(state, rollovers):
        results = [
            run(state, "rollover", "start", "KSK", "Example.test."),
            run(state, "rollover", "approve", "example.test", "3"),
            run(state, "rollover", "approve", "example.test", "3", "withdraw"),
            run(state, "rollover", "abort", "example.test", "3"),
        ]
    assert [result.stdout for result in results] == [
        "example.test: rollover 3 (ksk) is begun\n", "approved\n", "approved\n", "turned back\n"
    ]  # fmt: skip
    assert rollovers.asked == [
        ("example.test", RolloverKind.KSK),
        ("example.test", 3, None),
        ("example.test", 3, Step.WITHDRAW),
        ("example.test", 3),
    ]
    assert threading.get_ident() not in rollovers.threads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("start", "csk", "a.test"), "the zone has no csk"),
        (
            ("start", "zks", "a.test"),
            "'zks' is no kind of rollover; write one of zsk, ksk, csk, algorithm; did",
        ),
        (
            ("start", "insecure", "a.test"),
            "'insecure' begins by itself when the policy of the zone asks for it",
        ),
        (("start", "zsk", "a..test"), "'a..test' is no zone name"),
        (
            ("approve", "a.test", "3", "delgate"),
            "'delgate' is no step; steps are make, publish, sign, delegate",
        ),
        (
            ("status", "unheard-of.example"),
            "or no step of it could be taken since the start: see 'signerd alarm list'",
        ),
        (("status", "quite.test"), "zone quite.test has no key timetable here; did you mean 'quiet.test'"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    state: StateDirectory, arguments: tuple[str, ...], message: str
) -> None:
    with serve(state, FakeRollovers()):
        result = run(state, "rollover", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_server_without_timetables_says_so(state: StateDirectory) -> None:
    with serve(state, None):
        result = run(state, "rollover", "start", "zsk", "a.test")
    assert result.exit_code == 1
    assert result.stderr == "signerd: this server carries no key timetables out\n"


def test_a_number_must_be_one(state: StateDirectory) -> None:
    assert run(state, "rollover", "abort", "a.test", "last").exit_code == 2


def test_the_status_of_everything_has_the_sentence_of_zones_that_change(state: StateDirectory) -> None:
    with serve(state, FakeRollovers((QUIET, STOPPED, WAITING))):
        lines = run(state, "status").stdout.splitlines()
        details = run(state, "status", "-v").stdout
        document = json.loads(run(state, "status", "--json").stdout)
    assert lines[-2:] == [
        f"stopped.test: Key changes have stopped: ?[31mgone.{AGAIN}",
        f"waiting.test: KSK rollover 2, step delegate: the parent must act.{AGAIN}",
    ]
    assert not any(line.startswith("quiet.test: ") for line in lines)
    assert "  key changes:   Signed; nothing is due.\n" in details
    assert document["zones"][2]["key_changes"] == {
        "sentence": "KSK rollover 2, step delegate: the parent must act.",
        "problem": None,
        "is_changing": True,
        "needs_person": True,
        "looks_again_at": NOW + 3600,
    }


def test_what_could_steer_the_terminal_is_taken_out(state: StateDirectory) -> None:
    with serve(state, FakeRollovers((STOPPED,))):
        assert "\x1b" not in run(state, "rollover", "status", "-v").stdout


def test_the_operator_is_told_of_a_stopped_timetable(state: StateDirectory) -> None:
    with serve(state, FakeRollovers((STOPPED,))):
        document = json.loads(run(state, "rollover", "status", "--json").stdout)
    [duty] = document["zones"][0]["duties"]
    assert (duty["who"], duty["what"]) == (
        OPERATOR,
        "key changes have stopped: key ksk-1 (tag 11) is missing",
    )
