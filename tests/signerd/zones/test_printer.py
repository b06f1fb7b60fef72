"""Signed zones in presentation form: other programs read them back and verify them."""

import base64
import subprocess
import time
from pathlib import Path

import dns.rdata
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers import find_tool
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, fold_case, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.printer import write_master_file
from signerd.zones.rdata_printer import format_bitmap, format_rdata
from signerd.zones.rdata_reader import RdataReader
from zone_generator import generate_zone

ORIGIN = parse_name("made.test.")


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    command = [find_tool("dnssec-keygen"), "-q", "-K", str(folder), "-a", "ECDSAP256SHA256"]
    for flags in ([], ["-f", "KSK"]):
        subprocess.run([*command, *flags, "made.test"], check=True, capture_output=True, timeout=60)
    return folder


def sign(folder: Path, keys: Path, *, nsec3: bool) -> Zone:
    """Sign with BIND's tool and read that with dnspython: no code of ours stands before the printer."""
    (folder / "plain").write_text(generate_zone("made.test.", 200, 5).text)
    options = ["-3", "-", "-H", "0"] if nsec3 else []
    command = [find_tool("dnssec-signzone"), "-q", "-S", "-K", str(keys), "-d", str(folder), *options]
    arguments = ["-o", "made.test", "-f", str(folder / "signed"), str(folder / "plain")]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=60)
    zone = dns.zone.from_text((folder / "signed").read_text(), "made.test.", relativize=False)
    names: dict[Name, dict[int, RRset]] = {}
    nsec3_names: dict[Name, RRset] = {}
    signatures: dict[tuple[Name, int], list[bytes]] = {}
    found: dict[tuple[Name, int], tuple[int, list[bytes]]] = {}
    for name, ttl, rdata in zone.iterate_rdatas():
        owner, wire = fold_case(name.to_wire() or b""), rdata.to_wire() or b""
        if rdata.rdtype == dns.rdatatype.RRSIG:
            signatures.setdefault((owner, int.from_bytes(wire[:2])), []).append(wire)
        else:
            found.setdefault((owner, int(rdata.rdtype)), (ttl, []))[1].append(wire)
    for (owner, number), (ttl, rdatas) in found.items():
        signed = tuple(signatures.get((owner, number), ()))
        rrset = RRset(owner, number, ttl, tuple(sorted(rdatas)), signed)
        if number == rt.NSEC3:
            nsec3_names[owner] = rrset
        else:
            names.setdefault(owner, {})[number] = rrset
    return Zone(ORIGIN, names, nsec3_names)


@pytest.mark.parametrize("nsec3", [False, True], ids=["nsec", "nsec3"])
def test_other_programs_verify_a_printed_signed_zone(tmp_path: Path, key_files: Path, nsec3: bool) -> None:
    zone = sign(tmp_path, key_files, nsec3=nsec3)
    assert bool(zone.nsec3) == nsec3
    printed = tmp_path / "made.test.zone"
    printed.write_text("".join(write_master_file(zone)))
    for command in (
        ["ldns-verify-zone", str(printed)],
        ["dnssec-verify", "-q", "-o", "made.test", str(printed)],
        ["kzonecheck", "-o", "made.test", str(printed)],
    ):
        done = subprocess.run(
            [find_tool(command[0]), *command[1:]], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


def test_signed_records_are_printed_as_dnspython_does() -> None:
    hashed = base64.b32hexencode(bytes(range(20))).decode().lower()
    for text, number in (
        (f"257 3 13 {base64.b64encode(bytes(64)).decode()}", rt.DNSKEY),
        ("A 13 2 300 20300102030405 20200101000000 12345 a\\.b.test. AAECAwQF", rt.RRSIG),
        (f"1 0 0 - {hashed} A NS SOA MX TXT RRSIG TYPE65280", rt.NSEC3),
        (f"1 0 5 abcd {hashed}", rt.NSEC3),
        ("b\\000c.test. A AAAA RRSIG NSEC CAA", rt.NSEC),
    ):
        value = dns.rdata.from_text("IN", dns.rdatatype.RdataType.make(number), text)
        again = dns.rdata.from_text(
            "IN", dns.rdatatype.RdataType.make(number), format_rdata(number, value.to_wire() or b"")
        )
        assert again == value


LABELS = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=4)
NAMES = LABELS.map(lambda labels: b"".join(bytes([len(label)]) + label for label in labels) + b"\x00")
STRINGS = st.lists(
    st.binary(max_size=255).map(lambda octets: bytes([len(octets)]) + octets), min_size=1, max_size=5
)


@given(st.sampled_from([rt.NS, rt.MX, rt.SRV, rt.SOA]), NAMES, NAMES, st.binary(min_size=20, max_size=20))
def test_reading_undoes_printing_for_types_with_names(
    number: int, one: bytes, other: bytes, octets: bytes
) -> None:
    rdata = {
        rt.NS: one,
        rt.MX: octets[:2] + one,
        rt.SRV: octets[:6] + one,
        rt.SOA: one + other + octets,
    }[number]
    assert RdataReader(ORIGIN).read(number, format_rdata(number, rdata).split(" ")) == rdata


@given(STRINGS.map(b"".join))
def test_dnspython_reads_back_printed_strings(rdata: bytes) -> None:
    assert dns.rdata.from_text("IN", "TXT", format_rdata(rt.TXT, rdata)).to_wire() == rdata


@given(st.sampled_from([rt.CAA, rt.NAPTR, rt.HTTPS, rt.HINFO, 29, 44, 52, 65280]), st.binary(max_size=40))
def test_any_octets_are_printed_and_read_back_by_dnspython(number: int, rdata: bytes) -> None:
    text = format_rdata(number, rdata)
    if text.startswith("\\#"):
        assert text.split()[2:] == ([rdata.hex()] if rdata else [])
    else:
        assert dns.rdata.from_text("IN", dns.rdatatype.RdataType.make(number), text).to_wire() == rdata


def test_a_bitmap_is_printed_in_order() -> None:
    assert format_bitmap(bytes([0, 1, 0x40, 1, 1, 0x40])) == " A CAA"


def test_prints_ten_thousand_names_in_well_under_a_second() -> None:
    names = {
        owner: {
            rt.A: RRset(
                owner, rt.A, 60, (bytes([10, 0, n >> 8, n & 255]),), (bytes(18) + ORIGIN + bytes(64),)
            )
        }
        for n in range(10_000)
        if (owner := parse_name(f"h{n}", ORIGIN))
    }
    soa = RRset(ORIGIN, rt.SOA, 60, (ORIGIN + ORIGIN + bytes(20),))
    started = time.process_time()
    lines = sum(
        text.count("\n") for text in write_master_file(Zone(ORIGIN, {ORIGIN: {rt.SOA: soa}, **names}))
    )
    assert lines == 20_001
    assert time.process_time() - started < 3
