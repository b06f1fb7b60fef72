"""Small zones and edits of them at random: cuts, DNAMEs, glue, empty non-terminals, wildcards, aliases."""

from collections.abc import Mapping

from hypothesis import strategies as st

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

ORIGIN = parse_name("edit.test.")
Names = dict[Name, Mapping[int, RRset]]
"""Owners with all of their data; of an edit those that change, without data those that go."""

# Few labels, so that names are often above, below or beside each other.
_LABELS = ("a", "b", "c", "*")
_DS = bytes.fromhex("3039 0d 02") + bytes(32)
_RDATAS: Mapping[int, list[bytes]] = {
    rt.A: [bytes((192, 0, 2, number)) for number in range(3)],
    rt.TXT: [b"\x03one", b"\x03two"],
    rt.MX: [b"\x00\x0a" + parse_name("Mail.Edit.test."), b"\x00\x0a" + parse_name("a.edit.test.")],
    rt.NS: [parse_name("ns.edit.test."), parse_name("ns.elsewhere.test.")],
    rt.DS: [_DS],
    rt.DNAME: [parse_name("other.test.")],
    rt.CNAME: [parse_name("b.edit.test."), parse_name("c.edit.test.")],
}
_KINDS: tuple[tuple[int, ...], ...] = (
    (),
    (rt.A,),
    (rt.A,),
    (rt.A, rt.TXT),
    (rt.MX, rt.A),
    (rt.CNAME,),
    (rt.NS,),
    (rt.NS, rt.A),
    (rt.NS, rt.DS),
    (rt.DNAME,),
    (rt.DNAME, rt.TXT),
)


@st.composite
def _draw_owner(draw: st.DrawFn) -> Name:
    labels = draw(st.lists(st.sampled_from(_LABELS), min_size=1, max_size=4))
    return parse_name(".".join(labels), ORIGIN)


@st.composite
def _draw_edit(draw: st.DrawFn) -> Names:
    changed: Names = {}
    for owner in draw(st.lists(_draw_owner(), max_size=4, unique=True)):
        ttl = draw(st.sampled_from([300, 600]))
        types: dict[int, RRset] = {}
        for number in draw(st.sampled_from(_KINDS)):
            rdatas = draw(st.lists(st.sampled_from(_RDATAS[number]), min_size=1, max_size=2, unique=True))
            if number in (rt.CNAME, rt.DNAME):
                rdatas = rdatas[:1]
            types[number] = RRset(owner, number, ttl, tuple(sorted(rdatas)))
        changed[owner] = types
    if draw(st.integers(0, 5)) == 0:
        changed[ORIGIN] = {rt.TXT: RRset(ORIGIN, rt.TXT, 300, (draw(st.sampled_from(_RDATAS[rt.TXT])),))}
    return changed


edits: st.SearchStrategy[Names] = _draw_edit()
zones: st.SearchStrategy[Names] = st.lists(edits, max_size=5).map(
    lambda made: {owner: types for edit in made for owner, types in edit.items() if types}
)


def make_unsigned(names: Names, *, serial: int = 1, minimum: int = 300) -> Zone:
    """Make a zone: SOA and NS at the apex, and the names."""
    numbers = b"".join(number.to_bytes(4) for number in (serial, 3600, 900, 1209600, minimum))
    soa = parse_name("ns.edit.test.") + parse_name("host.edit.test.") + numbers
    apex = {
        **names.get(ORIGIN, {}),
        rt.SOA: RRset(ORIGIN, rt.SOA, 600, (soa,)),
        rt.NS: RRset(ORIGIN, rt.NS, 600, (parse_name("ns.elsewhere.test."),)),
    }
    return Zone(ORIGIN, {**names, ORIGIN: apex})
