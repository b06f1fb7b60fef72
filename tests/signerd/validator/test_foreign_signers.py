"""Zones signed by BIND's tool are accepted; each way of spoiling them is found."""

import hashlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from peers import find_tool
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, fold_case, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.report import Report
from signerd.validator.zone_validation import validate
from zone_generator import generate_zone

ORIGIN = parse_name("made.test.")
EXTRA = (
    "a.b TXT x\nsecure NS ns.secure\nsecure DS 1 13 2 "
    + "00" * 32
    + "\nns.secure A 192.0.2.1\nwww A 192.0.2.2\n"
)


@dataclass(frozen=True)
class Signed:
    zone: Zone
    ds: tuple[bytes, ...]
    now: int


def read_zone(path: Path) -> Zone:
    """Read a signed zone with dnspython: no code of ours but the data model."""
    parsed = dns.zone.from_text(path.read_text(), "made.test.", relativize=False)
    names: dict[Name, dict[int, RRset]] = {}
    nsec3: dict[Name, RRset] = {}
    signatures: dict[tuple[Name, int], list[bytes]] = {}
    found: dict[tuple[Name, int], tuple[int, list[bytes]]] = {}
    for name, ttl, rdata in parsed.iterate_rdatas():
        owner, wire = fold_case(name.to_wire() or b""), rdata.to_wire() or b""
        if rdata.rdtype == dns.rdatatype.RRSIG:
            signatures.setdefault((owner, int.from_bytes(wire[:2])), []).append(wire)
        else:
            found.setdefault((owner, int(rdata.rdtype)), (ttl, []))[1].append(wire)
    for (owner, number), (ttl, rdatas) in found.items():
        rrset = RRset(owner, number, ttl, tuple(sorted(rdatas)), tuple(signatures.get((owner, number), ())))
        if number == rt.NSEC3:
            nsec3[owner] = rrset
        else:
            names.setdefault(owner, {})[number] = rrset
    return Zone(ORIGIN, names, nsec3)


@pytest.fixture(scope="module", params=["nsec", "nsec3"])
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("signed")
    keygen = [find_tool("dnssec-keygen"), "-q", "-K", str(folder), "-a", "ECDSAP256SHA256"]
    for flags in ([], ["-f", "KSK"]):
        subprocess.run([*keygen, *flags, "made.test"], check=True, capture_output=True, timeout=60)
    (folder / "plain").write_text(generate_zone("made.test.", 150, 9).text + EXTRA)
    options = ["-3", "-", "-H", "0"] if request.param == "nsec3" else []
    command = [find_tool("dnssec-signzone"), "-q", "-S", "-K", str(folder), "-d", str(folder), *options]
    arguments = ["-o", "made.test", "-f", str(folder / "signed"), str(folder / "plain")]
    subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=60)
    zone = read_zone(folder / "signed")
    (ksk,) = (rdata for rdata in zone.names[ORIGIN][rt.DNSKEY].rdatas if rdata[1] & 1)
    tag = sum(octet if at & 1 else octet << 8 for at, octet in enumerate(ksk))
    tag = (tag + (tag >> 16)) & 0xFFFF
    digest = hashlib.sha256(ORIGIN + ksk).digest()
    return Signed(zone, (tag.to_bytes(2) + bytes([13, 2]) + digest,), int(time.time()))


def check(signed: Signed, zone: Zone | None = None, *, later: int = 0) -> Report:
    return validate(zone or signed.zone, ds=signed.ds, now=signed.now + later)


def replace(zone: Zone, owner: Name, rdatatype: int, change: Callable[[RRset], RRset | None]) -> Zone:
    """Make a version in which one RRset is another, or is gone."""
    names = {name: dict(types) for name, types in zone.names.items()}
    nsec3 = dict(zone.nsec3)
    if rdatatype == rt.NSEC3:
        if (changed := change(nsec3.pop(owner))) is not None:
            nsec3[owner] = changed
    elif (changed := change(names[owner].pop(rdatatype))) is not None:
        names[owner][rdatatype] = changed
    return Zone(zone.origin, names, nsec3)


def flip(octets: bytes, at: int) -> bytes:
    position = at % len(octets)
    return octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]


def test_zones_of_a_foreign_signer_are_accepted(signed: Signed) -> None:
    assert check(signed).findings == ()


# Places in an RRSIG (RFC 4034, section 3.1); the signature is the last 64 octets.
PLACES = {
    "type covered": 1,
    "algorithm": 2,
    "labels": 3,
    "original TTL": 7,
    "expiration": 11,
    "inception": 15,
    "key tag": 17,
    "signer name": 19,
    "first of r": -64,
    "last of r": -33,
    "first of s": -32,
    "last of s": -1,
}


