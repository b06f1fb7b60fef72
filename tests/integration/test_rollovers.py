"""Keys of a running server change under a parent signed by named, while unbound validates all the time.

The server is killed at each transition of each of these changes.
"""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dns.message
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.DNSKEY import DNSKEY

import killed_server
from daemon_process import DaemonProcess, run_daemon
from killed_server import BEFORE, FORGOTTEN, MADE, PUBLISHED, STORED
from parent_zone import ParentZone, Registrar, list_rdatas, run_parent
from peers import find_free_port, run_unbound
from signerd.cli.command_errors import CommandFailed
from signerd.cli.control_client import send_command
from signerd.timetable.state import RolloverKind
from validation_watch import ValidationWatch

PARENT = "parent.test."
ZONE = "$TTL 1\n@ SOA ns h 1 3600 600 10 1\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.7\n"
SECONDS = 150.0  # how long a change may take on a busy machine
LEAST_STORED = 4  # transitions of a rollover of any kind; most have twice as many
# Keys and DS records stay in caches for longer than data, and than a look at the parent takes: a step that is
# taken too early meets a resolver with the old ones.
SWIFT = "dnskey_ttl: 2s, propagation: 1s, parent_propagation: 1s, parent_lag: 1s, zsk_period: never"
RESIGNED_SOON = "signature_validity: 66s, refresh_margin: 60s, inception_offset: 5s"  # no signature lasts

Plan = Mapping[str, object]


@dataclass
class World:
    """The server with its zones, and all that looks at them."""

    daemon: DaemonProcess
    parent: ParentZone
    registrar: Registrar
    watch: ValidationWatch
    journeys: Mapping[str, "Journey"]

    def wait_for(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait until something is so; whoever validates must see no fault meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if condition():
                return
            time.sleep(0.2)
        raise AssertionError(f"{self.list_plans()}\n{self.daemon.log[-3000:]}")

    def command(self, command: str, zone: str, **arguments: object) -> str:
        socket = self.daemon.state / "run" / "control.sock"
        return str(send_command(socket, command, {"zone": zone, **arguments})["message"])

    def list_plans(self) -> dict[str, Plan]:
        """Give where the keys of each zone stand, by label; nothing as long as nobody answers."""
        try:
            reply = send_command(self.daemon.state / "run" / "control.sock", "rollover_status")
        except CommandFailed:
            return {}
        return {str(plan["zone"]).partition(".")[0]: plan for plan in cast("list[Plan]", reply["zones"])}

    def check(self) -> None:
        """Fail if something was wrong for those who validate, or for the registrar."""
        assert not self.watch.faults, f"{self.watch.faults[:9]}\n{self.daemon.log[-3000:]}"
        assert not self.registrar.errors, self.registrar.errors[:3]
        assert self.daemon.process is not None
        assert self.daemon.process.poll() is None, self.daemon.log[-3000:]

    def list_keys(self, label: str) -> list[DNSKEY]:
        """Give the keys that are served."""
        answer = self.daemon.ask(f"{label}.{PARENT}", "DNSKEY").answer
        return [cast("DNSKEY", key) for key in list_rdatas(answer, dns.rdatatype.DNSKEY)]

    def find_denial(self, label: str) -> set[dns.rdatatype.RdataType]:
        """Give the types of the records that prove the absence of a name in what is served."""
        authority = self.daemon.ask(f"nothing.{label}.{PARENT}", "A", dnssec=True).authority
        return {rrset.rdtype for rrset in authority} & {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}

    def is_reached(self, label: str, plan: Plan | None) -> bool:
        """Say if the keys of a zone, and what is served of it, are what is asked for."""
        journey = self.journeys[label]
        if not journey.is_reached(label, plan):
            return False
        served = {(key.flags, int(key.algorithm)) for key in self.list_keys(label)}
        wanted = {(256 if role == "zsk" else 257, algorithm) for role, algorithm in journey.keys}
        return served == wanted and self.find_denial(label) == journey.denial

    def are_all_reached(self) -> bool:
        """Say if no zone has anything before it on this stage."""
        plans = self.list_plans()
        return all(self.is_reached(label, plans.get(label)) for label in self.journeys)

    def go_on(self) -> bool:
        """Lead each zone on that has reached what was asked for; say if all have reached the end."""
        plans, is_left, is_over = self.list_plans(), False, True
        for label, journey in self.journeys.items():
            plan = plans.get(label)
            if plan is None and journey.is_signed:
                is_over = False
            elif not self.is_reached(label, plan):
                is_over = False
                self._follow_command(label, plan)
            elif journey.stage + 1 < len(journey.policies):
                is_over, is_left = False, True
                journey.stage += 1
                (self.watch.demand if journey.is_signed else self.watch.let_go)(f"{label}.{PARENT}")
        if is_left:
            self.write_options()
            self.kill()  # the configuration is read at the start
        return is_over

    def kill(self) -> None:
        """Kill the control process, which begins again at once."""
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGUSR1)

    def _follow_command(self, label: str, plan: Plan | None) -> None:
        """Begin what is begun on command, and approve what waits, also if a kill came between."""
        if plan is None:
            return
        journey, zone = self.journeys[label], f"{label}.{PARENT}"
        with suppress(CommandFailed):
            if not plan["rollovers"] and journey.is_old(plan) and journey.command is not None:
                self.command("rollover_start", zone, kind=journey.command.value)
            elif "signerd rollover approve" in str(plan["sentence"]):
                [rollover] = cast("list[dict[str, object]]", plan["rollovers"])
                assert self.parent.list_ds(zone) == self.journeys[label].ds
                self.command("rollover_approve", zone, number=rollover["number"])

    def write_options(self) -> None:
        """Give each zone the policy of its stage at the next start."""
        common, _, _ = self.daemon.options.partition("zones:\n")
        self.daemon.options = common + write_options(self.journeys)
        self.daemon.write_config()


