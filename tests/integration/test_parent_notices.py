"""A running server tells a parent, served by named and found through unbound, that CDS changed (RFC 9859)."""

import socket
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
import pytest

from daemon_process import DaemonProcess, Report, run_daemon
from parent_zone import ParentZone, Registrar, run_parent
from peers import find_free_port, find_tool, run_named, run_unbound
from signerd.cli.control_client import send_command

SOA = "$TTL 1\n@ SOA ns h 1 3600 600 86400 1\n"
CHILD = SOA + "@ NS ns\nns A 127.0.0.1\n"


@dataclass
class Scanner:
    """The endpoint of the parent: takes every notification and keeps it."""

    messages: list[dns.message.Message] = field(default_factory=list[dns.message.Message])
    act: Callable[[str], None] = lambda child: None  # told the name of the child, before the answer
    port: int = 0

    @contextmanager
    def serve(self) -> Generator[None]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
            thread = threading.Thread(target=self._answer, args=(sock,))
            thread.start()
            try:
                yield
            finally:
                sock.sendto(b"", ("127.0.0.1", self.port))
                thread.join()

    def _answer(self, sock: socket.socket) -> None:
        while True:
            octets, peer = sock.recvfrom(4096)
            if not octets:
                return
            message = dns.message.from_wire(octets)
            self.messages.append(message)
            self.act(str(message.question[0].name))
            sock.sendto(dns.message.make_response(message).to_wire(), peer)


@pytest.fixture
def scanner() -> Generator[Scanner]:
    scanner = Scanner()
    with scanner.serve():
        yield scanner


@pytest.fixture
def resolver(scanner: Scanner, tmp_path: Path) -> Generator[int]:
    """The port of a validating resolver that knows the parent, which is signed and has a DSYNC record."""
    directory = tmp_path / "parent"
    directory.mkdir()
    target = b"\x07scanner\x06parent\x04test\x00"
    rdata = (59).to_bytes(2) + b"\x01" + scanner.port.to_bytes(2) + target
    text = SOA + "@ NS ns\nns A 127.0.0.1\nchild NS ns.child\nns.child A 127.0.0.1\n"
    text += f"*._dsync TYPE66 \\# {len(rdata)} {rdata.hex()}\nscanner A 127.0.0.1\n"
    (directory / "plain").write_text(text)
    for flags in ([], ["-f", "KSK"]):
        command = [find_tool("dnssec-keygen"), "-q", "-K", str(directory), "-a", "ECDSAP256SHA256", *flags]
        subprocess.run([*command, "parent.test"], check=True, capture_output=True, timeout=60)
    command = [find_tool("dnssec-signzone"), "-q", "-S", "-K", str(directory), "-d", str(directory)]
    files = ["-f", str(directory / "signed"), str(directory / "plain")]
    subprocess.run([*command, "-o", "parent.test", *files], check=True, capture_output=True, timeout=60)
    anchors = (directory / "dsset-parent.test.").read_text().splitlines()
    port, parent_port = find_free_port(), find_free_port()
    with (
        run_named(directory, {"parent.test": directory / "signed"}, parent_port),
        run_unbound(tmp_path / "unbound", {"parent.test": parent_port}, anchors, port),
    ):
        yield port


def make_options(resolver: int, cds: str) -> str:
    return f"""
dnssec:
  resolvers: ["127.0.0.1@{resolver}"]
  notify_delay: 0s
  notify_networks: [127.0.0.0/8]
policies:
  default: {{cds: {cds}, dnskey_ttl: 1s, propagation: 0s}}
"""


def find_notice(daemon: DaemonProcess) -> Report | None:
    return cast("Report | None", daemon.zone("child.parent.test")["parent_notice"])


def is_taken(daemon: DaemonProcess) -> bool:
    notice = find_notice(daemon)
    return notice is not None and notice["result"] == "taken"


