"""Zones made over HTTP, served by a whole server: what was acknowledged is served, whatever happens."""

import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import dns.rcode
import httpx
import pytest

from daemon_process import DaemonProcess, list_items, run_daemon
from signerd.zones.pipeline import Stage

ROOT = "/v1/dns/zones"
FILE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"
KILL_AT = """
import os, pathlib, signal, sys
from signerd.config.loader import load_config
from signerd.daemon import run
from signerd.zones.pipeline import Stage

config = pathlib.Path(sys.argv[1])

def kill(zone, stage):
    if stage == Stage("{stage}") and (config.parent / "armed").exists():
        os.kill(os.getpid(), signal.SIGKILL)

run(load_config(config), on_stage=kill)
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

    def add(self, name: str, address: str) -> None:
        body = {"name": name, "type": "A", "values": [address]}
        self.must("POST", f"{ROOT}/api.test/records", body)


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[DaemonProcess]:
    with run_daemon(tmp_path, {"file.test.zone": FILE}, "responders: {count: 1}\n") as started:
        yield started


def wait_for_address(daemon: DaemonProcess, name: str, address: str) -> None:
    daemon.wait_for(lambda _: list_addresses(daemon, name) == [address])


def list_addresses(daemon: DaemonProcess, name: str) -> list[str]:
    return [str(rdata) for rrset in daemon.ask(name, "A").answer for rdata in cast("list[object]", rrset)]


def list_zones(daemon: DaemonProcess) -> list[object]:
    report = daemon.status()
    assert report is not None
    return [zone["name"] for zone in list_items(report, "zones")]


def test_a_change_is_published_when_the_api_answers_and_serials_grow(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    zone = caller.must("POST", ROOT, {"zoneName": "api.test"})
    assert (zone["publicationPending"], zone.get("publicationError")) == (False, None)
    serials = [cast("int", zone["publishedSerial"])]
    for number in range(1, 4):
        caller.add(f"w{number}", f"192.0.2.{number}")
        shown = caller.must("GET", f"{ROOT}/api.test")
        assert shown["publicationPending"] is False
        serials.append(cast("int", shown["publishedSerial"]))
        wait_for_address(daemon, f"w{number}.api.test", f"192.0.2.{number}")
    assert serials == sorted(set(serials))
    assert daemon.ask("nothing.api.test", "A", dnssec=True).rcode() == dns.rcode.NXDOMAIN
    assert not any(rrset.rdtype == 46 for rrset in daemon.ask("api.test", "SOA", dnssec=True).answer)


def test_the_command_exports_imports_checks_and_says_why(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    (daemon.directory / "text").write_text("www A 192.0.2.1\nx PTR y.test.\n")
    done = daemon.run_command("zone", "import", "api.test", str(daemon.directory / "text"))
    assert done.stdout == "1 created, 0 updated, 0 deleted, 1 skipped\n", done.stderr
    caller.add("late", "192.0.2.2")
    assert "www 3600 IN A 192.0.2.1\n" in daemon.run_command("zone", "export", "api.test").stdout
    assert "up to date" in daemon.run_command("zone", "check", "api.test").stdout
    why = daemon.run_command("zone", "why", "api.test").stdout.splitlines()
    assert "records changed" in why[0]
    assert "dns.record.create by user:" in why[1]
    assert "+late A" in why[1]
    assert "dns.zone.import by user:" in why[3]
    assert "first version" in why[-1]
    assert "api.test" in daemon.run_command("zone", "list").stdout
    assert "192.0.2.1" in daemon.run_command("zone", "show", "api.test").stdout


def test_files_and_api_zones_live_side_by_side(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    assert "file.test.zone" in caller.send("DELETE", f"{ROOT}/file.test").json()["message"]
    assert caller.send("POST", ROOT, {"zoneName": "file.test"}).status_code == 409
    dnssec = caller.must("GET", f"{ROOT}/file.test/dnssec")
    assert (dnssec["enabled"], dnssec["dsDelegated"]) == (True, False)
    (ksk,) = (key for key in list_items(daemon.zone("file.test"), "keys") if key["role"] == "ksk")
    assert [record["keyTag"] for record in list_items(dnssec, "dsRecords")] == [ksk["tag"]] * 2
    assert dnssec["kmsKeyIdentity"] == ksk["kms_key"]
    daemon.wait_for(lambda _: daemon.zone("file.test")["key_changes"] is not None)
    assert caller.send("POST", f"{ROOT}/file.test/dnssec:probe").status_code == 202
    assert caller.send("PUT", f"{ROOT}/file.test/dnssec", {"region": "local"}).status_code == 409
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    caller.add("www", "192.0.2.1")
    (daemon.zones / "api.test.zone").write_text(FILE)
    daemon.wait_for(lambda _: "kept over the API" in daemon.log)
    wait_for_address(daemon, "www.api.test", "192.0.2.1")
    forget = daemon.run_command("forget", "api.test")
    assert forget.returncode == 1
    assert "over the API" in forget.stderr


def test_a_deleted_zone_is_not_served_and_can_be_made_again(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    caller.add("www", "192.0.2.1")
    wait_for_address(daemon, "www.api.test", "192.0.2.1")
    caller.must("DELETE", f"{ROOT}/api.test")
    assert "api.test" not in list_zones(daemon)
    daemon.wait_for(lambda _: daemon.ask("www.api.test", "A").rcode() == dns.rcode.REFUSED)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    caller.add("www", "192.0.2.2")
    wait_for_address(daemon, "www.api.test", "192.0.2.2")


def test_a_restart_serves_what_was_served(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    caller.add("www", "192.0.2.1")
    before = caller.must("GET", f"{ROOT}/api.test")
    daemon.stop()
    daemon.start()
    assert caller.must("GET", f"{ROOT}/api.test") == before
    wait_for_address(daemon, "www.api.test", "192.0.2.1")
    caller.add("other", "192.0.2.3")
    wait_for_address(daemon, "other.api.test", "192.0.2.3")


def test_without_the_root_key_api_zones_are_served_on_and_stay_unsigned(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    caller.add("www", "192.0.2.1")
    serial = caller.must("GET", f"{ROOT}/api.test")["publishedSerial"]
    daemon.stop()
    key = daemon.state / "root.key"
    key.rename(daemon.directory / "aside")
    daemon.start()
    assert list_addresses(daemon, "www.api.test") == ["192.0.2.1"]
    (daemon.directory / "aside").rename(key)
    daemon.wait_for(lambda _: caller.send("GET", f"{ROOT}/api.test").is_success)
    daemon.wait_for(lambda _: caller.must("GET", f"{ROOT}/api.test")["publicationPending"] is False)
    assert caller.must("GET", f"{ROOT}/api.test")["publishedSerial"] == serial
    assert daemon.zone("api.test")["keys"] == []


@pytest.mark.parametrize("stage", [Stage.LOADED, Stage.VALIDATED])
def test_kill_between_commit_and_publication_loses_nothing(tmp_path: Path, stage: Stage) -> None:
    script = KILL_AT.format(stage=stage.value)
    options = "responders: {count: 1}\n"
    with run_daemon(tmp_path, {"file.test.zone": FILE}, options, script=script) as daemon:
        caller = Caller(daemon)
        caller.must("POST", ROOT, {"zoneName": "api.test"})
        caller.add("www", "192.0.2.1")
        before = cast("int", caller.must("GET", f"{ROOT}/api.test")["publishedSerial"])
        (tmp_path / "armed").touch()
        with pytest.raises(httpx.TransportError):  # it dies before it can answer
            caller.add("late", "192.0.2.9")
        assert daemon.process is not None
        assert daemon.process.wait(30) == -signal.SIGKILL
        assert list_addresses(daemon, "www.api.test") == ["192.0.2.1"]  # responders go on
        (tmp_path / "armed").unlink()
        daemon.start()
        wait_for_address(daemon, "late.api.test", "192.0.2.9")
        after = caller.must("GET", f"{ROOT}/api.test")
        assert cast("int", after["publishedSerial"]) > before


def test_kill_after_a_deletion_does_not_bring_the_zone_back(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"file.test.zone": FILE}) as daemon:
        caller = Caller(daemon)
        caller.must("POST", ROOT, {"zoneName": "api.test"})
        daemon.stop()
        # as if it had died right after the commit
        removed = daemon.run_command("zone", "delete", "api.test")
        assert removed.returncode == 0, removed.stderr
        assert (daemon.state / "published" / "api.test").exists()
        daemon.start()
        daemon.wait_for(lambda _: "api.test" not in list_zones(daemon))
        daemon.wait_for(lambda _: not (daemon.state / "published" / "api.test").exists())


def test_fifty_writers_at_once_lose_nothing(daemon: DaemonProcess) -> None:
    caller = Caller(daemon)
    caller.must("POST", ROOT, {"zoneName": "api.test"})
    names = [f"n{number}" for number in range(50)]
    with ThreadPoolExecutor(50) as writers:
        for done in [writers.submit(Caller(daemon).add, name, "192.0.2.7") for name in names]:
            done.result()
    records = caller.send("GET", f"{ROOT}/api.test/records").json()
    assert sorted(record["name"] for record in records) == sorted(names)
    daemon.wait_for(lambda _: caller.must("GET", f"{ROOT}/api.test")["publicationPending"] is False)
    for name in names:
        wait_for_address(daemon, f"{name}.api.test", "192.0.2.7")


def test_a_file_that_lost_most_of_its_records_is_refused_until_that_is_allowed(daemon: DaemonProcess) -> None:
    lines = "".join(f"n{number} A 192.0.2.9\n" for number in range(20))
    file = daemon.zones / "file.test.zone"
    file.write_text(FILE + lines)
    assert daemon.run_command("reload", "file.test").returncode == 0
    file.write_text(FILE)
    refused = daemon.run_command("reload", "file.test")
    assert refused.returncode == 1
    assert "20 of 22 record sets (90 %) would be deleted" in refused.stderr
    assert list_addresses(daemon, "n5.file.test") == ["192.0.2.9"]
    allowed = daemon.run_command("reload", "--allow-mass-deletion", "file.test")
    assert allowed.returncode == 0, allowed.stderr
    daemon.wait_for(lambda _: daemon.ask("n5.file.test", "A").rcode() == dns.rcode.NXDOMAIN)