def is_at_rest(plan: Plan) -> bool:
    """Say if nothing changes and the parent points to the key."""
    keys = cast("list[dict[str, dict[str, object]]]", plan["keys"])
    traces = [key[name]["presence"] for key in keys for name in ("dnskey", "data", "ds")]
    return (
        plan["problem"] is None
        and not plan["rollovers"]
        and not plan["duties"]
        and "omnipresent" in [key["ds"]["presence"] for key in keys]
        and set(traces) <= {"omnipresent", "hidden"}
    )


def list_names(plan: Plan | None) -> frozenset[str]:
    """Give the names of the keys of a zone."""
    if plan is None:
        return frozenset()
    return frozenset(str(key["name"]) for key in cast("list[dict[str, object]]", plan["keys"]))


@dataclass
class Journey:
    """What happens to the keys of a zone.

    Attributes:
        kinds: Of the rollovers that come of it.
        policies: Options of the policies that the zone has one after the other, each once what the one before
            asks for is reached.
        command: Kind of the rollover that is begun on command, under the first of them.
        stage: Number of the policy that it has.
        replaced: Names of the keys that go when the command is followed.
        ds: What the parent had before it.
    """

    kinds: Sequence[RolloverKind]
    policies: Sequence[str]
    command: RolloverKind | None = None
    stage: int = 0
    replaced: frozenset[str] = frozenset()
    ds: frozenset[str] = frozenset()

    @property
    def policy(self) -> str:
        """Options of the policy that it has."""
        return self.policies[self.stage]

    @property
    def is_signed(self) -> bool:
        """Whether the zone shall be signed."""
        return "signed: false" not in self.policy

    @property
    def keys(self) -> set[tuple[str, int]]:
        """Role and algorithm of each key that the zone shall have."""
        algorithm = next((number for name, number in ALGORITHMS.items() if name in self.policy), 13)
        roles = ["csk"] if "csk: true" in self.policy else ["ksk", "zsk"]
        return {(role, algorithm) for role in roles if self.is_signed}

    @property
    def denial(self) -> set[dns.rdatatype.RdataType]:
        """Types of the records that shall prove absence."""
        kind = dns.rdatatype.NSEC if "denial: nsec" in self.policy else dns.rdatatype.NSEC3
        return {kind} if self.is_signed else set()

    def is_old(self, plan: Plan) -> bool:
        """Say if the command has led to nothing yet."""
        return bool(self.replaced) and self.replaced <= list_names(plan)

    def is_reached(self, label: str, plan: Plan | None) -> bool:
        """Say if the keys of the zone are what its present policy, or the command, asks for."""
        if plan is None:  # there never were keys
            return not self.is_signed and self.stage == 0
        keys = {(key["role"], key["algorithm"]) for key in cast("list[dict[str, object]]", plan["keys"])}
        return (
            plan["policy"] == f"{label}-{self.stage}"
            and keys == self.keys
            and (is_at_rest(plan) if self.is_signed else not plan["rollovers"])
            and self.replaced.isdisjoint(list_names(plan))
        )


