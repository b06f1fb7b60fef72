"""Other programs accept what the server publishes and answers: zone verifiers, delv, unbound."""

import gzip
import subprocess
from collections.abc import Generator
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest
from dns.rdtypes.ANY.CNAME import CNAME

from daemon_process import DaemonProcess, run_daemon
from peers import find_free_port, find_tool, run_unbound
from zone_generator import GeneratedZone, generate_zone

DATA = Path(__file__).parent.parent / "data"
EXAMPLES = Path(__file__).parent.parent.parent / "zones"
GENERATED = {
    "nsec3.test": generate_zone("nsec3.test.", 1000, 1),
    "nsec.test": generate_zone("nsec.test.", 1000, 2),
}
SMALL = (
    "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n*.w TXT wild\na.b.c A 192.0.2.2\n"
)
OPTIONS = """
policies:
  with-nsec: {denial: nsec}
  with-p384: {key_type: ecdsa-p384}
  with-rsa: {key_type: rsa-2048}
  with-csk: {csk: true}
zones:
  - {name: nsec.test, policy: with-nsec}
  - {name: p384.test, policy: with-p384}
  - {name: rsa.test, policy: with-rsa}
  - {name: csk.test, policy: with-csk}
"""
ZONES = [
    "root",
    "example.com",
    "2.0.192.in-addr.arpa",
    "nsec3.test",
    "nsec.test",
    "p384.test",
    "rsa.test",
    "csk.test",
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Generator[DaemonProcess]:
    files = {file.name: file.read_text() for file in EXAMPLES.iterdir() if file.name != "README.md"}
    files["root.zone"] = gzip.decompress((DATA / "root.zone.gz").read_bytes()).decode()
    files |= {f"{name}.zone": zone.text for name, zone in GENERATED.items()}
    files |= {"p384.test.zone": SMALL, "rsa.test.zone": SMALL, "csk.test.zone": SMALL}
    with run_daemon(tmp_path_factory.mktemp("daemon"), files, OPTIONS) as daemon:
        yield daemon


def argue(zone: str) -> str:
    return "." if zone == "root" else zone


@pytest.fixture(scope="module")
def dumps(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("dumps")
    dumps: dict[str, Path] = {}
    for zone in ZONES:
        result = daemon.run_command("dump", argue(zone))
        assert result.returncode == 0, result.stderr
        dumps[zone] = directory / f"{zone}.signed"
        dumps[zone].write_text(result.stdout)
    return dumps


@pytest.fixture(scope="module")
def anchors(daemon: DaemonProcess) -> dict[str, list[str]]:
    """The exported DS records of each zone."""
    anchors: dict[str, list[str]] = {}
    for zone in ZONES:
        result = daemon.run_command("ds", argue(zone))
        assert result.returncode == 0, result.stderr
        anchors[zone] = result.stdout.splitlines()
        assert len(anchors[zone]) == 2
    return anchors


@pytest.mark.parametrize("zone", ZONES)
def test_ldns_verify_zone_accepts(dumps: dict[str, Path], zone: str) -> None:
    command = [find_tool("ldns-verify-zone"), "-V", "3", str(dumps[zone])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Zone is verified and complete" in result.stdout + result.stderr


@pytest.mark.parametrize("zone", ZONES)
def test_dnssec_verify_accepts(dumps: dict[str, Path], zone: str) -> None:
    one_key = ["-z"] if zone == "csk.test" else []  # or it asks for a ZSK of each algorithm
    command = [find_tool("dnssec-verify"), *one_key, "-o", argue(zone), str(dumps[zone])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Zone fully signed" in result.stdout + result.stderr


@pytest.mark.parametrize("zone", ZONES)
def test_kzonecheck_accepts(dumps: dict[str, Path], zone: str) -> None:
    command = [find_tool("kzonecheck"), "--dnssec", "on", "-o", argue(zone), str(dumps[zone])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def list_insecure(zone: GeneratedZone) -> tuple[str, ...]:
    return tuple(f".{name}" for name in zone.delegations) + tuple(zone.delegations)


def leads_outside(response: dns.message.Message, zone: GeneratedZone) -> bool:
    origin = dns.name.from_text(zone.origin)
    insecure = [dns.name.from_text(name) for name in zone.delegations]
    targets = [
        record.target
        for rrset in response.answer
        for record in list[object](rrset)
        if isinstance(record, CNAME)
    ]
    return any(
        not target.is_subdomain(origin) or any(target.is_subdomain(cut) for cut in insecure)
        for target in targets
    )


@pytest.fixture(scope="module")
def unbound(
    daemon: DaemonProcess, anchors: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Generator[int]:
    zones = [zone for zone in ZONES if zone != "root"]
    port = find_free_port()
    trust = [line for zone in zones for line in anchors[zone]]
    directory = tmp_path_factory.mktemp("unbound")
    with run_unbound(directory, dict.fromkeys(zones, daemon.port), trust, port):
        yield port


@pytest.mark.parametrize("name", GENERATED)
def test_unbound_validates_every_answer_of_a_generated_zone(
    daemon: DaemonProcess, unbound: int, name: str
) -> None:
    zone = GENERATED[name]
    asked = 0
    kinds: set[tuple[int, bool]] = set()
    for qname, qtype in zone.make_questions(700, 3):
        below_cut = qname.endswith(list_insecure(zone))
        if below_cut and not (qtype == "DS" and qname in zone.delegations):
            continue  # answered by servers that do not exist
        if (qname, qtype) == (zone.origin, "DS"):
            continue  # a question for the parent, which nobody serves here
        if qtype in ("CNAME", "DNAME"):
            continue  # unbound follows aliases for these, too, and fails; also with knotd
        if leads_outside(daemon.ask(qname, qtype), zone):
            continue  # an alias to a name that nobody serves here
        query = dns.message.make_query(qname, qtype, want_dnssec=True)
        query.flags |= dns.flags.AD
        response = dns.query.udp_with_fallback(query, "127.0.0.1", 10, unbound)[0]
        assert response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), (qname, qtype, response)
        assert response.flags & dns.flags.AD, (qname, qtype, response)
        asked += 1
        kinds.add((response.rcode(), bool(response.answer)))
    assert asked > 300
    assert kinds == {(0, True), (0, False), (3, False), (3, True)}  # the last: an alias to nothing


@pytest.mark.parametrize("zone", ["p384.test", "rsa.test", "example.com"])
def test_unbound_validates_other_zones(unbound: int, zone: str) -> None:
    for name, rdatatype in [("", "SOA"), ("", "DNSKEY"), ("nx.", "A"), ("", "LOC"), ("x.w.", "TXT")]:
        query = dns.message.make_query(f"{name}{zone}", rdatatype, want_dnssec=True)
        query.flags |= dns.flags.AD
        response = dns.query.udp_with_fallback(query, "127.0.0.1", 10, unbound)[0]
        assert response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), response
        assert response.flags & dns.flags.AD, response


@pytest.mark.parametrize(
    ("zone", "questions"),
    [
        (
            "nsec3.test",
            [
                ("nsec3.test", "SOA"),
                ("nx.nsec3.test", "A"),
                ("ns1.nsec3.test", "TXT"),
                ("mail.nsec3.test", "A"),
            ],
        ),
        (
            "nsec.test",
            [("nsec.test", "MX"), ("nx.nsec.test", "A"), ("ns1.nsec.test", "TXT"), ("mail.nsec.test", "A")],
        ),
        ("root", [(".", "SOA"), ("com", "DS"), ("nonexistent", "A"), (".", "NS")]),
        ("csk.test", [("csk.test", "SOA"), ("b.c.csk.test", "A"), ("deep.x.w.csk.test", "TXT")]),
        ("rsa.test", [("rsa.test", "SOA"), ("b.c.rsa.test", "A"), ("deep.x.w.rsa.test", "TXT")]),
    ],
)
def test_delv_validates(
    daemon: DaemonProcess,
    anchors: dict[str, list[str]],
    tmp_path: Path,
    zone: str,
    questions: list[tuple[str, str]],
) -> None:
    trust = ""
    for line in anchors[zone]:
        tag, algorithm, digest_type, digest = line.split()[4:]
        trust += f'{argue(zone)} static-ds {tag} {algorithm} {digest_type} "{digest}"; '
    file = tmp_path / "anchors"
    file.write_text(f"trust-anchors {{ {trust} }};\n")
    for name, rdatatype in questions:
        command = [find_tool("delv"), "-a", str(file), f"+root={argue(zone)}", "@127.0.0.1"]
        command += ["-p", str(daemon.port), name, rdatatype]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        output = result.stdout + result.stderr
        assert "fully validated" in output, (name, rdatatype, output)


@pytest.mark.parametrize("name", GENERATED)
def test_referrals_prove_whether_there_is_a_ds(daemon: DaemonProcess, name: str) -> None:
    zone = GENERATED[name]
    for cut in zone.delegations[:20]:
        response = daemon.ask(f"www.{cut}", "A", dnssec=True)
        assert not response.flags & dns.flags.AA
        types = {rrset.rdtype.name for rrset in response.authority}
        is_secure = cut.startswith("sec")
        proof = "DS" if is_secure else "NSEC3" if name == "nsec3.test" else "NSEC"
        assert {"NS", proof} <= types, response
        assert all(rrset.rdtype.name != "RRSIG" or rrset.covers.name != "NS" for rrset in response.authority)
        assert {rrset.rdtype.name for rrset in response.additional} <= {"A", "AAAA"}
        assert response.additional


@pytest.mark.parametrize("form", ["zone", "bind", "json", "dnskey", "cds", "epp"])
def test_ds_export_is_the_same_with_the_server_stopped(tmp_path: Path, form: str) -> None:
    with run_daemon(tmp_path, {"small.test.zone": SMALL}) as daemon:
        running = daemon.run_command("ds", "small.test", "--format", form)
        assert running.returncode == 0, running.stderr
        daemon.stop()
        stopped = daemon.run_command("ds", "small.test", "--format", form)
    assert stopped.stdout == running.stdout
    assert running.stdout.strip()


def test_a_zone_with_a_csk_has_one_key_and_its_batches_are_in_the_audit(daemon: DaemonProcess) -> None:
    text = daemon.ask("csk.test", "DNSKEY").answer[0].to_text()
    assert text.count(" DNSKEY ") == text.count(" DNSKEY 257 3 13 ") == 1
    exported = daemon.run_command("audit", "export")
    assert exported.returncode == 0, exported.stderr
    batches = [
        line for line in exported.stdout.splitlines() if '"merkleRoot"' in line and '"csk.test"' in line
    ]
    assert batches
    assert "zone csk.test: every RRset goes through the KMS" in daemon.log
