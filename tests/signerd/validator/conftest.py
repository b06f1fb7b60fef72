"""Zones signed by others: dnssec-signzone, kzonesign and dnspython. No code of signerd signs here."""

import base64
import struct
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from signerd.dns.name import Name
from signerd.dns.rdatatype import CDNSKEY, CDS, DNSKEY, NSEC3
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

DnsKeyRecord = dns.rdtypes.ANY.DNSKEY.DNSKEY

NOW = 1_736_000_000  # 2025-01-04
INCEPTION, EXPIRATION = "20250101000000", "20250201000000"
ORIGIN = dns.name.from_text("example.")

ZONE_TEXT = """\
$ORIGIN example.
$TTL 3600
@ 600 SOA ns1 hostmaster 7 7200 900 1209600 300
@ NS ns1
@ NS ns.Child
@ MX 10 Mail.Example.
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
mail A 192.0.2.2
mail A 192.0.2.3
*.wild TXT "Any Name"
a.deep.ent TXT "below two empty non-terminals"
_sip._tcp SRV 0 5 5060 Mail.Example.
naptr NAPTR 10 20 "U" "SIP+D2U" "!^.*$!sip:Info@Example!" .
caa CAA 0 issue "CA.example"
alias CNAME Ns1.Example.
moved DNAME Other.Test.
child NS ns.child
child DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.child A 192.0.2.4
insecure NS ns.insecure
insecure NS Ns1
ns.insecure AAAA 2001:db8::4
below.ns.insecure A 192.0.2.5
only.glue.under.insecure A 192.0.2.6
far.away.delegation NS ns1
"""


def load(text: str) -> Zone:
    """Read the text of a signed zone with dnspython."""
    parsed = dns.zone.from_text(text, origin=ORIGIN, relativize=False)
    return convert(parsed)


def convert(parsed: dns.zone.Zone) -> Zone:
    signatures: defaultdict[tuple[Name, int], list[bytes]] = defaultdict(list)
    found: dict[tuple[Name, int], tuple[int, list[bytes]]] = {}
    for name, ttl, rdata in parsed.iterate_rdatas():
        owner, wire = Name((name.to_wire() or b"").lower()), rdata.to_wire() or b""
        if rdata.rdtype == dns.rdatatype.RRSIG:
            signatures[owner, int.from_bytes(wire[:2])].append(wire)
        else:
            found.setdefault((owner, int(rdata.rdtype)), (ttl, []))[1].append(wire)
    names: defaultdict[Name, dict[int, RRset]] = defaultdict(dict)
    nsec3: dict[Name, RRset] = {}
    for (owner, number), (ttl, rdatas) in found.items():
        rrset = RRset(owner, number, ttl, tuple(sorted(rdatas)), tuple(signatures[owner, number]))
        if number == NSEC3:
            nsec3[owner] = rrset
        else:
            names[owner][number] = rrset
    return Zone(Name(ORIGIN.to_wire() or b""), dict(names), nsec3)