ALGORITHMS: Mapping[str, int] = {"ecdsa-p384": 14, "rsa-2048": 8}


def plan_journeys() -> Mapping[str, Journey]:
    """Give what happens, by label of the zone."""
    kind, by_version = RolloverKind, "ksk_rollover: new-version"
    return {
        "zsk": Journey([kind.ZSK], [RESIGNED_SOON], kind.ZSK),
        "ksk": Journey([kind.KSK], ["steps: {delegate: ask}"], kind.KSK),
        "version": Journey([kind.KSK], [by_version, f"{by_version}, denial: nsec", by_version], kind.KSK),
        "csk": Journey([kind.CSK], [f"csk: true, {RESIGNED_SOON}"], kind.CSK),
        "scheme": Journey([kind.SCHEME] * 2, [RESIGNED_SOON, f"csk: true, {RESIGNED_SOON}", RESIGNED_SOON]),
        "longer": Journey([kind.ALGORITHM], ["", "key_type: ecdsa-p384"]),
        "rsa": Journey([kind.ALGORITHM], ["", "key_type: rsa-2048"]),
        "secure": Journey(
            [kind.SECURE, kind.INSECURE, kind.SECURE], ["signed: false", "", "signed: false", ""]
        ),
    }


def write_options(journeys: Mapping[str, Journey]) -> str:
    """Give the sections of the configuration for zones that are where they are on their journeys."""
    zones = [
        f"  - {{name: {label}.{PARENT}, policy: {label}-{journey.stage}}}\n"
        for label, journey in journeys.items()
    ]
    policies = [
        f"  {label}-{stage}: {{{SWIFT}{options and ', '}{options}}}\n"
        for label, journey in journeys.items()
        for stage, options in enumerate(journey.policies)
    ]
    return "".join(["zones:\n", *zones, "policies:\n", *policies])


@contextmanager
def run_world(directory: Path, journeys: Mapping[str, Journey]) -> Generator[World]:
    """Run all of it, until each zone is where it begins, and those that are secure have been validated."""
    children = [f"{label}.{PARENT}" for label in journeys]
    files = {f"{label}.{PARENT}zone": ZONE for label in journeys}
    script = Path(killed_server.__file__).read_text()
    with ExitStack() as stack:
        parent = stack.enter_context(run_parent(directory / "parent", PARENT, list(journeys)))
        delegation = (
            "responders: {count: 1}\n"
            "dnssec:\n  probe_interval: 1s\n  waiting_probe_interval: 1s\n"
            f'  parents: {{parent.test: ["127.0.0.1@{parent.port}"]}}\n'
        )
        daemon = stack.enter_context(
            run_daemon(directory / "daemon", files, delegation + write_options(journeys), script)
        )
        port = find_free_port()
        stubs = {PARENT: parent.port, **dict.fromkeys(children, daemon.port)}
        anchors = [parent.find_anchor()]
        stack.enter_context(run_unbound(directory / "unbound", stubs, anchors, port, is_caching=True))

        def ask_child(name: str, rdatatype: str) -> dns.message.Message:
            return daemon.ask(name, rdatatype, dnssec=True)

        secure = {f"{label}.{PARENT}" for label, journey in journeys.items() if journey.is_signed}
        registrar, watch = Registrar(parent, ask_child, children), ValidationWatch(port, children)
        world = World(daemon, parent, registrar, watch, journeys)
        ended = threading.Event()
        threads = [
            threading.Thread(target=work, args=(ended,))
            for work in (world.registrar.follow, world.watch.watch)
        ]
        for thread in threads:
            thread.start()
        try:
            world.wait_for(lambda: world.are_all_reached() and world.watch.secure >= secure)
            yield world
            world.check()
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def list_made(daemon: DaemonProcess, label: str) -> tuple[set[tuple[str, int]], set[tuple[str, int]], int]:
    """Give what was made for a zone.

    Returns:
        Identity and version of the keys of the KMS; of those that the zone took; how many keys it had in all.
    """
    with closing(sqlite3.connect(f"file:{daemon.state / 'signerd.db'}?mode=ro", uri=True)) as database:
        made = database.execute(
            "SELECT identity, version FROM kms_key_versions JOIN kms_keys USING (organisation, identity)"
            " WHERE name = ?1 OR name LIKE ?1 || ' %'",
            [f"DNSSEC {label}.{PARENT}".rstrip(".")],
        ).fetchall()
        had = database.execute(
            "SELECT kms_key_identity, kms_key_version FROM zone_signing_keys WHERE zone = ?",
            [f"{label}.{PARENT}"],
        ).fetchall()
    return set(made), {key for key in had if key[0] is not None}, len(had)


