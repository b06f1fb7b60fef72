"""CDS and CDNSKEY as other programs read them: what the parent shall have, or that it shall have nothing."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from answering import read_zone
from peers import find_tool
from sign_here import make_keys
from signerd.clock import SystemClock
from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.signature_plan import plan_signatures
from signerd.dnssec.signed_zone import assemble
from signerd.signer.bulk_signing import carry_out
from signerd.signer.signing_keys import LocalSigningKey
from signerd.validator.zone_validation import validate
from signerd.version_gate import Trust, VersionGate
from signerd.zones.printer import write_master_file
from signerd.zones.rdata_printer import format_rdata

NOW = int(time.time())  # some of the programs know no other time
APEX = parse_name("child.test.")
TEXT = "$TTL 300\n@ SOA ns h 1 7200 900 604800 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n"
OLD, ZSK = make_keys()
NEW = next(
    key
    for key in (make_keys()[0] for _ in range(100))
    if key.dnskey.key_tag not in {OLD.dnskey.key_tag, ZSK.dnskey.key_tag}
)
AT_REST = KeySet.from_keys([OLD.dnskey, ZSK.dnskey])
ROLLING = KeySet(
    (OLD.dnskey, NEW.dnskey, ZSK.dnskey),
    ksks=(OLD.dnskey, NEW.dnskey),
    zsks=(ZSK.dnskey,),
    announced=(NEW.dnskey,),
)
LEAVING = replace(AT_REST, announced=(), asks_removal=True)


def sign(
    keys: KeySet, previous: Zone | None = None, *, denial: Denial = Denial.NSEC3, publish: bool = True
) -> Zone:
    policy = SigningPolicy(denial=denial, publish_cds=publish)
    unsigned = read_zone(TEXT, "child.test.")
    serial = 1 if previous is None else previous.serial + 1
    assembled = assemble(unsigned, keys=keys, policy=policy, serial=serial)
    plan = plan_signatures(assembled, previous, keys, policy, NOW)
    signing_keys: list[LocalSigningKey] = [OLD, NEW, ZSK]
    return carry_out(plan, signing_keys, workers=1)


def is_accepted(zone: Zone, previous: Zone | None = None) -> bool:
    ds = [rdata for key in (OLD, NEW) for rdata in make_ds_set(APEX, key.dnskey)]
    ds = [rdata for rdata in ds if rdata[:2] == OLD.dnskey.key_tag.to_bytes(2)]
    return validate(zone, ds=ds, now=NOW, previous=previous).is_accepted


def write(zone: Zone, folder: Path) -> Path:
    file = folder / "signed"
    file.write_text("".join(write_master_file(zone)))
    return file


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("denial", Denial)
@pytest.mark.parametrize("keys", [AT_REST, ROLLING, LEAVING], ids=["at rest", "rolling", "leaving"])
def test_verifiers_accept_a_zone_that_asks_its_parent(keys: KeySet, denial: Denial, tmp_path: Path) -> None:
    zone = sign(keys, denial=denial)
    assert is_accepted(zone)
    file = write(zone, tmp_path)
    commands: list[list[str | Path]] = [
        [find_tool("ldns-verify-zone"), "-V", "2", file],
        [find_tool("kzonecheck"), "--dnssec", "on", "-o", "child.test", file],
        [find_tool("dnssec-verify"), "-q", "-o", "child.test", file],
    ]
    for command in commands:
        result = run(*command)
        assert result.returncode == 0, result.stdout + result.stderr


def test_the_delete_form_stands_alone_and_is_signed_by_the_ksk() -> None:
    apex = sign(LEAVING).names[APEX]
    assert apex[rt.CDS].rdatas == (bytes.fromhex("0000000000"),)
    assert apex[rt.CDNSKEY].rdatas == (bytes.fromhex("0000030000"),)
    for number in (rt.CDS, rt.CDNSKEY):
        (signature,) = apex[number].signatures
        assert signature[16:18] == OLD.dnskey.key_tag.to_bytes(2)


def test_the_delete_form_reads_as_the_rfc_prints_it(tmp_path: Path) -> None:
    lines = write(sign(LEAVING), tmp_path).read_text().splitlines()
    assert "child.test. 3600 IN CDS 0 0 0 00" in lines
    assert "child.test. 3600 IN CDNSKEY 0 3 0 AA==" in lines


@pytest.mark.parametrize("keys", [AT_REST, ROLLING, LEAVING], ids=["at rest", "rolling", "leaving"])
def test_no_cds_is_left_when_the_policy_forbids_it(keys: KeySet) -> None:
    before = sign(keys)
    after = sign(keys, before, publish=False)
    assert {rt.CDS, rt.CDNSKEY} <= before.names[APEX].keys()
    assert {rt.CDS, rt.CDNSKEY}.isdisjoint(after.names[APEX])
    assert is_accepted(after, before)


def test_a_key_that_does_not_sign_the_key_set_is_not_announced() -> None:
    keys = KeySet(
        (OLD.dnskey, NEW.dnskey, ZSK.dnskey),
        ksks=(OLD.dnskey,),
        zsks=(ZSK.dnskey,),
        announced=(NEW.dnskey,),
    )
    report = validate(sign(keys), ds=make_ds_set(APEX, OLD.dnskey), now=NOW)
    assert [
        "no key of algorithm 13 named by CDS or CDNSKEY" in str(finding) for finding in report.findings
    ] == [True]


def test_a_zone_that_changes_its_mind_takes_the_delete_form_back() -> None:
    leaving = sign(LEAVING)
    staying = sign(AT_REST, leaving)
    assert is_accepted(staying, leaving)
    assert set(staying.names[APEX][rt.CDS].rdatas) == set(make_ds_set(APEX, OLD.dnskey))


def follow(keys: KeySet, folder: Path, *options: str) -> list[str]:
    """Give the DS records that BIND's tool for parents would have in place of those of the old KSK."""
    file = write(sign(keys), folder)
    dsset = folder / "dsset-child.test."
    old = make_ds_set(APEX, OLD.dnskey)
    dsset.write_text("".join(f"child.test. 3600 IN DS {format_rdata(rt.DS, rdata)}\n" for rdata in old))
    # What is signed with an inception before that of the file counts as replayed.
    files: list[str | Path] = ["-f", file, "-d", dsset]
    result = run(find_tool("dnssec-cds"), *options, "-s", "-86400", *files, "child.test")
    assert result.returncode == 0, result.stderr
    return [line for line in result.stdout.splitlines() if line]