def run(*command: str | Path, directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a KSK and two ZSKs, one of which signs nothing, without suffix."""
    directory = tmp_path_factory.mktemp("keys")
    made: dict[str, Path] = {}
    for role, options in (("ksk", ["-f", "KSK"]), ("zsk", []), ("stranger", [])):
        stem = run("dnssec-keygen", "-q", "-a", "13", *options, "example.", directory=directory)
        made[role] = directory / stem.strip()
    return made


def read_key(stem: Path) -> tuple[ec.EllipticCurvePrivateKey, DnsKeyRecord]:
    lines = stem.with_name(stem.name + ".private").read_text().splitlines()
    secret = next(line.split()[1] for line in lines if line.startswith("PrivateKey"))
    private = ec.derive_private_key(int.from_bytes(base64.b64decode(secret)), ec.SECP256R1())
    record = stem.with_name(stem.name + ".key").read_text().splitlines()[-1]
    text = record.split("DNSKEY")[1]
    made = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DNSKEY, text)
    assert isinstance(made, DnsKeyRecord)
    return private, made


@pytest.fixture(scope="session")
def sign(keys: dict[str, Path]) -> Callable[..., RRset]:
    """Signs an RRset anew, also with a wrong field, so that a mutation is its only fault.

    dnspython gives the canonical form and the key tag, `cryptography` the signature.
    """
    read = {role: read_key(stem) for role, stem in keys.items()}

    def sign_rrset(
        rrset: RRset,
        role: str | None = None,
        *,
        inception: int = NOW - 3600,
        expiration: int = NOW + 86_400,
        signer: bytes = b"\x07example\x00",
        labels: int | None = None,
        ttl: int | None = None,
    ) -> RRset:
        private, dnskey = read[role or ("ksk" if rrset.type in (DNSKEY, CDS, CDNSKEY) else "zsk")]
        owner = dns.name.from_wire(rrset.owner, 0)[0]
        if labels is None:
            labels = len(owner.labels) - 1 - owner.is_wild()
        fixed = (rrset.type, 13, labels, rrset.ttl if ttl is None else ttl, expiration, inception)
        head = struct.pack("!HBBIIIH", *fixed, dns.dnssec.key_id(dnskey)) + signer
        number = dns.rdatatype.RdataType(rrset.type)
        canonical = [
            dns.rdata.from_wire(dns.rdataclass.IN, number, rdata, 0, len(rdata)).to_digestable()
            for rdata in rrset.rdatas
        ]
        record = rrset.owner + struct.pack("!HHI", rrset.type, 1, fixed[3])
        records = [record + len(rdata).to_bytes(2) + rdata for rdata in sorted(canonical)]
        r, s = decode_dss_signature(private.sign(head + b"".join(records), ec.ECDSA(SHA256())))
        return rrset._replace(signatures=(head + r.to_bytes(32) + s.to_bytes(32),))

    return sign_rrset


@pytest.fixture(scope="session")
def find_ds() -> Callable[[Zone], list[bytes]]:
    """Gives the DS RDATA of the KSKs of a zone, computed by dnspython."""

    def find(zone: Zone) -> list[bytes]:
        found: list[bytes] = []
        for rdata in zone.names[zone.origin][DNSKEY].rdatas:
            if rdata[1] & 1:
                record = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, rdata, 0, len(rdata))
                assert isinstance(record, DnsKeyRecord)
                found.append(dns.dnssec.make_ds(ORIGIN, record, "SHA256").to_wire() or b"")
        return found

    return find


@pytest.fixture(scope="session")
def bind_zones(keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Zone]:
    """The zone signed by dnssec-signzone, with NSEC and with NSEC3, names below a DNAME, CDS and CDNSKEY."""
    directory = tmp_path_factory.mktemp("bind")
    _, ksk = read_key(keys["ksk"])
    cds = dns.dnssec.make_cds(ORIGIN, ksk, "SHA256").to_text()
    extra = [f"$INCLUDE {keys[role]}.key" for role in ("ksk", "zsk")]
    extra += [f"example. CDS {cds}", f"example. CDNSKEY {ksk.to_text()}", "below.moved.example. TXT occluded"]
    (directory / "zone").write_text(ZONE_TEXT + "\n".join(extra) + "\n")
    zones: dict[str, Zone] = {}
    for kind, options in (
        ("nsec", []),
        ("nsec3", ["-3", "-", "-H", "0"]),
        ("salted", ["-3", "abcd", "-H", "3"]),
    ):
        times = ["-s", INCEPTION, "-e", EXPIRATION]
        files: list[str | Path] = ["-O", "full", "-f", kind, "-k", keys["ksk"], "zone", keys["zsk"]]
        run("dnssec-signzone", "-P", "-x", "-o", "example.", *times, *options, *files, directory=directory)
        zones[kind] = load((directory / kind).read_text())
    return zones


@pytest.fixture(scope="session")
def dnspython_zone(keys: dict[str, Path]) -> Zone:
    """The zone signed by dnspython, with NSEC. It gives NSEC the TTL of the SOA, so both are made equal."""
    text = ZONE_TEXT.replace("600 SOA", "300 SOA")
    parsed = dns.zone.from_text(text, origin=ORIGIN, relativize=False)
    pairs: list[tuple[dns.dnssec.PrivateKey, DnsKeyRecord]] = [
        read_key(keys[role]) for role in ("ksk", "zsk")
    ]
    with parsed.writer() as transaction:
        dns.dnssec.sign_zone(
            parsed, transaction, pairs, dnskey_ttl=3600, inception=INCEPTION, expiration=EXPIRATION
        )
    return convert(parsed)


@pytest.fixture(scope="session")
def knot_zones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Zone]:
    """The zone signed by kzonesign, each with keys of another algorithm that it makes itself."""
    directory = tmp_path_factory.mktemp("knot")
    zones: dict[str, Zone] = {}
    for algorithm in ("rsasha256", "rsasha512", "ecdsap256sha256", "ecdsap384sha384", "ed25519"):
        nsec3 = "off" if algorithm in ("rsasha512", "ed25519") else "on"
        place = directory / algorithm
        place.mkdir()
        (place / "example.zone").write_text(ZONE_TEXT)
        (place / "knot.conf").write_text(
            f'database:\n  storage: "{place}"\n'
            f"policy:\n  - id: p\n    algorithm: {algorithm}\n    nsec3: {nsec3}\n"
            "    nsec3-iterations: 0\n    nsec3-salt-length: 0\n    cds-cdnskey-publish: always\n"
            f'zone:\n  - domain: example\n    storage: "{place}"\n    file: example.zone\n'
            "    dnssec-signing: on\n    dnssec-policy: p\n"
        )
        (place / "out").mkdir()
        run("kzonesign", "-c", "knot.conf", "-o", "out", "-t", str(NOW), "example", directory=place)
        zones[algorithm] = load(next((place / "out").iterdir()).read_text())
    return zones
