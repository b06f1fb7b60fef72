from base64 import b32hexencode
from collections.abc import Iterable
from pathlib import Path

import dns.dnssec
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import read_zone, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, find_parent, iterate_ancestors, join_labels
from signerd.dns.rrset import RRset
from signerd.dnssec import nsec3
from signerd.dnssec.cut import Cuts, find_cuts_among
from signerd.dnssec.nsec3 import (
    HashCollision,
    NameHashes,
    build_nsec3_chain,
    encode_hashes,
    find_empty_non_terminals,
    hash_owner_name,
    make_hashed_owner,
    make_nsec3param,
)
from signerd.dnssec.policy import SigningPolicy

SALT = bytes.fromhex("aabbccdd")
ZONE_FILE = Path(__file__).parents[1] / "dns" / "data" / "rfc5155_appendix_a.zone"
EXAMPLE = to_name("example")
OPT_OUT = 0x01

RFC_5155_APPENDIX_A = [
    ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
    ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
    ("ai.example", "gjeqe526plbf1g8mklp59enfd789njgi"),
    ("ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
    ("ns2.example", "q04jkcevqvmu85r014c7dkba38o0ji5r"),
    ("w.example", "k8udemvp1j2f7eg6jebps17vp3n8i58h"),
    ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
    ("x.w.example", "b4um86eghhds6nea196smvmlo4ors995"),
    ("y.w.example", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"),
    ("x.y.w.example", "2vptu5timamqttgl4luu9kg21e0aor3s"),
    ("xx.example", "t644ebqk9bibcna874givr6joj62mlhv"),
    ("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"),
]

names = st.lists(st.binary(min_size=1, max_size=6), max_size=4).map(
    lambda labels: Name(join_labels([*labels, b"example"]).lower())
)


@pytest.mark.parametrize(("owner", "expected"), RFC_5155_APPENDIX_A)
def test_hash_matches_rfc_5155_appendix_a(owner: str, expected: str) -> None:
    name = to_name(owner)
    digest = hash_owner_name(name, salt=SALT, iterations=12)
    assert b32hexencode(digest).lower().decode() == expected
    assert make_hashed_owner(digest, EXAMPLE) == to_name(f"{expected}.example")
    assert NameHashes(salt=SALT, iterations=12).hash_all([name]) == {
        name: (digest, b"\x20" + expected.encode())
    }


@given(names, st.binary(max_size=20), st.integers(0, 20))
def test_hash_is_that_of_dnspython(name: Name, salt: bytes, iterations: int) -> None:
    text = b32hexencode(hash_owner_name(name, salt=salt, iterations=iterations)).decode()
    oracle = dns.dnssec.nsec3_hash(dns.name.from_wire(name, 0)[0], salt.hex(), iterations, 1)
    assert text == oracle


@given(st.lists(st.sets(names), max_size=4), st.binary(max_size=4), st.integers(0, 2))
def test_remembered_hashes_are_those_of_a_fresh_start(
    versions: list[set[Name]], salt: bytes, iterations: int
) -> None:
    hashes = NameHashes(salt=salt, iterations=iterations)
    for version in versions:
        assert hashes.hash_all(version) == {
            name: (digest, b"\x20" + b32hexencode(digest).lower())
            for name in version
            for digest in [hash_owner_name(name, salt=salt, iterations=iterations)]
        }


def test_the_chain_is_that_of_rfc_5155_appendix_a_but_for_opt_out() -> None:
    published = read_zone(ZONE_FILE.read_text(), "example.")
    insecure = to_name("c.example")  # opted out there, so that nothing in the chain is about it
    rest = {owner: types for owner, types in published.names.items() if not owner.endswith(insecure)}
    hashes = NameHashes(salt=SALT, iterations=12)
    chain = build_nsec3_chain(EXAMPLE, rest, find_cuts_among(EXAMPLE, rest), 3600, hashes)
    expected = {
        owner: rrset._replace(rdatas=tuple(rdata[:1] + b"\x00" + rdata[2:] for rdata in rrset.rdatas))
        for owner, rrset in published.nsec3.items()
    }
    assert {rrset.rdatas[0][1] for rrset in published.nsec3.values()} == {OPT_OUT}
    assert chain == expected
    assert list(chain) == sorted(chain)


def test_an_insecure_delegation_is_in_the_chain_for_there_is_no_opt_out() -> None:
    published = read_zone(ZONE_FILE.read_text(), "example.")
    hashes = NameHashes(salt=SALT, iterations=12)
    chain = build_nsec3_chain(
        EXAMPLE, published.names, find_cuts_among(EXAMPLE, published.names), 3600, hashes
    )
    owner = make_hashed_owner(hash_owner_name(to_name("c.example"), salt=SALT, iterations=12), EXAMPLE)
    assert chain.keys() - published.nsec3.keys() == {owner}
    assert chain[owner].rdatas[0].endswith(b"\x00\x01\x20")  # NS alone: nothing there is signed
    for glue in ("ns1.c.example", "ns2.c.example", "ns1.a.example"):
        hashed = hash_owner_name(to_name(glue), salt=SALT, iterations=12)
        assert make_hashed_owner(hashed, EXAMPLE) not in chain


@given(st.lists(st.binary(min_size=20, max_size=20), max_size=8), st.sampled_from([0, 1, 997]))
def test_hashes_are_encoded_as_the_standard_library_does(digests: list[bytes], more: int) -> None:
    digests += [bytes((number & 255, number >> 8)) * 10 for number in range(more)]
    expected = [b"\x20" + b32hexencode(digest).lower() for digest in digests]
    assert encode_hashes(digests) == expected


@given(st.sets(names, max_size=12))
def test_the_chain_is_closed_and_covers_every_name_and_empty_non_terminal(owners: set[Name]) -> None:
    data = {owner: {rt.A: RRset(owner, rt.A, 60, (b"\0\0\0\0",))} for owner in owners | {EXAMPLE}}
    chain = build_nsec3_chain(EXAMPLE, data, Cuts(frozenset(), frozenset()), 60, NameHashes())
    expected = {EXAMPLE, *owners}
    for owner in owners:
        expected |= set(iterate_ancestors(owner, EXAMPLE))
    digests = sorted(map(hash_owner_name, expected))
    assert list(chain) == [make_hashed_owner(digest, EXAMPLE) for digest in digests]
    following = [rrset.rdatas[0][6:26] for rrset in chain.values()]
    assert following == digests[1:] + digests[:1]
    assert {rrset.rdatas[0][:6] for rrset in chain.values()} == {b"\x01\x00\x00\x00\x00\x14"}


@given(st.sets(names, max_size=12))
def test_empty_non_terminals_are_the_ancestors_without_data(owners: set[Name]) -> None:
    owners |= {EXAMPLE}
    ancestors: set[Name] = set()
    for owner in owners:
        ancestors |= set(iterate_ancestors(owner, EXAMPLE))
    assert find_empty_non_terminals(EXAMPLE, owners - {EXAMPLE}, owners) == ancestors - owners
    assert all(find_parent(name).endswith(EXAMPLE) for name in ancestors - owners)


def test_two_names_of_one_hash_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def hash_all(_: NameHashes, given_names: Iterable[Name]) -> dict[Name, tuple[bytes, bytes]]:
        return dict.fromkeys(given_names, (b"\x00" * 20, b"\x20" + b"0" * 32))

    monkeypatch.setattr(nsec3.NameHashes, "hash_all", hash_all)
    owners = [EXAMPLE, to_name("a.example")]
    data = {owner: {rt.A: RRset(owner, rt.A, 60, (b"\0\0\0\0",))} for owner in owners}
    with pytest.raises(HashCollision, match="another salt"):
        build_nsec3_chain(EXAMPLE, data, Cuts(frozenset(), frozenset()), 60, NameHashes())


def test_parameters_are_those_of_the_policy_without_opt_out() -> None:
    assert make_nsec3param(SigningPolicy()) == b"\x01\x00\x00\x00\x00"
    salted = SigningPolicy(nsec3_salt=SALT, nsec3_iterations=12)
    assert make_nsec3param(salted) == b"\x01\x00\x00\x0c\x04" + SALT
