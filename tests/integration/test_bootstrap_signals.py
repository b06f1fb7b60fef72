"""Signals of RFC 9615 of a running server, as tools and a validating resolver see them."""

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import httpx
import pytest

from daemon_process import DaemonProcess, run_daemon
from peers import find_free_port, find_tool, run_knotd, run_unbound

SOA = "$TTL 1\n@ SOA ns h 1 3600 600 86400 1\n"
CHILD = SOA + "@ NS ns1.provider.test.\n@ NS ns2.provider.test.\nwww A 192.0.2.7\n"
PARENT = SOA + "@ NS ns1.provider.test.\nchild NS ns1.provider.test.\nchild NS ns2.provider.test.\n"
PROVIDER = SOA + "@ NS ns1\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n*.wild TXT x\n"
SIGNAL = SOA + "@ NS ns1.provider.test.\n"
FILES = {
    "child.parent.test.zone": CHILD,
    "parent.test.zone": PARENT,
    "provider.test.zone": PROVIDER + "_signal.ns2 NS ns1\n",
    "_signal.ns2.provider.test.zone": SIGNAL,
}
OPTIONS = """
policies:
  signalling: {signal: true, dnskey_ttl: 1s, propagation: 0s}
zones:
  - {name: child.parent.test, policy: signalling}
"""
SIGNALS = {
    "provider.test": "_dsboot.child.parent.test._signal.ns1.provider.test.",
    "_signal.ns2.provider.test": "_dsboot.child.parent.test._signal.ns2.provider.test.",
}
TYPES = ("CDS", "CDNSKEY")


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[DaemonProcess]:
    with run_daemon(tmp_path, FILES, OPTIONS) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def signalling(tmp_path_factory: pytest.TempPathFactory) -> Generator[DaemonProcess]:
    """A server with its signals published, for tests that only ask."""
    with run_daemon(tmp_path_factory.mktemp("signalling"), FILES, OPTIONS) as daemon:
        daemon.wait_for(lambda _: has_signals(daemon))
        yield daemon


def find(daemon: DaemonProcess, name: str, rdatatype: str) -> dns.rrset.RRset | None:
    number = dns.rdatatype.from_text(rdatatype)
    return next((found for found in daemon.ask(name, rdatatype).answer if found.rdtype == number), None)


def has_signals(daemon: DaemonProcess) -> bool:
    return all(find(daemon, name, rdatatype) for name in SIGNALS.values() for rdatatype in TYPES)


def has_no_signal(daemon: DaemonProcess) -> bool:
    answers = [daemon.ask(name, rdatatype) for name in SIGNALS.values() for rdatatype in TYPES]
    return all(answer.rcode() == dns.rcode.NXDOMAIN for answer in answers)


def list_serials(daemon: DaemonProcess) -> dict[str, object]:
    return {zone: daemon.zone(zone)["serial"] for zone in SIGNALS}


@contextmanager
def trust(daemon: DaemonProcess, zone: str, directory: Path) -> Generator[int]:
    """Run a resolver that trusts the keys of one zone, and gets all zones from the server."""
    anchors = daemon.run_command("ds", zone).stdout.splitlines()
    port = find_free_port()
    with run_unbound(directory / zone, {zone: daemon.port}, anchors, port):
        yield port


@pytest.mark.parametrize("zone", list(SIGNALS))
def test_a_resolver_validates_the_signals_and_they_are_those_of_the_zone(
    signalling: DaemonProcess, tmp_path: Path, zone: str
) -> None:
    with trust(signalling, zone, tmp_path) as port:
        for rdatatype in TYPES:
            query = dns.message.make_query(SIGNALS[zone], rdatatype, want_dnssec=True)
            answer = dns.query.udp_with_fallback(query, "127.0.0.1", 10, port)[0]
            assert answer.rcode() == dns.rcode.NOERROR
            assert answer.flags & dns.flags.AD
            found = next(rrset for rrset in answer.answer if rrset.rdtype != dns.rdatatype.RRSIG)
            apex = find(signalling, "child.parent.test", rdatatype)
            assert apex is not None
            assert found.to_rdataset() == apex.to_rdataset()


