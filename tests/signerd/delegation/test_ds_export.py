import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from signerd.delegation.delegation_key import BadKey, DelegationKey, DigestType, make_digest, read_key
from signerd.delegation.ds_export import SECDNS_NAMESPACE, DsFormat, export_ds
from signerd.dns.name import ROOT, Name, format_name, parse_name

SECDNS = f"{{{SECDNS_NAMESPACE}}}"
ZONES = [parse_name("example.com."), ROOT, parse_name(r"a\.b\032c.example.")]


def make_key(algorithm: int) -> DelegationKey:
    if algorithm == 8:
        numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
        public_key = b"\x03" + numbers.e.to_bytes(3) + numbers.n.to_bytes(256)  # RFC 3110, section 2
    else:
        curve = ec.SECP256R1() if algorithm == 13 else ec.SECP384R1()
        point = ec.generate_private_key(curve).public_key()
        public_key = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[
            1:
        ]  # RFC 6605, section 4
    return read_key(bytes((1, 1, 3, algorithm)) + public_key)


KEYS = [make_key(8), make_key(13), make_key(14)]


def read_with_oracle(key: DelegationKey) -> DNSKEY:
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key.rdata, 0, len(key.rdata))
    assert isinstance(rdata, DNSKEY)
    return rdata


@pytest.mark.parametrize("zone", ZONES, ids=format_name)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.algorithm))
def test_tags_and_digests_are_those_of_dnspython(zone: Name, key: DelegationKey) -> None:
    dnskey = read_with_oracle(key)
    assert key.key_tag == dns.dnssec.key_id(dnskey)
    name, _ = dns.name.from_wire(zone, 0)
    for digest_type, oracle_name in ((DigestType.SHA_256, "SHA256"), (DigestType.SHA_384, "SHA384")):
        assert make_digest(zone, key, digest_type) == dns.dnssec.make_ds(name, dnskey, oracle_name).digest


def test_key_tag_and_digest_match_rfc_6605_section_6_1() -> None:
    public_key = base64.b64decode(
        "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="
    )
    key = DelegationKey(257, 3, 13, public_key)
    assert key.key_tag == 55648
    expected = "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"
    assert make_digest(parse_name("example.net."), key, DigestType.SHA_256).hex() == expected


def run_tool(command: Sequence[str]) -> set[tuple[str, ...]]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    return {normalise_ds(line) for line in output.splitlines() if line}


def normalise_ds(line: str) -> tuple[str, ...]:
    words = line.split()
    tag, algorithm, digest_type, *digest = words[words.index("DS") + 1 :]
    return words[0], tag, algorithm, digest_type, "".join(digest).upper()


@pytest.mark.parametrize("zone", ZONES[:2], ids=format_name)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.algorithm))
def test_the_set_is_that_of_bind_and_ldns(zone: Name, key: DelegationKey, tmp_path: Path) -> None:
    name = format_name(zone)
    file = tmp_path / "key"
    file.write_text(export_ds(zone, [key], DsFormat.DNSKEY, 3600))
    exported = export_ds(zone, [key], DsFormat.BIND, 3600)
    ours = {normalise_ds(line) for line in exported.splitlines()}
    assert run_tool(["dnssec-dsfromkey", "-a", "SHA-256", "-a", "SHA-384", "-f", str(file), name]) == ours
    assert (
        run_tool(["ldns-key2ds", "-n", "-2", str(file)]) | run_tool(["ldns-key2ds", "-n", "-4", str(file)])
        == ours
    )


@pytest.mark.parametrize("form", [DsFormat.ZONE, DsFormat.DNSKEY, DsFormat.CDS])
@pytest.mark.parametrize("zone", ZONES, ids=format_name)
def test_zone_file_forms_are_read_back_by_dnspython(zone: Name, form: DsFormat) -> None:
    text = export_ds(zone, KEYS, form, 7200)
    found: dict[str, int] = {}
    for line in text.splitlines():
        owner, ttl, rdclass, rdatatype, *rdata = line.split()
        assert (owner, ttl, rdclass) == (format_name(zone), "7200", "IN")
        assert dns.rdata.from_text(rdclass, rdatatype, " ".join(rdata)).to_wire()
        found[rdatatype] = found.get(rdatatype, 0) + 1
    assert found == {
        DsFormat.ZONE: {"DS": 6},
        DsFormat.DNSKEY: {"DNSKEY": 3},
        DsFormat.CDS: {"CDS": 6, "CDNSKEY": 3},
    }[form]  # fmt: skip


def test_json_has_the_fields_of_the_api() -> None:
    key = KEYS[1]
    document = json.loads(export_ds(ZONES[0], [key], DsFormat.JSON, 3600))
    assert document["zone"] == "example.com"
    sha256, sha384 = document["dsRecords"]
    digest = make_digest(ZONES[0], key, DigestType.SHA_256).hex()
    assert sha256 == {
        "record": f"{key.key_tag} 13 2 {digest}",
        "digestTypeName": "SHA-256",
        "keyTag": key.key_tag,
        "algorithm": 13,
        "keyRole": "KSK",
        "publicKey": base64.b64encode(key.public_key).decode(),
    }
    assert sha384["digestTypeName"] == "SHA-384"
    assert json.loads(export_ds(ROOT, [key], DsFormat.JSON, 3600))["zone"] == "."


def test_epp_create_holds_each_ds_with_its_key() -> None:
    create = ET.fromstring(export_ds(ZONES[0], KEYS, DsFormat.EPP, 3600))  # noqa: S314  # our own output
    assert create.tag == SECDNS + "create"
    assert [child.tag for child in create] == [SECDNS + "dsData"] * 6
    first = create[0]
    # the order of RFC 5910's schema, which is a sequence
    assert [child.tag.removeprefix(SECDNS) for child in first] == [
        "keyTag",
        "alg",
        "digestType",
        "digest",
        "keyData",
    ]
    assert [child.tag.removeprefix(SECDNS) for child in first[4]] == ["flags", "protocol", "alg", "pubKey"]
    assert [child.text for child in first[:3]] == [str(KEYS[0].key_tag), "8", "2"]
    assert first[3].text == make_digest(ZONES[0], KEYS[0], DigestType.SHA_256).hex().upper()
    assert base64.b64decode(first[4][3].text or "") == KEYS[0].public_key


def test_epp_update_replaces_what_the_parent_has() -> None:
    update = ET.fromstring(export_ds(ZONES[0], KEYS[:1], DsFormat.EPP_UPDATE, 3600))  # noqa: S314  # our own output
    assert [child.tag for child in update] == [SECDNS + "rem", SECDNS + "add"]
    assert (update[0][0].tag, update[0][0].text) == (SECDNS + "all", "true")
    assert [child.tag for child in update[1]] == [SECDNS + "dsData"] * 2


@pytest.mark.parametrize("rdata", [b"", b"\x01\x01\x03\x0d", b"\x01\x01\x02\x0dx", b"\x00\x00\x03\x0dx"])
def test_what_is_no_zone_key_is_refused(rdata: bytes) -> None:
    with pytest.raises(BadKey):
        read_key(rdata)
