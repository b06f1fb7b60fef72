"""Odd small zones, signed: accepted by the validator, and the same for who does not ask for DNSSEC."""

from itertools import islice
from pathlib import Path

import pytest

import sign_here
from answering import Reply, ask, make_zone_set
from ferret import Case, Records, iterate_cases, load_zone
from signerd.dns.zone import Zone
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.validator.zone_validation import validate

EVERY = 40  # signing and validating all 8,448 of them takes minutes
PROOFS = {Denial.NSEC: "NSEC", Denial.NSEC3: "NSEC3"}


def sign(zone: Zone, denial: Denial) -> Zone:
    keys = sign_here.make_keys()
    signed = sign_here.sign_zone(zone, keys=keys, policy=SigningPolicy(denial=denial), workers=1)
    report = validate(signed, ds=make_ds_set(zone.origin, keys[0].dnskey), now=sign_here.NOW)
    assert str(report) == "accepted"
    return signed


def list_records(reply: Reply, serial: int) -> tuple[Records, Records, Records]:
    """Give the sections with the serial left out."""
    message = reply.message
    answer, authority, additional = (
        frozenset(
            line.replace(f" {serial} ", " SERIAL ", 1) if " SOA " in line else line
            for rrset in section
            for line in rrset.to_text().splitlines()
        )
        for section in (message.answer, message.authority, message.additional)
    )
    return answer, authority, additional


@pytest.mark.parametrize("denial", Denial)
def test_signing_changes_no_plain_answer(tmp_path: Path, denial: Denial) -> None:
    proven = 0
    for case in islice(iterate_cases(), 0, None, EVERY):
        unsigned = load_zone(case, tmp_path)
        signed = sign(unsigned, denial)
        before = ask(make_zone_set(unsigned), case.name, case.type)
        after = ask(make_zone_set(signed), case.name, case.type)
        assert (after.rcode, after.is_authoritative) == (before.rcode, before.is_authoritative), case
        plain = list_records(after, signed.serial)
        assert plain == list_records(before, unsigned.serial), case
        proven += check_dnssec_answer(case, signed, plain, denial)
    assert proven > 100


def check_dnssec_answer(
    case: Case, signed: Zone, plain: tuple[Records, Records, Records], denial: Denial
) -> bool:
    """Check that DO adds signatures and proofs alone; say if there is a proof."""
    reply = ask(make_zone_set(signed), case.name, case.type, dnssec=True)
    added: set[str] = set()
    for section, without in zip(list_records(reply, signed.serial), plain, strict=True):
        assert without <= section, case
        added |= {line.split()[3] for line in section - without}
    proof = PROOFS[denial]
    assert added <= {"RRSIG", proof}, case
    # A referral (these zones have no DS), a name error and an answer without data need a proof.
    needs_proof = not reply.answer or reply.rcode != 0
    assert proof in added or not needs_proof, case
    assert "RRSIG" in added, case
    return proof in added
