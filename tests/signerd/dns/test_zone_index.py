from hypothesis import given
from hypothesis import strategies as st

from answering import read_zone, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.denial_chain import Nsec3Chain, Nsec3Parameters, NsecChain, encode_base32hex
from signerd.dns.name import Name, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dns.zone_index import Kind, ZoneIndex

APEX = to_name("test.")
SOA = RRset(APEX, rt.SOA, 60, (b"\x00\x00" + bytes(20),))
PARAMETERS = RRset(APEX, rt.NSEC3PARAM, 0, (b"\x01\x00\x00\x00\x00",))

labels = st.sampled_from(["a", "b", "*", "c"])
owners = st.frozensets(
    st.lists(labels, min_size=1, max_size=4).map(lambda parts: to_name(".".join(parts) + ".test.")),
    max_size=12,
)


def make_zone(owners: frozenset[Name], chain: str = "") -> Zone:
    names: dict[Name, dict[int, RRset]] = {APEX: {rt.SOA: SOA}}
    for owner in owners:
        names[owner] = {rt.A: RRset(owner, rt.A, 60, (bytes(4),))}
    nsec3: dict[Name, RRset] = {}
    if chain == "nsec":
        for owner, types in names.items():
            types[rt.NSEC] = RRset(owner, rt.NSEC, 60, (b"\x00",))
    elif chain == "nsec3":
        names[APEX][rt.NSEC3PARAM] = PARAMETERS
        hasher = Nsec3Chain(APEX, Nsec3Parameters(0, b""), {}, [])
        for owner in names:
            hashed = hasher.hash_owner(owner)
            nsec3[hashed] = RRset(hashed, rt.NSEC3, 60, (b"\x01\x00\x00\x00\x00\x14" + bytes(20),))
    return Zone(APEX, names, nsec3)


def find_differing(one: Zone, other: Zone) -> set[Name]:
    return {
        owner
        for owner in {*one.names, *other.names, *one.nsec3, *other.nsec3}
        if one.names.get(owner) != other.names.get(owner) or one.nsec3.get(owner) != other.nsec3.get(owner)
    }


def describe(index: ZoneIndex) -> object:
    chain = index.denial
    if isinstance(chain, NsecChain):
        return index.children, chain.keys, chain.owners
    return index.children, chain and chain.owners


@given(owners, owners, st.sampled_from(["", "nsec", "nsec3"]))
def test_updated_index_equals_one_made_anew(
    before: frozenset[Name], after: frozenset[Name], chain: str
) -> None:
    old, new = make_zone(before, chain), make_zone(after, chain)
    old_index = ZoneIndex.build(old)
    described = repr(describe(old_index))
    updated = old_index.update(new, find_differing(old, new))
    assert describe(updated) == describe(ZoneIndex.build(new))
    assert repr(describe(old_index)) == described  # the old version still answers


@given(owners, owners)
def test_chain_follows_a_change_of_method(before: frozenset[Name], after: frozenset[Name]) -> None:
    for one in ("", "nsec", "nsec3"):
        for other in ("", "nsec", "nsec3"):
            old, new = make_zone(before, one), make_zone(after, other)
            updated = ZoneIndex.build(old).update(new, find_differing(old, new))
            assert describe(updated) == describe(ZoneIndex.build(new))


@given(owners, st.lists(labels, min_size=0, max_size=5))
def test_search_agrees_with_the_definition(owners: frozenset[Name], parts: list[str]) -> None:
    index = ZoneIndex.build(make_zone(owners))
    name = to_name(".".join([*parts, "test."]))
    existing = {APEX}
    for owner in owners:
        while owner != APEX:
            existing.add(owner)
            owner = Name(owner[1 + owner[0] :])
    position = index.search(name)
    assert index.exists(name) == (name in existing)
    if name in existing:
        assert position.kind is Kind.NODE
        return
    next_closer = name
    while Name(next_closer[1 + next_closer[0] :]) not in existing:
        next_closer = Name(next_closer[1 + next_closer[0] :])
    encloser = Name(next_closer[1 + next_closer[0] :])
    wildcard = Name(b"\x01*" + encloser)
    assert position.next_closer == next_closer
    if wildcard in existing:
        assert (position.kind, position.name) == (Kind.WILDCARD, wildcard)
    else:
        assert (position.kind, position.name) == (Kind.NOTHING, encloser)


@given(owners, st.lists(labels, min_size=0, max_size=5))
def test_nsec_that_covers_a_name_is_the_last_not_above_it(owners: frozenset[Name], parts: list[str]) -> None:
    zone = make_zone(owners, "nsec")
    chain = NsecChain.build(zone)
    name = to_name(".".join([*parts, "test."]))
    found = chain.find(name)
    key = make_sort_key(name)
    assert found is not None
    assert make_sort_key(found.owner) == max(
        other for other in map(make_sort_key, zone.names) if other <= key
    )


def test_unchanged_parts_are_shared() -> None:
    old = make_zone(frozenset({to_name("a.test."), to_name("b.test.")}), "nsec3")
    new = Zone(APEX, {**old.names, to_name("a.test."): {}}, old.nsec3)
    index = ZoneIndex.build(old)
    updated = index.update(new, [to_name("a.test.")])
    assert updated.children is index.children
    assert isinstance(updated.denial, Nsec3Chain)
    assert isinstance(index.denial, Nsec3Chain)
    assert updated.denial.owners is index.denial.owners


def test_chain_with_other_parameters_is_left_out() -> None:
    zone = read_zone(
        "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NSEC3PARAM 1 0 0 -\n"
        f"{'0' * 32} NSEC3 1 0 0 - {'1' * 32} A\n{'1' * 32} NSEC3 1 0 5 ab {'0' * 32} A\n",
        "test.",
    )
    chain = ZoneIndex.build(zone).denial
    assert isinstance(chain, Nsec3Chain)
    assert chain.owners == [to_name("0" * 32 + ".test.")]


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_base32hex_keeps_the_order(one: bytes, other: bytes) -> None:
    assert (one < other) == (encode_base32hex(one) < encode_base32hex(other))
    assert len(encode_base32hex(one)) == 32


class GivenHashes(Nsec3Parameters):
    """Takes the first label of a name for its hash."""

    def hash_name(self, name: bytes) -> bytes:
        return name[1:21]


# Many have the first 64 bits in common: no attacker must be able to make an answer wrong with such names.
def make_hash(numbers: tuple[int, int]) -> bytes:
    return bytes((numbers[0],)) * 8 + bytes(11) + bytes((numbers[1],))


hashes = st.tuples(st.integers(0, 2), st.integers(0, 5)).map(make_hash)


@given(st.frozensets(hashes, min_size=1), hashes)
def test_nsec3_that_covers_a_hash_is_the_last_not_above_it(found: frozenset[bytes], wanted: bytes) -> None:
    ordered = sorted(found)
    owners = [Name(b"\x20" + encode_base32hex(digest) + APEX) for digest in ordered]
    records = {
        owner: RRset(owner, rt.NSEC3, 60, (digest,)) for owner, digest in zip(owners, ordered, strict=True)
    }
    chain = Nsec3Chain(APEX, GivenHashes(0, b""), records, owners)
    name = Name(b"\x14" + wanted + APEX)
    below = [digest for digest in ordered if digest <= wanted]
    assert chain.find_cover(name).rdatas == ((below or ordered)[-1],)
    match = chain.find_match(name)
    assert (match and match.rdatas) == ((wanted,) if wanted in found else None)