@pytest.mark.parametrize("place", PLACES)
def test_one_changed_bit_anywhere_in_a_signature_is_found(signed: Signed, place: str) -> None:
    owner = parse_name("www", ORIGIN)
    zone = replace(
        signed.zone,
        owner,
        rt.A,
        lambda rrset: rrset._replace(signatures=(flip(rrset.signatures[0], PLACES[place]),)),
    )
    findings = check(signed, zone).findings
    assert findings
    assert {(finding.owner, finding.type) for finding in findings} == {(owner, rt.A)}


WWW, SECURE, GLUE = (parse_name(name, ORIGIN) for name in ("www", "secure", "ns.secure"))
SPOILED: dict[str, tuple[Name, int, Callable[[RRset], RRset | None]]] = {
    "no signature": (WWW, rt.A, lambda rrset: rrset._replace(signatures=())),
    "another address": (WWW, rt.A, lambda rrset: rrset._replace(rdatas=(bytes(4),))),
    "another TTL": (WWW, rt.A, lambda rrset: rrset._replace(ttl=rrset.ttl + 1)),
    "a type gone from under the bitmap": (WWW, rt.A, lambda rrset: None),
    "unsigned DS": (SECURE, rt.DS, lambda rrset: rrset._replace(signatures=())),
    "signed NS of a delegation": (SECURE, rt.NS, lambda rrset: rrset._replace(signatures=(bytes(90),))),
    "signed glue": (GLUE, rt.A, lambda rrset: rrset._replace(signatures=(bytes(90),))),
    "unsigned DNSKEY": (ORIGIN, rt.DNSKEY, lambda rrset: rrset._replace(signatures=())),
    "no DNSKEY": (ORIGIN, rt.DNSKEY, lambda rrset: None),
    "no NS": (ORIGIN, rt.NS, lambda rrset: None),
    "two SOAs": (
        ORIGIN,
        rt.SOA,
        lambda rrset: rrset._replace(rdatas=(*rrset.rdatas, flip(rrset.rdatas[0], -1))),
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_rrsets_are_found(signed: Signed, case: str) -> None:
    owner, rdatatype, change = SPOILED[case]
    findings = check(signed, replace(signed.zone, owner, rdatatype, change)).findings
    assert any(owner == finding.owner or finding.type == rt.NSEC3 for finding in findings), findings


def find_denial(zone: Zone) -> list[tuple[Name, int]]:
    if zone.nsec3:
        return [(owner, rt.NSEC3) for owner in zone.nsec3]
    return [(owner, rt.NSEC) for owner, types in zone.names.items() if rt.NSEC in types]


@pytest.mark.parametrize("case", ["gone", "bitmap", "next name", "TTL", "unsigned", "extra"])
def test_every_break_of_the_chain_is_found(signed: Signed, case: str) -> None:
    for owner, rdatatype in find_denial(signed.zone)[:: 1 if case == "gone" else 20][:60]:

        def spoil(rrset: RRset, rdatatype: int = rdatatype) -> RRset | None:
            rdata = rrset.rdatas[0]
            match case:
                case "gone":
                    return None
                case "bitmap":
                    return rrset._replace(rdatas=(flip(rdata, -1),))
                case "next name":  # its first letter, or the first octet of the next hash
                    return rrset._replace(rdatas=(flip(rdata, 6 if rdatatype == rt.NSEC3 else 1),))
                case "TTL":
                    return rrset._replace(ttl=rrset.ttl + 1)
                case "extra":
                    return rrset._replace(rdatas=(rdata, flip(rdata, -1)))
                case _:
                    return rrset._replace(signatures=())

        findings = check(signed, replace(signed.zone, owner, rdatatype, spoil)).findings
        assert any(finding.type in (rt.NSEC, rt.NSEC3) for finding in findings), (owner, findings)


def test_times_are_checked(signed: Signed) -> None:
    assert "expire" in str(check(signed, later=40 * 86_400).findings[0])
    assert check(signed, later=-2 * 86_400).findings
    until = signed.now + 40 * 86_400
    assert validate(signed.zone, ds=signed.ds, now=signed.now, must_be_good_until=until).findings


def test_a_ds_of_another_key_is_found(signed: Signed) -> None:
    for ds in ((), (flip(signed.ds[0], -1),), (flip(signed.ds[0], 0),)):
        assert validate(signed.zone, ds=ds, now=signed.now).findings


def test_the_serial_must_be_newer(signed: Signed) -> None:
    findings = validate(signed.zone, ds=signed.ds, now=signed.now, previous=signed.zone).findings
    assert [finding.type for finding in findings] == [rt.SOA]
