"""Updating a signed zone locally gives what signing the whole zone gives."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sign_here import NOW, make_keys
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.expiration import find_next_due
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.nsec3 import NameHashes, hash_owner_name
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.signature_plan import plan_signatures
from signerd.dnssec.signed_zone import NO_ADDITIONS, ZoneAdditions, assemble
from signerd.dnssec.zone_update import MOST_AFFECTED, SignedState, prepare_update, remember
from signerd.signer.bulk_signing import carry_out
from signerd.validator.zone_validation import validate
from zone_edits import ORIGIN, Names, edits, make_unsigned, zones

KEYS = make_keys()
KEY_SET = KeySet.from_keys([key.dnskey for key in KEYS])
POLICIES = {
    "nsec3": SigningPolicy(),
    "nsec3 with salt": SigningPolicy(nsec3_salt=b"salt", nsec3_iterations=2),
    "nsec": SigningPolicy(denial=Denial.NSEC),
}
Rough = dict[tuple[Name, int], tuple[int, tuple[bytes, ...], list[bytes]]]


def sign_whole(
    unsigned: Zone,
    previous: Zone | None,
    policy: SigningPolicy,
    serial: int,
    now: int,
    additions: ZoneAdditions = NO_ADDITIONS,
) -> Zone:
    assembled = assemble(unsigned, keys=KEY_SET, policy=policy, serial=serial, additions=additions)
    plan = plan_signatures(assembled, previous, KEY_SET, policy, now)
    return carry_out(plan, KEYS, workers=1)


def begin(unsigned: Zone, policy: SigningPolicy) -> SignedState:
    hashes = NameHashes(salt=policy.nsec3_salt, iterations=policy.nsec3_iterations)
    zone = sign_whole(unsigned, None, policy, 1, NOW)
    return remember(unsigned, zone, keys=KEY_SET, policy=policy, hashes=hashes)


def update(
    state: SignedState, unsigned: Zone, serial: int, now: int, additions: ZoneAdditions = NO_ADDITIONS
) -> SignedState:
    prepared = prepare_update(state, unsigned, serial, additions)
    assert prepared is not None
    plan = plan_signatures(prepared.assembled, state.zone, KEY_SET, state.policy, now)
    return prepared.complete(carry_out(plan, KEYS, workers=1))


def describe(zone: Zone) -> Rough:
    """Give all records, of signatures only what does not differ each time they are made."""
    return {
        (rrset.owner, rrset.type): (
            rrset.ttl,
            rrset.rdatas,
            [signature[:-64] for signature in rrset.signatures],
        )
        for rrset in zone.iterate_rrsets()
    }


def check_mappings(zone: Zone) -> None:
    for owner, types in zone.names.items():
        assert types
        assert all(rrset.owner == owner and rrset.type == number for number, rrset in types.items())


@settings(max_examples=80, deadline=None)
@given(kind=st.sampled_from(sorted(POLICIES)), first=zones, changes=st.lists(edits, min_size=1, max_size=5))
def test_update_gives_what_signing_the_whole_zone_gives(
    kind: str, first: Names, changes: list[Names]
) -> None:
    policy, now = POLICIES[kind], NOW
    names = dict(first)
    state = begin(make_unsigned(names), policy)
    for number, change in enumerate(changes, 2):
        now += 60
        names = {owner: types for owner, types in {**names, **change}.items() if types}
        unsigned = make_unsigned(names)
        before = dict(state.zone.names), dict(state.zone.nsec3)
        whole = sign_whole(unsigned, state.zone, policy, number, now)
        new = update(state, unsigned, number, now)
        assert describe(new.zone) == describe(whole)
        check_mappings(new.zone)
        assert (state.zone.names, state.zone.nsec3) == before, "the version before was changed"
        margin = policy.refresh_margin_seconds
        assert new.times.find_next_due(margin, now) == find_next_due(new.zone, policy, now)
        ds = make_ds_set(ORIGIN, KEYS[0].dnskey)
        assert validate(new.zone, ds=ds, now=now, previous=state.zone).is_accepted
        hashes = NameHashes(salt=policy.nsec3_salt, iterations=policy.nsec3_iterations)
        again = remember(unsigned, new.zone, keys=KEY_SET, policy=policy, hashes=hashes)
        assert new.children == again.children
        assert len(new.order) == len(again.order)
        state = new


def add_signals(additions: Names, change: Names) -> Names:
    """Turn owners of an edit into those of signals, or take their signals away."""
    made: Names = {}
    for owner, types in {**additions, **change}.items():
        if types and owner != ORIGIN:
            cds = bytes(range(4)) + owner[:1] * 32
            made[owner] = {number: RRset(owner, number, 300, (cds,)) for number in (rt.CDS, rt.CDNSKEY)}
    return made


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(sorted(POLICIES)),
    first=zones,
    changes=st.lists(st.tuples(edits, edits), min_size=1, max_size=5),
)
def test_what_the_server_adds_comes_and_goes_as_the_data_of_the_zone_does(
    kind: str, first: Names, changes: list[tuple[Names, Names]]
) -> None:
    policy, now = POLICIES[kind], NOW
    names, additions = dict(first), Names()
    state = begin(make_unsigned(names), policy)
    for number, (change, signals) in enumerate(changes, 2):
        now += 60
        names = {owner: types for owner, types in {**names, **change}.items() if types}
        additions = add_signals(additions, signals)
        unsigned = make_unsigned(names)
        whole = sign_whole(unsigned, state.zone, policy, number, now, additions)
        new = update(state, unsigned, number, now, additions)
        assert describe(new.zone) == describe(whole)
        for owner in additions:
            types = new.zone.names.get(owner, {})
            assert (rt.CDS in types) == (rt.CNAME not in types)
        ds = make_ds_set(ORIGIN, KEYS[0].dnskey)
        assert validate(new.zone, ds=ds, now=now, previous=state.zone).is_accepted
        state = new


def test_what_is_not_added_any_more_is_gone() -> None:
    owner = parse_name("_dsboot.child.test._signal.ns", ORIGIN)
    unsigned = make_unsigned(make_hosts(20))
    state = begin(unsigned, SigningPolicy())
    added = {owner: {rt.CDS: RRset(owner, rt.CDS, 300, (bytes(36),))}}
    with_signal = update(state, unsigned, 2, NOW + 60, added)
    assert len(with_signal.zone.names[owner][rt.CDS].signatures) == 1
    without = update(with_signal, unsigned, 3, NOW + 120)
    assert owner not in without.zone.names
    assert without.zone.nsec3.keys() == state.zone.nsec3.keys()


def make_address(owner: str, number: int) -> Mapping[int, RRset]:
    name = parse_name(owner, ORIGIN)
    return {rt.A: RRset(name, rt.A, 300, (bytes((192, 0, 2, number)),))}


def make_hosts(count: int) -> Names:
    return {parse_name(f"h{number}", ORIGIN): make_address(f"h{number}", 1) for number in range(count)}


def test_one_changed_record_keeps_all_other_signatures() -> None:
    names = make_hosts(50)
    state = begin(make_unsigned(names), SigningPolicy())
    names[parse_name("h7", ORIGIN)] = make_address("h7", 2)
    new = update(state, make_unsigned(names), 2, NOW + 60)
    changed = {
        (rrset.owner, rrset.type)
        for rrset in new.zone.iterate_rrsets()
        if rrset.signatures != state.zone.names.get(rrset.owner, {}).get(rrset.type, rrset).signatures
    }
    assert changed == {(ORIGIN, rt.SOA), (parse_name("h7", ORIGIN), rt.A)}


def test_a_new_name_changes_one_record_of_the_chain_and_adds_one() -> None:
    names = make_hosts(50)
    state = begin(make_unsigned(names), SigningPolicy())
    new = update(state, make_unsigned({**names, **make_hosts(51)}), 2, NOW + 60)
    differing = [rrset for owner, rrset in new.zone.nsec3.items() if state.zone.nsec3.get(owner) is not rrset]
    assert len(differing) == 2
    assert len(new.zone.nsec3) == len(state.zone.nsec3) + 1


def test_the_whole_zone_is_signed_when_the_ttl_of_the_chain_changes() -> None:
    state = begin(make_unsigned(make_hosts(3)), SigningPolicy())
    assert prepare_update(state, make_unsigned(make_hosts(3), minimum=60), 2) is None


def test_the_whole_zone_is_signed_when_the_apex_gets_a_dname() -> None:
    state = begin(make_unsigned(make_hosts(3)), SigningPolicy())
    names = make_hosts(3)
    target = RRset(ORIGIN, rt.DNAME, 300, (parse_name("elsewhere.test."),))
    assert prepare_update(state, make_unsigned({**names, ORIGIN: {rt.DNAME: target}}), 2) is None


def test_the_whole_zone_is_signed_when_most_of_it_changes() -> None:
    state = begin(make_unsigned({}), SigningPolicy())
    assert prepare_update(state, make_unsigned(make_hosts(MOST_AFFECTED + 1)), 2) is None


def test_names_with_one_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = begin(make_unsigned(make_hosts(3)), SigningPolicy())

    def hash_badly(owner: bytes, *, salt: bytes, iterations: int) -> bytes:
        return hash_owner_name(parse_name("h1", ORIGIN), salt=salt, iterations=iterations)

    monkeypatch.setattr("signerd.dnssec.denial_order.hash_owner_name", hash_badly)
    with pytest.raises(Exception, match="same NSEC3 hash"):
        prepare_update(state, make_unsigned({**make_hosts(3), **make_hosts(9)}), 2)
