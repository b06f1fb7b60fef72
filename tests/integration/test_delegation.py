"""A zone of a running server under a signed parent of another server, seen by a validating resolver."""

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.zone
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from daemon_process import DaemonProcess, run_daemon
from peers import find_free_port, run_knotd, run_named, run_unbound
from signerd.dnssec.key import DnsKey

ZONE = "/v1/dns/zones/child.parent.test"
TTL = 1  # seconds, of the DS at the parent: the story goes through several of them


@dataclass
class Parent:
    """The parent zone, signed here with its own key and served by another server."""

    directory: Path
    port: int
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    serial: int = 0
    pid: int = 0

    @property
    def file(self) -> Path:
        return self.directory / "parent.zone"

    @property
    def dnskey(self) -> DNSKEY:
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        rdata = DnsKey.from_spki(spki, 257).rdata
        return cast("DNSKEY", dns.rdata.from_wire("IN", "DNSKEY", rdata, 0, len(rdata)))

    @property
    def anchor(self) -> str:
        key = self.dnskey
        return f"parent.test. DS {dns.dnssec.make_ds(dns.name.from_text('parent.test.'), key, 'SHA256')}"

    def publish(self, records: list[str]) -> None:
        """Serve these DS records for the child from now on."""
        self.serial += 1
        text = f"""$ORIGIN parent.test.
$TTL {TTL}
@ SOA ns.parent.test. h.parent.test. {self.serial} 3600 600 86400 {TTL}
@ NS ns.parent.test.
ns A 127.0.0.1
child NS ns1.child.parent.test.
ns1.child A 127.0.0.1
""" + "".join(f"child DS {record}\n" for record in records)
        zone = dns.zone.from_text(text, "parent.test.", relativize=False)
        now = int(time.time())
        dns.dnssec.sign_zone(
            zone,
            keys=[(self.key, self.dnskey)],
            inception=now - 3600,
            expiration=now + 86400,
            dnskey_ttl=TTL,
            deterministic=False,
        )
        self.file.write_text(zone.to_text(relativize=False))
        if self.pid:
            signal_process(self.pid)


def signal_process(pid: int) -> None:
    """Have a server read its zone again."""
    os.kill(pid, signal.SIGHUP)


@dataclass
class World:
    daemon: DaemonProcess
    parent: Parent
    resolver: int

    def call(self, method: str, path: str, body: object | None = None) -> dict[str, object]:
        report = self.daemon.status()
        assert report is not None
        host, _, port = str(report["admin"]).rpartition("@")
        token = (self.daemon.state / "admin.token").read_text().strip()
        headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
        url = f"http://{host}:{port}{path}"
        response = httpx.request(method, url, headers=headers, json=body, trust_env=False, timeout=60)
        assert response.is_success, response.text
        return cast("dict[str, object]", response.json()) if response.content else {}

    def wait_until(self, **wanted: object) -> dict[str, object]:
        """Wait until the status has these members; None for one that is absent."""

        def holds(_: object) -> bool:
            status = self.call("GET", f"{ZONE}/dnssec")
            return all(status.get(name) == value for name, value in wanted.items())

        self.daemon.wait_for(holds, 60)
        return self.call("GET", f"{ZONE}/dnssec")

    def ask(self) -> dns.message.Message:
        query = dns.message.make_query("www.child.parent.test.", "A", want_dnssec=True)
        return dns.query.udp(query, "127.0.0.1", port=self.resolver, timeout=10)

    def is_validated(self) -> bool:
        return bool(self.ask().flags & dns.flags.AD)


SERVERS = {"knotd": run_knotd, "named": run_named}
SWIFT = "propagation: 0s, parent_propagation: 0s, parent_lag: 0s"
SLOW = "1h"  # of DNSKEY records, in a story that ends while caches may still be without a key


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[World]:
    server_name = str(request.param)
    parent = Parent(tmp_path, find_free_port())
    parent.publish([])
    options = f"""responders: {{count: 1}}
dnssec:
  probe_interval: 1s
  waiting_probe_interval: 1s
  parents: {{parent.test: ["127.0.0.1@{parent.port}"]}}
api_zones: {{ttl: 1s, minimum: 1s}}
policies:
  default: {{dnskey_ttl: 1s, {SWIFT}}}
"""
    with ExitStack() as stack:
        run_server = SERVERS[server_name]
        server = stack.enter_context(
            run_server(tmp_path / "parent", {"parent.test": parent.file}, parent.port)
        )
        parent.pid = server.pid
        daemon = stack.enter_context(run_daemon(tmp_path / "daemon", {}, options))
        world = World(daemon, parent, find_free_port())
        world.call("POST", "/v1/dns/zones", {"zoneName": "child.parent.test"})
        body = {"name": "www", "type": "A", "ttl": 1, "values": ["192.0.2.7"]}
        world.call("POST", f"{ZONE}/records", body)
        zones = {"parent.test": parent.port, "child.parent.test": daemon.port}
        stack.enter_context(run_unbound(tmp_path / "unbound", zones, [parent.anchor], world.resolver))
        yield world


