"""Signed zones of the API on a whole server: keys that cannot be used, and what the audit says of keys."""

import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import cast

import dns.rdatatype
import httpx
import pytest
from dns.rdtypes.ANY.RRSIG import RRSIG

from daemon_process import STEPPED_CLOCK, DaemonProcess, run_daemon

DAY = 86400
ZONE = "/v1/dns/zones/api.test"
OPTIONS = """responders: {count: 1}
clock: {max_jump: 60d}
dnssec: {key_signature_runway: 0s, parents: {test: ["127.0.0.1@9"]}, probe_timeout: 100ms, probe_attempts: 1}
"""


class Caller:
    """The administrator of a running server."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon

    def send(self, method: str, path: str, body: object | None = None) -> httpx.Response:
        report = self.daemon.status()
        assert report is not None
        host, _, port = str(report["admin"]).rpartition("@")
        token = (self.daemon.state / "admin.token").read_text().strip()
        headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
        url = f"http://{host}:{port}{path}"
        return httpx.request(method, url, headers=headers, json=body, trust_env=False, timeout=60)

    def must(self, method: str, path: str, body: object | None = None) -> dict[str, object]:
        response = self.send(method, path, body)
        assert response.is_success, response.text
        return cast("dict[str, object]", response.json()) if response.content else {}

    def sign_zone(self) -> dict[str, object]:
        """Make a signed zone, and wait until it is served so."""
        self.must("POST", "/v1/dns/zones", {"zoneName": "api.test"})
        status = self.must("PUT", f"{ZONE}/dnssec", {"region": "local"})
        self.daemon.wait_for(lambda _: bool(self.daemon.ask("api.test", "DNSKEY").answer))
        return status

    def read_expiration(self) -> int:
        """Give when the signature of the DNSKEY RRset in service expires."""
        answer = self.daemon.ask("api.test", "DNSKEY", dnssec=True).answer
        (signatures,) = (rrset for rrset in answer if rrset.rdtype == dns.rdatatype.RRSIG)
        (rrsig,) = cast("list[RRSIG]", list(signatures))
        return int(rrsig.expiration)

    def read_error(self) -> str:
        return str(self.must("GET", f"{ZONE}/dnssec").get("lastSignError", ""))


@pytest.fixture
def caller(tmp_path: Path) -> Generator[Caller]:
    with run_daemon(tmp_path, {}, OPTIONS, script=STEPPED_CLOCK) as daemon:
        yield Caller(daemon)


def test_a_disabled_key_keeps_the_zone_in_service_and_says_so_until_it_is_back(caller: Caller) -> None:
    key = caller.sign_zone()["kmsKeyIdentity"]
    first = caller.read_expiration()
    caller.must("POST", f"/v1/kms/local/keys/{key}/disable")
    caller.daemon.step_clock(10 * DAY)
    caller.must("POST", f"{ZONE}/records", {"name": "www", "type": "A", "values": ["192.0.2.1"]})
    caller.daemon.wait_for(lambda _: "hold until" in caller.read_error())
    error = caller.read_error()
    assert "disabled" in error
    assert "since 2" in error
    assert caller.read_expiration() == first
    assert caller.daemon.ask("www.api.test", "A").answer, "changes are served as long as signatures hold"
    assert caller.must("GET", ZONE)["publicationPending"] is False
    serial = caller.must("GET", ZONE)["publishedSerial"]
    assert "cannot sign" in caller.daemon.run_command("reload", "api.test").stderr
    assert caller.must("GET", ZONE)["publishedSerial"] == serial, "a version that is no better is not made"
    caller.must("POST", f"/v1/kms/local/keys/{key}/enable")
    caller.daemon.wait_for(lambda _: caller.read_expiration() > first)
    caller.daemon.wait_for(lambda _: not caller.read_error())


def test_sealed_by_an_operator_signing_stops_and_goes_on_by_itself(caller: Caller) -> None:
    caller.sign_zone()
    first = caller.read_expiration()
    assert caller.daemon.run_command("seal").returncode == 0
    change = {"name": "www", "type": "A", "values": ["192.0.2.1"]}
    assert caller.send("POST", f"{ZONE}/records", change).status_code == 503
    caller.daemon.step_clock(10 * DAY)
    caller.daemon.run_command("reload", "api.test")
    caller.daemon.wait_for(lambda _: "sealed" in str(caller.daemon.zone("api.test")["last_error"]))
    assert caller.read_expiration() == first, "served on"
    reason, until = read_sign_error(caller.daemon)
    assert "sealed" in reason
    assert until >= first - DAY
    assert caller.daemon.run_command("unseal").returncode == 0
    caller.daemon.wait_for(lambda _: caller.read_expiration() > first)
    caller.daemon.wait_for(lambda _: not caller.read_error())
    caller.must("POST", f"{ZONE}/records", change)
    caller.daemon.wait_for(lambda _: bool(caller.daemon.ask("www.api.test", "A").answer))


def read_sign_error(daemon: DaemonProcess) -> tuple[str, int]:
    """Read what is stored: the API answers nobody while the KMS is sealed."""
    connection = sqlite3.connect(f"file:{daemon.state / 'signerd.db'}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT sign_error, signatures_until FROM dns_dnssec").fetchone()
    finally:
        connection.close()
    return cast("tuple[str, int]", row)


def test_what_is_done_with_keys_for_a_zone_is_audited_via_dns_dnssec(caller: Caller) -> None:
    status = caller.sign_zone()
    page = caller.must("GET", "/v1/audit?limit=1000&includeSystemServices=true&action=kms.create,kms.sign")
    entries = cast("list[dict[str, object]]", page["items"])
    contexts = [cast("dict[str, object]", entry["context"]) for entry in entries]
    assert {entry["action"] for entry in entries} == {"kms.create", "kms.sign"}
    assert {context["via"] for context in contexts} == {"dns-dnssec"}
    assert {entry["resourceIdentity"] for entry in entries} == {status["kmsKeyIdentity"]}
    assert {context.get("zone") for context in contexts} == {None, "api.test"}, "named where it is signed"
