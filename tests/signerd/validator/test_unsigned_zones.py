"""A zone without DNSSEC: what is accepted, and that nothing half signed is."""

from dataclasses import replace
from pathlib import Path

import pytest

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.signed_zone import set_serial
from signerd.validator.unsigned_zone import validate_unsigned
from signerd.zones.master_file import load_master_file

ORIGIN = parse_name("example.")
TEXT = """$TTL 300
@ SOA ns h 7 3600 600 86400 300
@ NS ns
ns A 192.0.2.1
child NS ns.child
child DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.child A 192.0.2.4
alias CNAME ns
"""


@pytest.fixture
def zone(tmp_path: Path) -> Zone:
    (tmp_path / "z").write_text(TEXT)
    loaded = load_master_file(tmp_path / "z", ORIGIN, directory=tmp_path)
    assert loaded.zone is not None
    return loaded.zone


def change(zone: Zone, owner: str, rrset: RRset) -> Zone:
    name = parse_name(owner, ORIGIN)
    return replace(zone, names={**zone.names, name: {**zone.names.get(name, {}), rrset.type: rrset}})


def with_serial(zone: Zone, serial: int) -> Zone:
    return change(zone, "@", set_serial(zone.soa, serial))


def test_plain_data_is_accepted(zone: Zone) -> None:
    assert str(validate_unsigned(zone)) == "accepted"
    assert validate_unsigned(with_serial(zone, 8), previous=zone).is_accepted


@pytest.mark.parametrize(
    "number", [rt.DNSKEY, rt.CDS, rt.CDNSKEY, rt.NSEC, rt.NSEC3PARAM, rt.RRSIG, rt.NSEC3]
)
def test_any_record_of_a_signer_rejects_it(zone: Zone, number: int) -> None:
    name = parse_name("x", ORIGIN)
    report = validate_unsigned(change(zone, "x", RRset(name, number, 300, (bytes(30),))))
    assert not report.is_accepted
    assert {(finding.owner, finding.type) for finding in report.findings} == {(name, number)}


def test_signatures_on_a_record_set_reject_it(zone: Zone) -> None:
    soa = zone.soa._replace(signatures=(bytes(40),))
    report = validate_unsigned(change(zone, "@", soa))
    assert [finding.reason for finding in report.findings] == ["has an RRSIG in a zone that is not signed"]


def test_a_chain_of_nsec3_rejects_it(zone: Zone) -> None:
    hashed = Name(parse_name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", ORIGIN))
    signed = replace(zone, nsec3={hashed: RRset(hashed, rt.NSEC3, 300, (bytes(30),))})
    assert not validate_unsigned(signed).is_accepted


def test_a_serial_that_does_not_grow_and_other_data_beside_a_cname_reject_it(zone: Zone) -> None:
    assert "not newer" in str(validate_unsigned(zone, previous=zone))
    alias = parse_name("alias", ORIGIN)
    report = validate_unsigned(change(zone, "alias", RRset(alias, rt.TXT, 300, (b"\x01x",))))
    assert "CNAME" in str(report)