def list_ds(status: dict[str, object]) -> list[str]:
    return [str(item["record"]) for item in cast("list[dict[str, object]]", status["dsRecords"])]


def list_records(world: World, rdatatype: str) -> list[str]:
    """Give what the zone says at its apex, as people write it."""
    answer = world.daemon.ask("child.parent.test", rdatatype).answer
    return [str(record) for rrset in answer for record in cast("list[dns.rdata.Rdata]", rrset)]


def wait_for_the_caches(world: World) -> None:
    """Wait until the DS may be given to the parent, as the status says."""

    def may_be_added(_: object) -> bool:
        delegation = cast("dict[str, object]", world.call("GET", f"{ZONE}/dnssec")["delegation"])
        moment = delegation.get("dsNotBefore")
        return moment is not None and datetime.fromisoformat(str(moment)) <= datetime.now(UTC)

    world.daemon.wait_for(may_be_added)


@pytest.mark.parametrize(
    ("world", "key_type", "keys_meanwhile"),
    [("knotd", "ecdsa-p256", 3), ("named", "ecdsa-p384", 4)],
    indirect=["world"],
    ids=["another key", "another algorithm"],
)
def test_the_ds_comes_changes_and_goes_without_one_servfail(
    world: World, key_type: str, keys_meanwhile: int
) -> None:
    codes: list[dns.rcode.Rcode] = []
    failures: list[tuple[str, str]] = []
    ended = threading.Event()
    phase = ["unsigned"]

    def watch() -> None:
        while not ended.wait(0.05):
            answer = world.ask()
            codes.append(answer.rcode())
            if answer.rcode() != dns.rcode.NOERROR:
                failures.append((phase[0], answer.to_text()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        first = world.call("PUT", f"{ZONE}/dnssec", {"region": "local"})
        world.daemon.wait_for(lambda _: bool(world.daemon.ask("child.parent.test", "DNSKEY").answer))
        phase[0] = "signed, without DS"
        wait_for_the_caches(world)
        phase[0] = "first DS"
        world.parent.publish(list_ds(first))
        world.wait_until(dsDelegated=True)
        world.daemon.wait_for(lambda _: world.is_validated())

        key = world.call("POST", "/v1/kms/local/keys", {"name": "next", "keyType": key_type})
        body = {"region": "local", "kmsKeyIdentity": key["identity"]}
        second = world.call("PUT", f"{ZONE}/dnssec", body)
        world.daemon.wait_for(
            lambda _: len(world.daemon.ask("child.parent.test", "DNSKEY").answer[0]) == keys_meanwhile
        )
        phase[0] = "both keys"
        wait_for_the_caches(world)
        phase[0] = "both DS"
        world.parent.publish([*list_ds(first), *list_ds(second)])
        world.wait_until(dsDelegated=True)
        phase[0] = "second DS, until the first key has left"
        world.parent.publish(list_ds(second))
        world.wait_until(outgoingKeyTags=None)
        world.daemon.wait_for(lambda _: len(world.daemon.ask("child.parent.test", "DNSKEY").answer[0]) == 2)
        assert world.is_validated()

        phase[0] = "turned off"
        world.call("DELETE", f"{ZONE}/dnssec")
        assert world.call("GET", f"{ZONE}/dnssec")["enabled"] is False
        assert world.daemon.ask("child.parent.test", "DNSKEY").answer  # signed on
        world.daemon.wait_for(lambda _: list_records(world, "CDS") == ["0 0 0 00"])
        assert list_records(world, "CDNSKEY") == ["0 3 0 AA=="]
        phase[0] = "without DS, until unsigned"
        world.parent.publish([])
        world.daemon.wait_for(lambda _: not world.daemon.ask("child.parent.test", "DNSKEY").answer, 60)
        world.daemon.wait_for(lambda _: not world.is_validated())
        assert world.call("GET", f"{ZONE}/dnssec") == {"enabled": False, "dsDelegated": False}
        assert list_records(world, "CDS") == []
    finally:
        ended.set()
        watcher.join()
    assert len(codes) > 20
    assert not failures


def list_cds(world: World) -> list[str]:
    """Give the CDS records, in the form of the DS records of the status."""
    return sorted(record.lower() for record in list_records(world, "CDS"))


def wait_for_cds(world: World, status: dict[str, object]) -> list[str]:
    """Wait until the zone asks for just the DS set that a status says."""
    wanted = sorted(record.lower() for record in list_ds(status))
    world.daemon.wait_for(lambda _: list_cds(world) == wanted)
    return wanted


def change_key(world: World, key_type: str) -> dict[str, object]:
    """Choose another key; gives the status once the zone has it."""
    before = count_keys(world)
    status = choose_key(world, key_type)
    world.daemon.wait_for(lambda _: count_keys(world) > before)
    return status


def choose_key(world: World, key_type: str) -> dict[str, object]:
    """Choose another key; gives the status."""
    key = world.call("POST", "/v1/kms/local/keys", {"name": f"next {key_type}", "keyType": key_type})
    body = {"region": "local", "kmsKeyIdentity": key["identity"]}
    return world.call("PUT", f"{ZONE}/dnssec", body)


def count_keys(world: World) -> int:
    """Count the DNSKEY records."""
    return len(world.daemon.ask("child.parent.test", "DNSKEY").answer[0])


@pytest.mark.parametrize("world", ["knotd"], indirect=True)
def test_cds_keeps_asking_for_the_key_of_before_until_all_caches_can_have_the_new_one(world: World) -> None:
    first = world.call("PUT", f"{ZONE}/dnssec", {"region": "local"})
    before = wait_for_cds(world, first)
    world.daemon.stop()
    world.daemon.options = world.daemon.options.replace("dnskey_ttl: 1s", f"dnskey_ttl: {SLOW}")
    world.daemon.start()
    world.daemon.wait_for(lambda _: world.daemon.ask("child.parent.test", "DNSKEY").answer[0].ttl > 1)
    change_key(world, "ecdsa-p256")
    assert list_cds(world) == before
    choose_key(world, "rsa-2048")
    world.daemon.wait_for(lambda _: count_keys(world) == 2)
    assert list_cds(world) == before, "not the key between them either: it is in no cache yet"
    world.daemon.stop()
    world.daemon.start()
    world.daemon.wait_for(lambda _: bool(list_cds(world)))
    assert list_cds(world) == before
    again = world.call(
        "PUT", f"{ZONE}/dnssec", {"region": "local", "kmsKeyIdentity": first["kmsKeyIdentity"]}
    )
    assert again["dsRecords"] == first["dsRecords"]
    body = {"name": "mail", "type": "A", "ttl": 1, "values": ["192.0.2.9"]}
    world.call("POST", f"{ZONE}/records", body)
    world.daemon.wait_for(lambda _: bool(world.daemon.ask("mail.child.parent.test", "A").answer))
    assert list_cds(world) == before


@pytest.mark.parametrize("world", ["knotd"], indirect=True)
def test_a_zone_that_was_just_signed_asks_for_nothing_until_all_caches_can_have_its_key(world: World) -> None:
    body = {"name": "long", "type": "A", "ttl": 3600, "values": ["192.0.2.8"]}
    world.call("POST", f"{ZONE}/records", body)
    world.daemon.wait_for(lambda _: bool(world.daemon.ask("long.child.parent.test", "A").answer))
    world.call("PUT", f"{ZONE}/dnssec", {"region": "local"})
    world.daemon.wait_for(lambda _: bool(world.daemon.ask("child.parent.test", "DNSKEY").answer))
    assert (list_records(world, "CDS"), list_records(world, "CDNSKEY")) == ([], [])
    world.call("DELETE", f"{ZONE}/dnssec")
    world.daemon.wait_for(lambda _: not world.daemon.ask("child.parent.test", "DNSKEY").answer)


@pytest.mark.parametrize("world", ["knotd"], indirect=True)
def test_a_parent_that_follows_cds_changes_keys_and_algorithms_without_one_servfail(world: World) -> None:
    answers: list[dns.message.Message] = []
    ended = threading.Event()
    followed: list[list[str]] = []

    def follow() -> None:
        installed: list[str] = []
        while not ended.wait(0.05):
            if (cds := list_cds(world)) and cds != installed:
                installed = cds
                followed.append(cds)
                world.parent.publish([] if cds == ["0 0 0 00"] else cds)
            answers.append(world.ask())

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        wanted = [wait_for_cds(world, world.call("PUT", f"{ZONE}/dnssec", {"region": "local"}))]
        world.wait_until(dsDelegated=True)
        for key_type in ("ecdsa-p256", "ecdsa-p384"):
            wanted.append(wait_for_cds(world, change_key(world, key_type)))
            world.wait_until(dsDelegated=True, outgoingKeyTags=None)
        before = world.call("GET", f"{ZONE}/dnssec")
        told = world.daemon.run_command("rollover", "start", "ksk", "child.parent.test").stdout
        assert "has begun" in told
        world.daemon.wait_for(lambda _: list_ds(world.call("GET", f"{ZONE}/dnssec")) != list_ds(before))
        after = world.call("GET", f"{ZONE}/dnssec")
        assert after["kmsKeyIdentity"] == before["kmsKeyIdentity"], "a key that was named: another version"
        wanted.append(wait_for_cds(world, after))
        world.wait_until(dsDelegated=True, outgoingKeyTags=None)
        world.daemon.wait_for(lambda _: world.is_validated())
        world.call("DELETE", f"{ZONE}/dnssec")
        world.daemon.wait_for(lambda _: not world.daemon.ask("child.parent.test", "DNSKEY").answer, 60)
    finally:
        ended.set()
        follower.join()
    assert followed == [*wanted, ["0 0 0 00"]]
    assert {answer.rcode() for answer in answers} == {dns.rcode.NOERROR}
