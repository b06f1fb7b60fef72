from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from answering import read_zone, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, join_labels, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dnssec.cut import find_cuts_among
from signerd.dnssec.nsec import build_nsec_chain

ZONE_FILE = Path(__file__).parents[1] / "dns" / "data" / "rfc4035_appendix_a.zone"
EXAMPLE = to_name("example")

names = st.lists(st.binary(min_size=1, max_size=6), max_size=4).map(
    lambda labels: Name(join_labels([*labels, b"example"]).lower())
)


def test_the_chain_is_that_of_rfc_4035_appendix_a() -> None:
    published = read_zone(ZONE_FILE.read_text(), "example.")
    data = {
        owner: {number: rrset for number, rrset in types.items() if number != rt.NSEC}
        for owner, types in published.names.items()
    }
    chain = build_nsec_chain(EXAMPLE, data, find_cuts_among(EXAMPLE, data), 3600)
    expected = {owner: types[rt.NSEC] for owner, types in published.names.items() if rt.NSEC in types}
    assert {rrset.owner: rrset for rrset in chain} == expected
    assert len(expected) == 10


@given(st.sets(names, max_size=12))
def test_the_chain_is_closed_and_in_canonical_order(owners: set[Name]) -> None:
    data = {owner: {rt.A: RRset(owner, rt.A, 60, (b"\0\0\0\0",))} for owner in owners | {EXAMPLE}}
    chain = build_nsec_chain(EXAMPLE, data, find_cuts_among(EXAMPLE, data), 60)
    ordered = sorted(data, key=make_sort_key)
    assert [rrset.owner for rrset in chain] == ordered
    assert [rrset.rdatas for rrset in chain] == [
        (following + b"\x00\x06\x40\x00\x00\x00\x00\x03",) for following in [*ordered[1:], EXAMPLE]
    ]
