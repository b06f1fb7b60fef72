"""What is authoritative, what is a delegation, what is hidden below one or below a DNAME."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import read_zone, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, is_subdomain, join_labels
from signerd.dns.rrset import RRset
from signerd.dnssec.cut import find_cuts, find_cuts_among

APEX = to_name("cut.test")
TEXT = """
$TTL 60
@ SOA ns h 1 2 3 4 5
@ NS ns.child
child NS ns.child
child DS 1 13 200 00
child A 192.0.2.1
ns.child A 192.0.2.2
inner.child NS ns.child
sold DNAME elsewhere.test.
sold A 192.0.2.3
a.b.sold A 192.0.2.4
far.away NS ns.child
both NS ns.child
both DNAME elsewhere.test.
x.both A 192.0.2.5
scold A 192.0.2.6
grandchild A 192.0.2.7
"""


def test_delegations_and_hidden_names_of_a_zone_are_found() -> None:
    cuts = find_cuts(read_zone(TEXT, "cut.test."))
    assert cuts.delegations == {to_name(f"{name}.cut.test") for name in ("child", "far.away", "both")}
    assert cuts.hidden == {
        to_name(f"{name}.cut.test") for name in ("ns.child", "inner.child", "a.b.sold", "x.both")
    }


def test_a_dname_at_the_apex_hides_everything_below() -> None:
    text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns.test.\n@ DNAME other.test.\nwww A 192.0.2.1\n"
    assert find_cuts(read_zone(text, "cut.test.")).hidden == {to_name("www.cut.test")}


@pytest.mark.parametrize("apex", ["cut.test", "."])
@given(
    owned=st.lists(
        st.tuples(
            st.lists(st.sampled_from([b"a", b"b", b"*", b"ab"]), max_size=4),
            st.sampled_from([rt.A, rt.NS, rt.DNAME]),
        )
    )
)
def test_hidden_is_what_has_a_cut_or_dname_above_it(apex: str, owned: list[tuple[list[bytes], int]]) -> None:
    origin = to_name(apex)
    names: dict[Name, dict[int, RRset]] = {origin: {rt.SOA: RRset(origin, rt.SOA, 1, (b"",))}}
    for labels, number in owned:
        owner = Name(join_labels(labels)[:-1] + origin)
        names.setdefault(owner, {})[number] = RRset(owner, number, 1, (b"",))
    cuts = find_cuts_among(origin, names)
    barriers = {
        owner for owner, types in names.items() if rt.DNAME in types or (rt.NS in types and owner != origin)
    }
    hidden = {
        owner
        for owner in names
        if any(owner != barrier and is_subdomain(owner, barrier) for barrier in barriers)
    }
    assert cuts.hidden == hidden
    delegations = {owner for owner, types in names.items() if rt.NS in types and owner != origin}
    assert cuts.delegations == delegations - hidden