def test_tools_accept_the_zones_with_signals(signalling: DaemonProcess, tmp_path: Path) -> None:
    for zone, name in SIGNALS.items():
        dump = tmp_path / zone
        dump.write_text(signalling.run_command("dump", zone).stdout)
        assert f"{name} " in dump.read_text()
        for command in (
            [find_tool("ldns-verify-zone"), "-V", "2", str(dump)],
            [find_tool("dnssec-verify"), "-q", "-o", zone, str(dump)],
        ):
            result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert result.returncode == 0, result.stdout + result.stderr
        command = [find_tool("kzonecheck"), "--dnssec", "on", "-o", zone, str(dump)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        # Knot DNS 3.2 is older than RFC 9615, and takes every CDS for one of the zone itself.
        complaints = [line for line in result.stdout.splitlines() if line.startswith("[")]
        assert all(line.startswith("[_dsboot.") and "CD" in line for line in complaints)


def test_kdig_shows_the_signal_signed_by_the_zone_that_has_it(signalling: DaemonProcess) -> None:
    command = [find_tool("kdig"), "@127.0.0.1", "-p", str(signalling.port), "+dnssec", "+noall", "+answer"]
    result = subprocess.run(
        [*command, SIGNALS["provider.test"], "CDS"], capture_output=True, text=True, check=True, timeout=30
    )
    lines = [line.split() for line in result.stdout.splitlines() if line]
    assert [line[3] for line in lines].count("CDS") == 2
    assert [line[11] for line in lines if line[3] == "RRSIG"] == ["provider.test."]


def test_a_restart_changes_nothing(daemon: DaemonProcess) -> None:
    daemon.wait_for(lambda _: has_signals(daemon))
    before = list_serials(daemon)
    daemon.stop()
    daemon.start()
    assert has_signals(daemon)
    assert list_serials(daemon) == before


def test_the_signals_go_once_the_parent_has_the_ds(daemon: DaemonProcess) -> None:
    daemon.wait_for(lambda _: has_signals(daemon))
    ds = daemon.run_command("ds", "child.parent.test").stdout
    (daemon.zones / "parent.test.zone").write_text(PARENT + ds)
    daemon.wait_for(lambda _: has_no_signal(daemon))
    assert find(daemon, "child.parent.test", "CDS"), "the zone itself still says what it wants"


def test_the_signals_go_with_the_policy(daemon: DaemonProcess) -> None:
    daemon.wait_for(lambda _: has_signals(daemon))
    daemon.stop()
    daemon.options = OPTIONS.replace("true", "false")
    daemon.start()
    daemon.wait_for(lambda _: has_no_signal(daemon))


def test_the_signals_go_with_the_zone(daemon: DaemonProcess) -> None:
    daemon.wait_for(lambda _: has_signals(daemon))
    (daemon.zones / "child.parent.test.zone").unlink()
    daemon.stop()
    daemon.options = OPTIONS.split("zones:")[0]
    daemon.start()
    assert daemon.run_command("forget", "child.parent.test").returncode == 0
    daemon.wait_for(lambda _: has_no_signal(daemon))


def test_a_signal_leaves_all_other_signatures_of_its_zone_alone(daemon: DaemonProcess) -> None:
    daemon.wait_for(lambda _: has_signals(daemon))
    before = set(daemon.run_command("dump", "provider.test").stdout.splitlines())
    ds = daemon.run_command("ds", "child.parent.test").stdout
    (daemon.zones / "parent.test.zone").write_text(PARENT + ds)
    daemon.wait_for(lambda _: has_no_signal(daemon))
    after = set(daemon.run_command("dump", "provider.test").stdout.splitlines())
    kept = {line for line in before & after if " RRSIG " in line}
    assert {line for line in after if " RRSIG " in line and " RRSIG NSEC3 " not in line} - kept == {
        line for line in after if " RRSIG SOA " in line
    }


def test_what_cannot_be_signalled_is_in_the_status(tmp_path: Path) -> None:
    files = FILES | {"child.parent.test.zone": CHILD + "@ NS ns.elsewhere.test.\n"}
    with run_daemon(tmp_path, files, OPTIONS) as daemon:
        daemon.wait_for(lambda _: has_signals(daemon))
        report = daemon.wait_for(lambda _: bool(daemon.zone("child.parent.test")["notices"]))
        assert report
        assert "no signal to its parent beneath ns.elsewhere.test." in str(
            daemon.zone("child.parent.test")["notices"]
        )


def write_parent(file: Path, serial: int, ds: str) -> None:
    soa = SOA.replace("h 1 ", f"h {serial} ")
    file.write_text(PARENT.replace(SOA, soa) + ds)


def test_the_signals_go_once_the_servers_of_another_parent_show_the_ds(tmp_path: Path) -> None:
    file, port = tmp_path / "parent.zone", find_free_port()
    write_parent(file, 1, "")
    files = {name: text for name, text in FILES.items() if name != "parent.test.zone"}
    options = f"""
dnssec:
  parents: {{parent.test: ["127.0.0.1@{port}"]}}
  probe_interval: 1s
  waiting_probe_interval: 1s
{OPTIONS}"""
    with (
        run_knotd(tmp_path / "knot", {"parent.test": file}, port) as parent,
        run_daemon(tmp_path / "daemon", files, options) as daemon,
    ):
        daemon.wait_for(lambda _: has_signals(daemon))
        write_parent(file, 2, daemon.run_command("ds", "child.parent.test").stdout)
        parent.send_signal(signal.SIGHUP)
        daemon.wait_for(lambda _: has_no_signal(daemon))
        serials = list_serials(daemon)
        daemon.stop()
        daemon.start()
        assert has_no_signal(daemon)
        assert list_serials(daemon) == serials, "a restart does not bring them back for a moment"


def call(daemon: DaemonProcess, method: str, path: str, body: object | None = None) -> None:
    report = daemon.status()
    assert report is not None
    host, _, port = str(report["admin"]).rpartition("@")
    token = (daemon.state / "admin.token").read_text().strip()
    headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
    url = f"http://{host}:{port}/v1/dns/zones{path}"
    response = httpx.request(method, url, headers=headers, json=body, trust_env=False, timeout=60)
    assert response.is_success, response.text


def test_zones_of_the_api_are_signalled_in_the_zone_of_their_name_servers(tmp_path: Path) -> None:
    options = f"""
api_zones: {{policy: signalling, name_servers: [ns1.provider.test], ttl: 1s, minimum: 1s}}
policies:{OPTIONS.split("policies:")[1].split("zones:")[0]}"""
    name = SIGNALS["provider.test"].replace("child.parent.test", "kept.test")
    with run_daemon(tmp_path, {"provider.test.zone": PROVIDER}, options) as daemon:

        def has_signal(_: object) -> bool:
            return find(daemon, name, "CDS") is not None

        call(daemon, "POST", "", {"zoneName": "kept.test"})
        call(daemon, "PUT", "/kept.test/dnssec", {"region": "local"})
        daemon.wait_for(has_signal)
        signal_set, apex = find(daemon, name, "CDS"), find(daemon, "kept.test", "CDS")
        assert signal_set is not None
        assert apex is not None
        assert signal_set.to_rdataset() == apex.to_rdataset()
        call(daemon, "DELETE", "/kept.test/dnssec")
        daemon.wait_for(lambda report: not has_signal(report))
        call(daemon, "PUT", "/kept.test/dnssec", {"region": "local"})
        daemon.wait_for(has_signal)
        call(daemon, "DELETE", "/kept.test")
        daemon.wait_for(lambda report: not has_signal(report))