@pytest.mark.parametrize("options", [[], ["-D"]], ids=["CDS", "CDNSKEY"])
def test_for_the_parent_the_new_key_takes_the_place_of_the_old(options: list[str], tmp_path: Path) -> None:
    lines = follow(ROLLING, tmp_path, *options)
    assert {line.split(" DS ")[1].split()[0] for line in lines} == {str(NEW.dnskey.key_tag)}


def test_for_the_parent_nothing_changes_at_rest(tmp_path: Path) -> None:
    lines = follow(AT_REST, tmp_path)
    assert {line.split(" DS ")[1].split()[0] for line in lines} == {str(OLD.dnskey.key_tag)}


def test_for_the_parent_the_delete_form_is_authentic(tmp_path: Path) -> None:
    """BIND 9.18 checks its signatures, but does not know what algorithm 0 means, and hashes the CDNSKEY."""
    lines = follow(LEAVING, tmp_path)
    assert {line.split(" DS ")[1].split()[1] for line in lines} == {"0"}


def test_the_dnskey_set_must_be_signed_by_each_key_that_a_resolver_may_know_alone() -> None:
    ds = [rdata for key in (OLD, NEW) for rdata in make_ds_set(APEX, key.dnskey)]
    assert validate(sign(ROLLING), ds=ds, now=NOW).is_accepted
    report = validate(sign(replace(ROLLING, ksks=(NEW.dnskey,))), ds=ds, now=NOW)
    assert f"matches the DS of key tag {OLD.dnskey.key_tag}, algorithm 13" in str(report)


def test_a_key_that_comes_with_the_next_version_is_no_fault_of_the_one_in_service() -> None:
    both = [rdata for key in (OLD, NEW) for rdata in make_ds_set(APEX, key.dnskey)]
    gate = VersionGate(SystemClock(), 1, lambda zone: Trust(both))
    assert not gate.check_published(sign(AT_REST))
    assert gate.check_published(sign(replace(ROLLING, ksks=(NEW.dnskey,)))), "the old key is there and silent"
