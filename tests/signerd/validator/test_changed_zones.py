"""A version judged by what changed is accepted if and only if the whole zone is accepted."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sign_here import NOW, make_keys
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_changed_owners
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.rrsig import make_signer
from signerd.dnssec.signature_plan import plan_signatures
from signerd.dnssec.signed_zone import assemble, set_serial
from signerd.signer.bulk_signing import carry_out
from signerd.validator.accepted_zone import AcceptedZone
from signerd.validator.change_validation import Judgement, validate_change, validate_unsigned_change
from signerd.validator.unsigned_zone import validate_unsigned
from signerd.validator.zone_validation import validate
from zone_edits import ORIGIN, Names, edits, make_unsigned, zones

KEYS = make_keys()
KEY_SET = KeySet.from_keys([key.dnskey for key in KEYS])
DS = make_ds_set(ORIGIN, KEYS[0].dnskey)
POLICIES = {
    "nsec3": SigningPolicy(),
    "nsec3 with salt": SigningPolicy(nsec3_salt=b"salt", nsec3_iterations=2),
    "nsec": SigningPolicy(denial=Denial.NSEC),
}
Change = Callable[[RRset], RRset | None]


def sign(unsigned: Zone, previous: Zone | None, policy: SigningPolicy, serial: int, now: int) -> Zone:
    assembled = assemble(unsigned, keys=KEY_SET, policy=policy, serial=serial)
    return carry_out(plan_signatures(assembled, previous, KEY_SET, policy, now), KEYS, workers=1)


def sign_again(rrset: RRset, *, expiration: int = NOW + 86_400, inception: int = NOW - 60) -> RRset:
    signer = make_signer(KEYS[rrset.type not in (rt.DNSKEY, rt.CDS, rt.CDNSKEY)], ORIGIN, inception)
    try:
        return rrset._replace(signatures=(signer(rrset, expiration),))
    except IndexError:  # no canonical form, so that nobody can sign it
        return rrset


def share(old: Zone, new: Zone) -> Zone:
    """Make the version out of the objects of the one before, where these are equal."""
    names = {
        owner: old.names[owner] if old.names.get(owner) == types else types
        for owner, types in new.names.items()
    }
    nsec3 = {
        owner: old.nsec3[owner] if old.nsec3.get(owner) == rrset else rrset
        for owner, rrset in new.nsec3.items()
    }
    return Zone(new.origin, names, nsec3)


def put(zone: Zone, owner: Name, number: int, rrset: RRset | None) -> Zone:
    if number == rt.NSEC3:
        nsec3 = {name: old for name, old in zone.nsec3.items() if name != owner}
        return Zone(zone.origin, zone.names, nsec3 if rrset is None else {**nsec3, owner: rrset})
    types = {other: old for other, old in zone.names.get(owner, {}).items() if other != number}
    if rrset is not None:
        types[number] = rrset
    names = {**zone.names, owner: types}
    return Zone(zone.origin, {name: found for name, found in names.items() if found}, zone.nsec3)


def flip(octets: bytes, at: int) -> bytes:
    position = at % len(octets)
    return octets[:position] + bytes((octets[position] ^ 1,)) + octets[position + 1 :]


MUTATIONS: dict[str, Change] = {
    "gone": lambda rrset: None,
    "unsigned": lambda rrset: rrset._replace(signatures=()),
    "bad signature": lambda rrset: rrset._replace(
        signatures=tuple(flip(signature, -1) for signature in rrset.signatures)
    ),
    "signed again": sign_again,
    "expired": lambda rrset: sign_again(rrset, expiration=NOW - 1),
    "to come": lambda rrset: sign_again(rrset, inception=NOW + 86_000),
    "other TTL": lambda rrset: sign_again(rrset._replace(ttl=rrset.ttl + 1)),
    "other end": lambda rrset: sign_again(rrset._replace(rdatas=(flip(rrset.rdatas[0], -1),))),
    "other data": lambda rrset: sign_again(rrset._replace(rdatas=(flip(rrset.rdatas[0], 7),))),
    "twice": lambda rrset: sign_again(rrset._replace(rdatas=rrset.rdatas * 2)),
    "without records": lambda rrset: rrset._replace(rdatas=()),
}


def mutate(data: st.DataObject, old: Zone, new: Zone) -> Zone:
    """Damage a version in one of many ways, some of which do no harm."""
    draw = data.draw
    kind = draw(st.sampled_from(["rrset", "rrset", "rrset", "add", "back", "chain back", "stray", "serial"]))
    names = sorted(new.names)
    match kind:
        case "rrset":
            rrset = draw(st.sampled_from(sorted(new.iterate_rrsets(), key=lambda found: found[:2])))
            mutation = draw(st.sampled_from(sorted(MUTATIONS)))
            if rrset.type == rt.SOA and mutation in ("gone", "without records"):
                return new
            return put(new, rrset.owner, rrset.type, MUTATIONS[mutation](rrset))
        case "add":
            owner = parse_name(draw(st.sampled_from(["a", "b.a", "z", "a.b.c"])), ORIGIN)
            number = draw(st.sampled_from([rt.A, rt.NS, rt.CNAME, rt.DNAME, rt.NSEC, rt.SOA]))
            rrset = RRset(owner, number, 300, (parse_name("x.test."),))
            return put(new, owner, number, sign_again(rrset) if draw(st.booleans()) else rrset)
        case "back":  # what was at a name before, or nothing
            owner = draw(st.sampled_from(sorted({*old.names, *names} - {ORIGIN}) or [ORIGIN]))
            if owner == ORIGIN:
                return new
            kept = {name: types for name, types in new.names.items() if name != owner}
            if owner in old.names and draw(st.booleans()):
                kept[owner] = old.names[owner]
            return Zone(ORIGIN, kept, new.nsec3)
        case "chain back":
            if not old.nsec3:
                return new
            owner = draw(st.sampled_from(sorted({*old.nsec3, *new.nsec3})))
            return put(new, owner, rt.NSEC3, old.nsec3.get(owner))
        case "stray":
            owner = Name(b"\x20" + draw(st.sampled_from([b"0", b"v", b"z"])) * 32 + ORIGIN)
            rrset = RRset(owner, rt.NSEC3, 300, (b"\x01\x00\x00\x00\x00\x14" + bytes(20),))
            return put(new, owner, rt.NSEC3, sign_again(rrset))
        case _:
            soa = new.soa
            return put(new, ORIGIN, rt.SOA, sign_again(set_serial(soa, draw(st.sampled_from([0, 1, 99])))))


def derive_same(old: Zone, new: Zone) -> Zone:
    """Make a version over again out of the one before."""
    return old.derive(
        {name: new.names.get(name, {}) for name in find_changed_owners(old.names, new.names)},
        {owner: new.nsec3.get(owner) for owner in find_changed_owners(old.nsec3, new.nsec3)},
    )


def judge(zone: Zone, accepted: AcceptedZone, now: int, until: int | None = None) -> Judgement | None:
    """Judge the whole, by comparing and by what was derived, and see that all agree."""
    whole = validate(zone, ds=DS, now=now, previous=accepted.zone, must_be_good_until=until)
    local = validate_change(zone, accepted, ds=DS, now=now, must_be_good_until=until)
    derived = derive_same(accepted.zone, zone)
    if derived.names == zone.names:  # not so where a name was left without data
        again = validate_change(derived, accepted, ds=DS, now=now, must_be_good_until=until)
        assert (again is None) == (local is None)
        if again is not None and local is not None:
            assert sorted(map(str, again.report.findings)) == sorted(map(str, local.report.findings))
    event("left to the whole" if local is None else "accepted" if local.accepted else "rejected")
    if local is not None:
        assert local.report.is_accepted == whole.is_accepted, f"{local.report}\nbut whole:\n{whole}"
        assert (local.accepted is not None) == whole.is_accepted
    return local


def check_record(accepted: AcceptedZone) -> None:
    """See that what is remembered is what a look at the whole version gives."""
    again = AcceptedZone.record(accepted.zone, accepted.ds)
    assert accepted.owners.entries == again.owners.entries
    assert (accepted.hashes is None) == (again.hashes is None)
    if accepted.hashes is not None and again.hashes is not None:
        assert accepted.hashes.entries == again.hashes.entries
    assert accepted.lifetimes.expirations == again.lifetimes.expirations


@settings(max_examples=80, deadline=None)
@given(kind=st.sampled_from(sorted(POLICIES)), first=zones, changes=st.lists(edits, min_size=1, max_size=5))
def test_good_changes_are_accepted(kind: str, first: Names, changes: list[Names]) -> None:
    policy, now, names = POLICIES[kind], NOW, dict(first)
    zone = sign(make_unsigned(names), None, policy, 1, now)
    assert validate(zone, ds=DS, now=now).is_accepted
    accepted = AcceptedZone.record(zone, DS)
    for number, change in enumerate(changes, 2):
        now += 60
        names = {owner: types for owner, types in {**names, **change}.items() if types}
        zone = share(zone, sign(make_unsigned(names), zone, policy, number, now))
        local = judge(zone, accepted, now)
        assert local is not None
        assert local.accepted is not None
        accepted = local.accepted
        check_record(accepted)


@settings(max_examples=250, deadline=None)
@given(kind=st.sampled_from(sorted(POLICIES)), first=zones, change=edits, data=st.data())
def test_damaged_changes_are_judged_as_the_whole_zone_is(
    kind: str, first: Names, change: Names, data: st.DataObject
) -> None:
    policy = POLICIES[kind]
    old = sign(make_unsigned(first), None, policy, 1, NOW - 60)
    accepted = AcceptedZone.record(old, DS)
    names = {owner: types for owner, types in {**first, **change}.items() if types}
    new = share(old, sign(make_unsigned(names), old, policy, 2, NOW))
    for _ in range(data.draw(st.integers(1, 2))):
        new = share(old, mutate(data, old, new))
    judge(new, accepted, NOW)


@settings(max_examples=80, deadline=None)
@given(first=zones, change=edits, data=st.data())
def test_unsigned_changes_are_judged_as_the_whole_zone_is(
    first: Names, change: Names, data: st.DataObject
) -> None:
    old = make_unsigned(first)
    accepted = AcceptedZone.record(old, ())
    new = share(old, make_unsigned({**first, **change}, serial=data.draw(st.integers(0, 2))))
    new = Zone(ORIGIN, {owner: types for owner, types in new.names.items() if types})
    if data.draw(st.booleans()):
        new = share(old, mutate(data, old, new))
    local = validate_unsigned_change(new, accepted)
    if local is not None:
        whole = validate_unsigned(new, previous=old)
        assert local.report.is_accepted == whole.is_accepted, f"{local.report}\nbut whole:\n{whole}"


@pytest.fixture(scope="module")
def versions() -> tuple[AcceptedZone, Zone]:
    """A version and the one after it, with one address more."""
    owners = [parse_name(f"h{number}", ORIGIN) for number in range(20)]
    names: Names = {owner: {rt.A: RRset(owner, rt.A, 300, (bytes(4),))} for owner in owners[:-1]}
    old = sign(make_unsigned(names), None, SigningPolicy(), 1, NOW)
    names[owners[-1]] = {rt.A: RRset(owners[-1], rt.A, 300, (bytes(4),))}
    return AcceptedZone.record(old, DS), share(old, sign(make_unsigned(names), old, SigningPolicy(), 2, NOW))


def test_only_what_changed_is_verified(versions: tuple[AcceptedZone, Zone]) -> None:
    accepted, new = versions
    counts: list[int] = []
    judged = validate_change(new, accepted, ds=DS, now=NOW, progress=lambda done, total: counts.append(total))
    assert judged is not None
    assert judged.report.is_accepted
    assert counts == [7], "SOA, the address, two NSEC3, and DNSKEY, CDS and CDNSKEY always"


def leave_to_the_whole(
    accepted: AcceptedZone, new: Zone, ds: Sequence[bytes] = DS, now: int = NOW, until: int | None = None
) -> bool:
    return validate_change(new, accepted, ds=ds, now=now, must_be_good_until=until) is None


def test_a_version_derived_from_another_one_is_compared(versions: tuple[AcceptedZone, Zone]) -> None:
    accepted, new = versions
    owner = parse_name("h3", ORIGIN)
    damaged = put(new, owner, rt.A, new.names[owner][rt.A]._replace(signatures=()))
    derived = damaged.derive({ORIGIN: damaged.names[ORIGIN]})  # what came to be before that is not known
    judged = validate_change(derived, accepted, ds=DS, now=NOW)
    assert judged is not None
    assert not judged.report.is_accepted


def test_the_whole_zone_decides_when_the_parent_says_something_else(
    versions: tuple[AcceptedZone, Zone],
) -> None:
    assert leave_to_the_whole(*versions, ds=DS[:-1] if len(DS) > 1 else ())


def test_the_whole_zone_decides_when_an_old_signature_has_expired(
    versions: tuple[AcceptedZone, Zone],
) -> None:
    assert leave_to_the_whole(*versions, now=NOW + 40 * 86_400)
    assert leave_to_the_whole(*versions, until=NOW + 40 * 86_400)


def test_the_whole_zone_decides_when_a_signature_is_not_valid_yet(
    versions: tuple[AcceptedZone, Zone],
) -> None:
    assert leave_to_the_whole(*versions, now=NOW - 40 * 86_400)


@pytest.mark.parametrize("number", [rt.DNSKEY, rt.CDS, rt.CDNSKEY, rt.NSEC3PARAM])
def test_the_whole_zone_decides_when_its_frame_changes(
    versions: tuple[AcceptedZone, Zone], number: int
) -> None:
    accepted, new = versions
    rrset = new.names[ORIGIN][number]
    assert leave_to_the_whole(accepted, put(new, ORIGIN, number, sign_again(rrset._replace(ttl=1))))


def test_a_record_lost_far_from_any_change_is_missed_nowhere(versions: tuple[AcceptedZone, Zone]) -> None:
    accepted, new = versions
    for owner in new.nsec3:
        judged = validate_change(put(new, owner, rt.NSEC3, None), accepted, ds=DS, now=NOW)
        assert judged is not None
        assert not judged.report.is_accepted
