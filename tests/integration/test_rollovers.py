"""Keys of a running server change under a parent signed by named, while unbound validates all the time."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import dns.message
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from daemon_process import DaemonProcess, run_daemon
from parent_zone import ParentZone, Registrar, list_rdatas, run_parent
from peers import find_free_port, run_unbound
from signerd.cli.command_errors import CommandFailed
from signerd.cli.control_client import send_command
from signerd.timetable.policy import Step
from validation_watch import ValidationWatch

PARENT = "parent.test."
ZONE = "$TTL 1\n@ SOA ns h 1 3600 600 10 1\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.7\n"
SECONDS = 150.0  # how long a change may take on a busy machine
# Keys and DS records stay in caches for longer than data, and than a look at the parent takes: a step that is
# taken too early meets a resolver with the old ones.
SWIFT = "dnskey_ttl: 2s, propagation: 1s, parent_propagation: 1s, parent_lag: 1s, zsk_period: never"
RESIGNED_SOON = "signature_validity: 66s, refresh_margin: 60s, inception_offset: 5s"  # no signature lasts

Plan = Mapping[str, object]


@dataclass
class World:
    """The server with its zones, and all that looks at them. Zones are named without final dot."""

    daemon: DaemonProcess
    parent: ParentZone
    registrar: Registrar
    watch: ValidationWatch

    def command(self, command: str, zone: str, **arguments: object) -> str:
        socket = self.daemon.state / "run" / "control.sock"
        return str(send_command(socket, command, {"zone": zone, **arguments})["message"])

    def list_plans(self) -> dict[str, Plan]:
        """Give where the keys of each zone stand; nothing as long as nobody answers."""
        try:
            reply = send_command(self.daemon.state / "run" / "control.sock", "rollover_status")
        except CommandFailed:
            return {}
        return {str(plan["zone"]): plan for plan in cast("list[Plan]", reply["zones"])}

    def wait_for(self, zone: str, condition: Callable[[Plan], bool]) -> None:
        """Wait until where the keys of a zone stand is as wished; whoever validates must see no fault."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self.check()
            plan = self.list_plans().get(zone)
            if plan is not None and condition(plan):
                return
            time.sleep(0.1)
        raise AssertionError(f"{zone}: {self.list_plans().get(zone)}\n{self.daemon.log[-3000:]}")

    def check(self) -> None:
        """Fail if something was wrong for those who validate, or for the registrar."""
        assert not self.watch.faults, f"{self.watch.faults[:9]}\n{self.daemon.log[-3000:]}"
        assert not self.registrar.errors, self.registrar.errors[:3]

    def list_keys(self, zone: str) -> list[DNSKEY]:
        """Give the keys that are served."""
        answer = self.daemon.ask(zone, "DNSKEY").answer
        return [cast("DNSKEY", key) for key in list_rdatas(answer, dns.rdatatype.DNSKEY)]

    def describe_keys(self, zone: str) -> set[str]:
        """Give flags and algorithms of the keys that are served: `257/13`."""
        return {f"{key.flags}/{key.algorithm}" for key in self.list_keys(zone)}

    def find_denial(self, zone: str) -> str:
        """Say how the absence of a name is proved in what is served."""
        authority = self.daemon.ask(f"nothing.{zone}", "A", dnssec=True).authority
        types = {rrset.rdtype for rrset in authority} & {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
        [kind] = types
        return dns.rdatatype.to_text(kind)


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


@contextmanager
def run_world(
    directory: Path, labels: Sequence[str], options: str, script: str | None = None
) -> Generator[World]:
    """Run all of it, until each zone is secure and has been validated.

    Args:
        directory: For all files.
        labels: Of the zones under the parent; the policy of each has its name.
        options: The policies.
        script: See `DaemonProcess`.
    """
    children = [f"{label}.{PARENT}" for label in labels]
    files = {f"{label}.{PARENT}zone": ZONE for label in labels}
    zones = "zones:\n" + "".join(f"  - {{name: {label}.{PARENT}, policy: {label}}}\n" for label in labels)
    with ExitStack() as stack:
        parent = stack.enter_context(run_parent(directory / "parent", PARENT, labels))
        delegation = (
            "responders: {count: 1}\n"
            "dnssec:\n  probe_interval: 1s\n  waiting_probe_interval: 1s\n"
            f'  parents: {{parent.test: ["127.0.0.1@{parent.port}"]}}\n'
        )
        daemon = stack.enter_context(
            run_daemon(directory / "daemon", files, delegation + zones + options, script)
        )
        port = find_free_port()
        stubs = {PARENT: parent.port, **dict.fromkeys(children, daemon.port)}
        anchors = [parent.find_anchor()]
        stack.enter_context(run_unbound(directory / "unbound", stubs, anchors, port, is_caching=True))

        def ask_child(name: str, rdatatype: str) -> dns.message.Message:
            return daemon.ask(name, rdatatype, dnssec=True)

        world = World(daemon, parent, Registrar(parent, ask_child, children), ValidationWatch(port, children))
        ended = threading.Event()
        threads = [
            threading.Thread(target=work, args=(ended,))
            for work in (world.registrar.follow, world.watch.watch)
        ]
        for thread in threads:
            thread.start()
        try:
            for label in labels:
                world.wait_for(f"{label}.parent.test", is_at_rest)
            while world.watch.secure < set(children):
                world.check()
                time.sleep(0.05)
            yield world
            world.check()
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def make_policies(**changes: str) -> str:
    """Give the section of the configuration: label of each zone to what is different in its policy."""
    lines = [f"  {label}: {{{SWIFT}{change and ', '}{change}}}\n" for label, change in changes.items()]
    return "policies:\n" + "".join(lines)


BEFORE: Mapping[str, str] = {
    "zsk": RESIGNED_SOON,
    "ksk": "steps: {delegate: ask}",
    "csk": f"csk: true, {RESIGNED_SOON}",
    "merged": RESIGNED_SOON,
    "longer": "",
    "rsa": "",
    "nsec": "",
    "nsec3": "denial: nsec",
}
AFTER: Mapping[str, str] = {
    **BEFORE,
    "merged": f"csk: true, {RESIGNED_SOON}",
    "longer": "key_type: ecdsa-p384",
    "rsa": "key_type: rsa-2048",
    "nsec": "denial: nsec",
    "nsec3": "denial: nsec3",
}
"""The options of the policy of each zone, before and after the configuration changes."""


KILL_AT_EACH_STEP = """
import os, pathlib, signal, sys
from signerd.config.loader import load_config
from signerd.daemon import run
from signerd.rollover import zone_timetable
from signerd.signer.timetable_keys import TimetableKeys

config = pathlib.Path(sys.argv[1])
write, make = zone_timetable.write_record, TimetableKeys.make
killed_at = config.parent / "killed-at"

def die_once(zone, place):
    if not zone.startswith(b"\\x06longer"):  # that one takes all steps that there are
        return
    known = killed_at.read_text().splitlines() if killed_at.exists() else []
    if (config.parent / "armed").exists() and place not in known:
        killed_at.write_text("".join(line + chr(10) for line in [*known, place]))
        os.kill(os.getpid(), signal.SIGKILL)

def write_and_die(engine, zone, record, now, *identity):
    write(engine, zone, record, now, *identity)  # what follows from it is not done yet
    traces = [(key.name, *(str(getattr(key, name).presence) for name in ("dnskey", "data", "ds")))
              for key in record.state.keys]
    die_once(zone, f"{[rollover.number for rollover in record.state.rollovers]} {traces}")

def make_and_die(self, zone, name, *arguments):
    make(self, zone, name, *arguments)  # the key is there, and nothing says yet that it is
    die_once(zone, f"made {name}")

zone_timetable.write_record = write_and_die
TimetableKeys.make = make_and_die
run(load_config(config))
"""
"""A script for a server that is killed once after each thing that a change of the algorithm stores."""


@pytest.mark.long
def test_keys_of_each_kind_change_without_one_answer_that_fails(tmp_path: Path) -> None:
    """And the server is killed at each step of one of them."""
    labels = list(BEFORE)
    with run_world(tmp_path, labels, make_policies(**BEFORE), KILL_AT_EACH_STEP) as world:
        old = {label: {str(key) for key in world.list_keys(f"{label}.{PARENT}")} for label in labels}
        old_ds = {label: world.parent.list_ds(f"{label}.{PARENT}") for label in labels}
        assert {label for label in labels if len(old[label]) != 2} == {"csk"}
        command = world.daemon.run_command("rollover", "start", "zsk", "zsk.parent.test")
        assert command.returncode == 0, command.stderr
        world.command("rollover_start", "ksk.parent.test", kind="ksk")
        world.command("rollover_start", "csk.parent.test", kind="csk")

        # The configuration changes while keys do, with a crash in place of an orderly restart.
        world.daemon.kill_control()
        world.daemon.options = world.daemon.options.replace(make_policies(**BEFORE), make_policies(**AFTER))
        (world.daemon.directory / "armed").touch()
        world.daemon.start(wait=False)
        revive_until(world, partial(is_awaiting_approval, world, "ksk.parent.test"))
        assert world.parent.list_ds(f"ksk.{PARENT}") == old_ds["ksk"]
        revive_until(world, partial(is_approved, world, "ksk.parent.test"))
        revive_until(world, partial(is_all_done, world))

        places = (world.daemon.directory / "killed-at").read_text().splitlines()
        assert sorted(place[:8] for place in places if place.startswith("made ")) == ["made ksk", "made zsk"]
        assert len(places) >= len(Step)
        new = {label: {str(key) for key in world.list_keys(f"{label}.{PARENT}")} for label in labels}
        kept = {label: len(old[label] & new[label]) for label in labels}
        assert kept == {
            "zsk": 1, "ksk": 1, "csk": 0, "merged": 0, "longer": 0, "rsa": 0, "nsec": 2, "nsec3": 2
        }  # fmt: skip
        assert {label: world.describe_keys(f"{label}.{PARENT}") for label in labels} == {
            "zsk": {"257/13", "256/13"},
            "ksk": {"257/13", "256/13"},
            "csk": {"257/13"},
            "merged": {"257/13"},
            "longer": {"257/14", "256/14"},
            "rsa": {"257/8", "256/8"},
            "nsec": {"257/13", "256/13"},
            "nsec3": {"257/13", "256/13"},
        }
        assert world.find_denial(f"nsec.{PARENT}") == "NSEC"
        assert world.find_denial(f"nsec3.{PARENT}") == "NSEC3"
        for label in labels:
            ds = world.parent.list_ds(f"{label}.{PARENT}")
            assert (ds == old_ds[label]) is (label in ("zsk", "nsec", "nsec3"))
        assert world.watch.secure == {f"{label}.{PARENT}" for label in labels}
        assert all(count > 20 for count in world.watch.counts.values())


def is_of_algorithm(algorithm: int, plan: Plan) -> bool:
    """Say if all keys are of an algorithm."""
    return {key["algorithm"] for key in cast("list[dict[str, object]]", plan["keys"])} == {algorithm}


def revive_until(world: World, condition: Callable[[], bool]) -> None:
    """Start the server again whenever it was killed, until something holds."""
    daemon, deadline = world.daemon, time.monotonic() + 3 * SECONDS
    while time.monotonic() < deadline:
        assert daemon.process is not None
        if (status := daemon.process.poll()) is not None:
            assert status == -signal.SIGKILL, daemon.log[-3000:]
            daemon.start(wait=False)
        daemon.status()  # takes note of responders, so that none is left in the end
        world.check()
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"{world.list_plans()}\n{daemon.log[-3000:]}")


def is_awaiting_approval(world: World, zone: str) -> bool:
    """Say if a rollover waits for the operator."""
    return "signerd rollover approve" in str(world.list_plans().get(zone, {}).get("sentence"))


def is_approved(world: World, zone: str) -> bool:
    """Approve what waits; say if nothing does, also if the server was killed when it had been approved."""
    plan = world.list_plans().get(zone)
    if plan is None:
        return False
    for rollover in cast("list[dict[str, object]]", plan["rollovers"]):
        if is_awaiting_approval(world, zone):
            with suppress(CommandFailed):
                world.command("rollover_approve", zone, number=rollover["number"])
            return False
    return True


def is_all_done(world: World) -> bool:
    """Say if all zones are at rest, with the algorithms that their policies ask for."""
    plans = world.list_plans()
    return len(plans) == len(AFTER) and all(
        is_at_rest(plan) and is_of_algorithm({"longer": 14, "rsa": 8}.get(zone.partition(".")[0], 13), plan)
        for zone, plan in plans.items()
    )
