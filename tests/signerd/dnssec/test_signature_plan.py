"""Which signatures stay: each that is good and unchanged, and no other."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answering import read_zone, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, is_subdomain
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.rrsig import make_signer
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures, sign_jobs, split_jobs
from signerd.dnssec.signed_zone import assemble

DAY = 86_400
NOW = 1_800_000_000
APEX = to_name("plan.test")
TEXT = """
$TTL 300
@ SOA ns h 1 7200 900 604800 300
@ NS ns
@ MX 10 Mail
ns A 192.0.2.1
www A 192.0.2.2
www TXT "x"
*.wild A 192.0.2.3
deep.in.ent A 192.0.2.4
child NS ns.child
child DS 1 13 200 00
ns.child A 192.0.2.5
plain NS ns.child
moved DNAME elsewhere.test.
below.moved A 192.0.2.6
"""
KSK, ZSK = DnsKey(257, 13, b"\x00\x10"), DnsKey(256, 13, b"\x00\x20")
NEW_KSK, NEW_ZSK = DnsKey(257, 13, b"\x00\x30"), DnsKey(256, 13, b"\x00\x40")
FAR_KSK, FAR_ZSK = DnsKey(257, 8, b"\x00\x50"), DnsKey(256, 8, b"\x00\x60")
PLAIN = KeySet.from_keys([KSK, ZSK])
KEY_SETS = [
    PLAIN,
    KeySet((KSK, ZSK, NEW_ZSK), ksks=(KSK,), zsks=(NEW_ZSK,), former_zsks=(ZSK,), announced=(KSK,)),
    KeySet((KSK, NEW_ZSK), ksks=(KSK,), zsks=(NEW_ZSK,), announced=(KSK,)),
    KeySet((KSK, NEW_KSK, ZSK), ksks=(KSK, NEW_KSK), zsks=(ZSK,), announced=(NEW_KSK,)),
    KeySet((KSK, ZSK, FAR_KSK, FAR_ZSK), ksks=(KSK, FAR_KSK), zsks=(ZSK, FAR_ZSK), announced=(KSK,)),
    KeySet.from_keys([KSK]),
    KeySet.from_keys([FAR_KSK, FAR_ZSK]),
]
NUMBERS = count()


@dataclass(frozen=True)
class CountingKey:
    """Makes signatures that are all different, so that a kept one is known again."""

    dnskey: DnsKey
    numbers: Iterator[int] = field(default_factory=lambda: NUMBERS)

    def sign(self, data: bytes, /) -> bytes:
        return b"%d" % next(self.numbers)


def carry_out(plan: SigningPlan, keys: KeySet) -> Zone:
    signers = {key: make_signer(CountingKey(key), plan.origin, plan.inception) for key in keys.published}
    return plan.complete(sign_jobs([*plan.key_set_jobs, *plan.jobs], signers))


def plan(
    unsigned: Zone,
    previous: Zone | None,
    *,
    keys: KeySet = PLAIN,
    policy: SigningPolicy | None = None,
    now: int = NOW,
    serial: int = 1,
) -> SigningPlan:
    policy = policy or SigningPolicy()
    assembled = assemble(unsigned, keys=keys, policy=policy, serial=serial)
    return plan_signatures(assembled, previous, keys, policy, now)


def load() -> Zone:
    return read_zone(TEXT, "plan.test.")


def sign(
    unsigned: Zone,
    previous: Zone | None = None,
    *,
    keys: KeySet = PLAIN,
    policy: SigningPolicy | None = None,
    now: int = NOW,
    serial: int = 1,
) -> Zone:
    return carry_out(plan(unsigned, previous, keys=keys, policy=policy, now=now, serial=serial), keys)


def list_rrsets(zone: Zone) -> dict[tuple[Name, int], RRset]:
    return {(rrset.owner, rrset.type): rrset for rrset in zone.iterate_rrsets()}


def describe(zone: Zone) -> object:
    return zone.names, zone.nsec3


HIDDEN = [to_name("ns.child.plan.test"), to_name("below.moved.plan.test")]
CUTS = [to_name("child.plan.test"), to_name("plain.plan.test")]


def is_signed(rrset: RRset) -> bool:
    if rrset.owner in CUTS:
        return rrset.type in (rt.DS, rt.NSEC)
    below = any(is_subdomain(rrset.owner, barrier) for barrier in (*CUTS, to_name("moved.plan.test")))
    return not below or rrset.owner == to_name("moved.plan.test")


def test_exactly_the_authoritative_rrsets_are_signed_each_by_the_keys_of_its_role() -> None:
    for keys in KEY_SETS:
        for denial in Denial:
            signed = sign(load(), keys=keys, policy=SigningPolicy(denial=denial))
            for rrset in signed.iterate_rrsets():
                role = keys.ksks if rrset.type in (rt.DNSKEY, rt.CDS, rt.CDNSKEY) else keys.zsks
                tags = sorted(int.from_bytes(signature[16:18]) for signature in rrset.signatures)
                expected = sorted(key.key_tag for key in role) if is_signed(rrset) else []
                assert tags == expected, rrset
            hidden = [signed.names[name] for name in HIDDEN]
            assert all(not rrset.signatures for types in hidden for rrset in types.values())


def test_the_same_zone_again_is_current_and_equal() -> None:
    for denial in Denial:
        policy = SigningPolicy(denial=denial)
        signed = sign(load(), policy=policy)
        again = plan(load(), signed, policy=policy, now=NOW + DAY)
        assert again.is_current
        assert not again.jobs
        assert not again.key_set_jobs
        assert describe(carry_out(again, PLAIN)) == describe(signed)


def test_another_serial_signs_the_soa_alone() -> None:
    signed = sign(load())
    again = plan(load(), signed, serial=2)
    assert not again.is_current
    assert [(job.rrset.owner, job.rrset.type) for job in again.jobs] == [(APEX, rt.SOA)]
    assert not again.key_set_jobs


def test_a_version_without_a_record_of_the_previous_one_is_not_current() -> None:
    # Nothing is signed for glue and data below a DNAME, so that jobs alone would not show it.
    unsigned = load()
    signed = sign(unsigned)
    for name in HIDDEN:
        names = {owner: types for owner, types in unsigned.names.items() if owner != name}
        again = plan(Zone(APEX, names), signed)
        assert not again.jobs
        assert not again.is_current


def test_signatures_whose_inception_is_to_come_are_made_anew() -> None:
    signed = sign(load(), now=NOW + 10 * DAY)
    again = plan(load(), signed, now=NOW)
    assert again.kept == 0
    assert {rrset.signatures for rrset in signed.iterate_rrsets()}.isdisjoint(
        rrset.signatures for rrset in carry_out(again, PLAIN).iterate_rrsets() if rrset.signatures
    )


def test_a_new_key_with_the_tag_of_an_old_one_adopts_no_signature() -> None:
    signed = sign(load())
    impostor = DnsKey(256, 13, ZSK.public_key + b"\x00\x00")
    assert impostor.key_tag == ZSK.key_tag
    keys = KeySet.from_keys([KSK, impostor])
    again = plan(load(), signed, keys=keys)
    kept = {rrset.signatures for rrset in carry_out(again, keys).iterate_rrsets() if rrset.signatures}
    old = {rrset.signatures for rrset in signed.iterate_rrsets()}
    apex = signed.names[APEX]
    assert kept & old == {apex[number].signatures for number in (rt.CDS, rt.CDNSKEY)}


def test_a_former_key_keeps_its_signatures_until_they_are_due() -> None:
    policy = SigningPolicy()
    zone = sign(load(), policy=policy)
    now = NOW
    for _ in range(400):
        now += 3600
        zone = sign(load(), zone, keys=KEY_SETS[1], policy=policy, now=now)
        tags = {
            int.from_bytes(signature[16:18])
            for rrset in zone.iterate_rrsets()
            if rrset.type not in (rt.DNSKEY, rt.CDS, rt.CDNSKEY)
            for signature in rrset.signatures
        }
        assert all(len(rrset.signatures) <= 1 for rrset in zone.iterate_rrsets())
        if tags == {NEW_ZSK.key_tag}:
            break
        assert ZSK.key_tag in tags
        assert tags <= {ZSK.key_tag, NEW_ZSK.key_tag}
    assert policy.validity_seconds - policy.refresh_margin_seconds - policy.spread_seconds <= now - NOW


def change(unsigned: Zone, draw: st.DataObject) -> Zone:
    """Make a zone with one change somewhere, or none."""
    names = {owner: dict(types) for owner, types in unsigned.names.items()}
    owner = draw.draw(st.sampled_from(sorted(names)))
    number = draw.draw(st.sampled_from(sorted(names[owner])))
    old = names[owner][number]
    match draw.draw(st.sampled_from(["nothing", "ttl", "address", "new", "remove"])):
        case "ttl" if number != rt.SOA:
            names[owner][number] = old._replace(ttl=draw.draw(st.integers(1, 1000)))
        case "address" if number == rt.A:
            addresses = draw.draw(st.sets(st.binary(min_size=4, max_size=4), min_size=1, max_size=3))
            names[owner][number] = old._replace(rdatas=tuple(sorted(addresses)))
        case "new":
            added = to_name(
                draw.draw(st.sampled_from(["a", "b.c", "*.d", "x.child", "y.moved"])) + ".plan.test"
            )
            names.setdefault(added, {})[rt.A] = RRset(added, rt.A, 60, (b"\x01\x02\x03\x04",))
        case "remove" if owner != APEX:
            del names[owner][number]
            if not names[owner]:
                del names[owner]
        case _:
            pass
    return Zone(APEX, names)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_good_signature_of_an_unchanged_rrset_stays_and_every_other_goes(data: st.DataObject) -> None:
    unsigned = load()
    policy = SigningPolicy(denial=data.draw(st.sampled_from(Denial)))
    now, serial = NOW, 1
    keys = data.draw(st.sampled_from(KEY_SETS))
    zone = sign(unsigned, keys=keys, policy=policy, now=now)
    for _ in range(data.draw(st.integers(1, 6))):
        now += data.draw(st.sampled_from([0, 60, 6 * 3600, 2 * DAY, 5 * DAY, 9 * DAY, 60 * DAY, -3 * 3600]))
        if data.draw(st.integers(0, 3)) == 0:
            keys = data.draw(st.sampled_from(KEY_SETS))
            policy = replace(policy, dnskey_ttl=data.draw(st.sampled_from([3600, 60])))
        unsigned = change(unsigned, data)
        serial += data.draw(st.integers(0, 1))
        made = plan(unsigned, zone, keys=keys, policy=policy, now=now, serial=serial)
        new = carry_out(made, keys)
        check_step(zone, new, keys, policy, now)
        assert made.is_current == (describe(new) == describe(zone))
        assert describe(sign(unsigned, new, keys=keys, policy=policy, now=now, serial=serial)) == describe(
            new
        )
        zone = new


def check_step(old_zone: Zone, new_zone: Zone, keys: KeySet, policy: SigningPolicy, now: int) -> None:
    old, new = list_rrsets(old_zone), list_rrsets(new_zone)
    former = set(old[APEX, rt.DNSKEY].rdatas)
    for place, rrset in new.items():
        signatures = {signature[2:3] + signature[16:18]: signature for signature in rrset.signatures}
        assert len(signatures) == len(rrset.signatures)
        if not rrset.signatures:
            continue
        before = old.get(place)
        is_key_set = rrset.type in (rt.DNSKEY, rt.CDS, rt.CDNSKEY)
        active = keys.ksks if is_key_set else keys.zsks
        accepted = active if is_key_set else (*active, *keys.former_zsks)
        known = {bytes((key.algorithm,)) + key.key_tag.to_bytes(2) for key in accepted if key.rdata in former}
        is_same = before is not None and (before.rdatas, before.ttl) == (rrset.rdatas, rrset.ttl)
        for signature in before.signatures if before is not None else ():
            expiration, inception = int.from_bytes(signature[8:12]), int.from_bytes(signature[12:16])
            is_good = (
                is_same
                and signature[2:3] + signature[16:18] in known
                and expiration - now > policy.refresh_margin_seconds
                and inception <= now
            )
            if not is_good:
                assert signature not in rrset.signatures
            elif signature[2:3] + signature[16:18] in {
                bytes((key.algorithm,)) + key.key_tag.to_bytes(2) for key in active
            }:
                assert signature in rrset.signatures
        assert {signature[2] for signature in rrset.signatures} == {key.algorithm for key in active}
        for signature in rrset.signatures:
            assert int.from_bytes(signature[8:12]) - now > policy.refresh_margin_seconds
            assert int.from_bytes(signature[12:16]) <= now
            assert int.from_bytes(signature[4:8]) == rrset.ttl


@given(st.lists(st.integers(), max_size=30), st.integers(1, 10))
def test_chunks_hold_every_job_once_in_order(numbers: list[int], size: int) -> None:
    unsigned = load()
    jobs = plan(unsigned, None).jobs
    jobs = [jobs[number % len(jobs)] for number in numbers]
    chunks = list(split_jobs(jobs, size))
    assert [job for chunk in chunks for job in chunk] == jobs
    assert all(len(chunk) == size for chunk in chunks[:-1])


def test_a_job_that_was_not_carried_out_is_noticed() -> None:
    made = plan(load(), None)
    signers = {key: make_signer(CountingKey(key), APEX, NOW) for key in (KSK, ZSK)}
    with pytest.raises(ValueError, match="were planned"):
        made.complete(sign_jobs(made.jobs, signers))