def read_kills(daemon: DaemonProcess, label: str) -> Mapping[str, set[str]]:
    """Give where the server was killed on account of a zone: when, and at what."""
    kills: dict[str, set[str]] = {}
    for line in (daemon.directory / "killed-at").read_text().splitlines():
        zone, moment, what = line.split(" ", 2)
        if zone == f"{label}.{PARENT}".rstrip("."):
            kills.setdefault(moment, set()).add(what)
    return kills


@pytest.mark.long
def test_keys_change_in_each_way_while_each_transition_kills(tmp_path: Path) -> None:
    journeys = plan_journeys()
    with run_world(tmp_path, journeys) as world:
        daemon, plans = world.daemon, world.list_plans()
        old = {label: {str(key) for key in world.list_keys(label)} for label in journeys}
        old_names = {label: list_names(plans.get(label)) for label in journeys}
        for label, journey in journeys.items():
            journey.ds = world.parent.list_ds(f"{label}.{PARENT}")
            command = journey.command
            journey.replaced = frozenset(
                name for name in old_names[label] if command is not None and name.startswith(command)
            )
        # The keys of one zone change without kills of their own: those of others come at any moment of it.
        armed = [f"{label}.{PARENT}".rstrip(".") for label in journeys if label != "rsa"]
        (daemon.directory / "armed").write_text("\n".join(armed))
        world.kill()
        world.wait_for(world.go_on, 4 * SECONDS)
        world.wait_for(lambda: world.watch.secure >= {f"{label}.{PARENT}" for label in journeys})

        assert all(count > 20 for count in world.watch.counts.values())
        new = {label: {str(key) for key in world.list_keys(label)} for label in journeys}
        names = {label: list_names(plan) for label, plan in world.list_plans().items()}
        kept = {label: len(old[label] & new[label]) for label in journeys}
        assert kept == {
            "zsk": 1, "ksk": 1, "version": 1, "csk": 0, "scheme": 0,
            "longer": 0, "rsa": 0, "secure": 0,
        }  # fmt: skip
        for label in journeys:
            is_kept = world.parent.list_ds(f"{label}.{PARENT}") == journeys[label].ds
            assert is_kept is (label == "zsk")
        assert "have stopped" not in daemon.log
        assert "is not good" not in daemon.log
        # Each key was made once.
        made = {label: list_made(daemon, label) for label in journeys}
        assert {label: number for label, (_, _, number) in made.items()} == {
            "zsk": 3, "ksk": 3, "version": 3, "csk": 2, "scheme": 5,
            "longer": 4, "rsa": 4, "secure": 4,
        }  # fmt: skip
        assert all(by_kms == of_zone for by_kms, of_zone, _ in made.values())
        assert len({identity for identity, _ in made["version"][0]}) == 1
        assert len({identity for identity, _ in made["ksk"][0]}) == 2

        for label in set(journeys) - {"rsa"}:
            kills = read_kills(daemon, label)
            assert len(kills[STORED]) >= LEAST_STORED * len(journeys[label].kinds), label
            assert kills[STORED] <= kills[BEFORE], label
            assert len(kills[PUBLISHED]) >= 2, label
            made_names = " ".join(kills.get(MADE, ())).split()
            assert names[label] - old_names[label] <= set(made_names), label
            assert old_names[label] - names[label] <= kills.get(FORGOTTEN, set()), label
