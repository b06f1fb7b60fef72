"""A whole server under a parent of which one name server is dead, and in the vendor's order."""

import os
import signal
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon_process import DaemonProcess, run_daemon
from peers import find_free_port, run_knotd

CHILD = "child.parent.test"


@dataclass
class World:
    daemon: DaemonProcess
    file: Path
    pid: int
    dead: int
    serial: int = 1

    def command(self, *arguments: str) -> str:
        done = self.daemon.run_command("dnssec", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, records: list[str]) -> None:
        """Have the parent's living server give these DS records from now on."""
        self.serial += 1
        self.file.write_text(make_parent(self.serial, records))
        os.kill(self.pid, signal.SIGHUP)

    def is_signed(self) -> bool:
        return bool(self.daemon.ask(CHILD, "DNSKEY").answer)


def make_parent(serial: int, records: list[str]) -> str:
    return f"""$ORIGIN parent.test.
$TTL 1
@ SOA ns.parent.test. h.parent.test. {serial} 3600 600 86400 1
@ NS ns.parent.test.
ns A 127.0.0.1
child NS ns1.child.parent.test.
ns1.child A 127.0.0.1
""" + "".join(f"child DS {record}\n" for record in records)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[World]:
    order, has_dead_server = request.param
    file, port, dead = tmp_path / "parent.zone", find_free_port(), find_free_port()
    file.write_text(make_parent(1, []))
    servers = [f"127.0.0.1@{port}", *([f"127.0.0.1@{dead}"] if has_dead_server else [])]
    options = f"""responders: {{count: 1}}
dnssec:
  order: {order}
  probe_interval: 1h
  waiting_probe_interval: 1s
  probe_timeout: 200ms
  probe_attempts: 1
  parents: {{parent.test: {servers}}}
policies: {{default: {{dnskey_ttl: 1s}}}}
"""
    with ExitStack() as stack:
        knotd = stack.enter_context(run_knotd(tmp_path / "knot", {"parent.test": file}, port))
        daemon = stack.enter_context(run_daemon(tmp_path / "daemon", {}, options))
        assert daemon.run_command("zone", "create", CHILD).returncode == 0
        yield World(daemon, file, knotd.pid, dead)


@pytest.mark.parametrize("world", [("sign-first", True)], indirect=True)
def test_a_dead_server_holds_up_the_end_of_signing_until_it_is_ignored(world: World) -> None:
    world.command("enable", CHILD)
    world.daemon.wait_for(lambda _: world.is_signed())
    world.command("disable", CHILD)
    dead = f"127.0.0.1#{world.dead}"
    world.daemon.wait_for(lambda _: dead in world.command("parent-server", CHILD))
    assert "off, and still signed" in world.command("probe", CHILD)
    assert "has no DS" in world.command("parent-server", CHILD)
    assert world.is_signed()
    told = world.command("parent-server", CHILD, "--ignore", f"127.0.0.1@{world.dead}", "--until", "+2d")
    assert f"the silence of {dead} is ignored until" in told
    world.daemon.wait_for(lambda _: not world.is_signed())
    assert "not signed" in world.command("status", CHILD)


@pytest.mark.parametrize("world", [("vendor", False)], indirect=True)
def test_in_the_vendors_order_the_zone_is_signed_when_the_ds_is_seen(world: World) -> None:
    made = world.command("enable", CHILD)
    records = [line.split(" IN DS ")[1] for line in made.splitlines() if " IN DS " in line]
    assert len(records) == 2
    assert not world.is_signed()
    world.publish(records)
    world.daemon.wait_for(lambda _: world.is_signed())
    assert "signed, delegated" in world.command("status", CHILD)