def test_the_parent_is_told_of_each_change_once(scanner: Scanner, resolver: int, tmp_path: Path) -> None:
    files = {"child.parent.test.zone": CHILD}
    with run_daemon(tmp_path, files, make_options(resolver, "always")) as daemon:
        daemon.wait_for(lambda _: is_taken(daemon))
        (message,) = scanner.messages
        assert message.opcode() is dns.opcode.NOTIFY
        (question,) = message.question
        assert (str(question.name), question.rdtype) == ("child.parent.test.", dns.rdatatype.CDS)
        notice = find_notice(daemon)
        assert notice is not None
        assert notice["dsync_validated"] is True
        assert notice["endpoint"] == f"scanner.parent.test. port {scanner.port} (127.0.0.1#{scanner.port})"
        assert notice["next_at"] is None

        daemon.stop()
        daemon.start()
        assert find_notice(daemon) == notice, "a restart changes nothing for the parent"

        daemon.stop()
        daemon.options = make_options(resolver, "never")
        daemon.start()
        daemon.wait_for(lambda _: find_notice(daemon) is None)
        assert len(scanner.messages) == 1

        daemon.stop()
        daemon.options = make_options(resolver, "always")
        daemon.start()
        daemon.wait_for(lambda _: is_taken(daemon))
        assert len(scanner.messages) == 2


@pytest.fixture
def parent(scanner: Scanner, tmp_path: Path) -> Generator[ParentZone]:
    """A parent that named signs, and that says where it takes notifications."""
    with run_parent(tmp_path / "parent", "parent.test.", ["child"]) as parent:
        update = dns.update.UpdateMessage("parent.test.")
        update.add("*._dsync", 1, "DSYNC", f"CDS NOTIFY {scanner.port} scanner.parent.test.")
        update.add("scanner", 1, "A", "127.0.0.1")
        assert dns.query.tcp(update, "127.0.0.1", 10, parent.port).rcode() == dns.rcode.NOERROR
        yield parent


def is_at_rest(daemon: DaemonProcess) -> bool:
    """Say if no key changes, the parent has the DS, and nothing asks for another."""
    reply = send_command(daemon.state / "run" / "control.sock", "rollover_status")
    plans = cast("list[dict[str, list[dict[str, Report]]]]", reply["zones"])
    return (
        len(plans) == 1
        and not plans[0]["rollovers"]
        and "omnipresent" in {key["ds"]["presence"] for key in plans[0]["keys"]}
        and not daemon.ask("child.parent.test", "CDS").answer
    )


def test_a_parent_that_looks_only_when_told_follows_each_change_of_a_ksk(
    scanner: Scanner, parent: ParentZone, tmp_path: Path
) -> None:
    port = find_free_port()
    options = f"""
dnssec:
  resolvers: ["127.0.0.1@{port}"]
  parents: {{parent.test: ["127.0.0.1@{parent.port}"]}}
  probe_interval: 1s
  waiting_probe_interval: 1s
  notify_delay: 0s
  notify_networks: [127.0.0.0/8]
policies:
  default:
    {{cds: rollover, dnskey_ttl: 1s, propagation: 0s, parent_propagation: 0s, parent_lag: 1s}}
"""
    with (
        run_unbound(tmp_path / "unbound", {"parent.test": parent.port}, [parent.find_anchor()], port),
        run_daemon(tmp_path / "daemon", {}, options) as daemon,
    ):
        registrar = Registrar(
            parent, lambda name, rdatatype: daemon.ask(name, rdatatype, dnssec=True), ["child.parent.test."]
        )
        scanner.act = registrar.look
        (daemon.zones / "child.parent.test.zone").write_text(CHILD)
        daemon.wait_for(lambda _: is_at_rest(daemon), 90)
        assert [(child, bool(before)) for child, before, _ in registrar.changes] == [
            ("child.parent.test.", False)
        ]
        first = parent.list_ds("child.parent.test.")
        command = daemon.run_command("rollover", "start", "ksk", "child.parent.test")
        assert command.returncode == 0, command.stderr
        daemon.wait_for(lambda _: len(registrar.changes) == 2, 90)
        daemon.wait_for(lambda _: is_at_rest(daemon), 90)
        second = parent.list_ds("child.parent.test.")
        assert registrar.changes[1][1:] == (first, second)
        assert first.isdisjoint(second)
        assert not registrar.errors
        assert len(scanner.messages) == 2
