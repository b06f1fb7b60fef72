import dns.message
import dns.name
from hypothesis import given
from hypothesis import strategies as st

from answering import list_rdatas, to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.response import SectionWriter
from signerd.dns.rrset import RRset

QNAME = to_name("www.example.test")

label = st.sampled_from(["www", "Example", "test", "a", "ns1", "x" * 63])
name = (
    st.lists(label, max_size=4)
    .filter(lambda labels: sum(1 + len(part) for part in labels) < 255)  # RFC 1035, section 2.3.4
    .map(lambda labels: dns.name.Name([part.encode() for part in [*labels, ""]]))
)
rdata = st.one_of(
    name.map(lambda target: (rt.NS, target.to_wire())),
    name.map(lambda target: (rt.CNAME, target.to_wire())),
    name.map(lambda target: (rt.MX, b"\x00\x05" + (target.to_wire() or b""))),
    name.map(lambda target: (rt.SRV, bytes(6) + (target.to_wire() or b""))),
    name.map(lambda target: (rt.DNAME, target.to_wire())),
    st.tuples(name, name).map(
        lambda pair: (rt.SOA, b"".join(target.to_wire() or b"" for target in pair) + bytes(20))
    ),
    st.binary(min_size=4, max_size=4).map(lambda address: (rt.A, address)),
)
rrsets = st.lists(st.tuples(name, rdata, st.integers(1, 300)), max_size=60)


def make_message(count: int, records: bytes) -> dns.message.Message:
    header = b"\x00\x01\x84\x00\x00\x01" + count.to_bytes(2) + bytes(4)
    return dns.message.from_wire(header + QNAME + b"\x00\x01\x00\x01" + records, one_rr_per_rrset=True)


@given(rrsets, st.sampled_from([100, 512, 1232, 65535]))
def test_what_is_written_reads_back(
    parts: list[tuple[dns.name.Name, tuple[int, bytes], int]], limit: int
) -> None:
    writer = SectionWriter(QNAME, limit)
    written: list[RRset] = []
    for owner, (rdatatype, octets), repeat in parts:
        rrset = RRset(Name((owner.to_wire() or b"").lower()), rdatatype, 60, (octets,) * (1 + repeat // 100))
        if writer.put(rrset, with_signatures=False):
            written.append(rrset)
    records = writer.finish()
    assert 12 + len(QNAME) + 4 + len(records) <= max(limit, 12 + len(QNAME) + 4)
    expected = [(rrset.owner, rrset.type, octets.lower()) for rrset in written for octets in rrset.rdatas]
    message = make_message(len(expected), records)
    read = [
        ((rrset.name.to_wire() or b"").lower(), int(rrset.rdtype), list_rdatas(rrset)[0].lower())
        for rrset in message.answer
    ]
    assert read == expected


def test_names_in_new_types_are_not_compressed() -> None:
    """RFC 3597, section 4."""
    writer = SectionWriter(QNAME, 512)
    writer.put(RRset(QNAME, rt.SRV, 60, (bytes(6) + QNAME,)), with_signatures=False)
    assert writer.finish().endswith(bytes(6) + QNAME)


def test_known_names_are_compressed() -> None:
    writer = SectionWriter(QNAME, 512)
    writer.put(RRset(QNAME, rt.NS, 60, (to_name("ns.example.test"),)), with_signatures=False)
    assert writer.finish() == b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x05\x02ns\xc0\x10"


def test_names_beyond_the_reach_of_pointers_are_written_out() -> None:
    writer = SectionWriter(QNAME, 65535)
    filler = RRset(QNAME, rt.TXT, 60, tuple(b"\xff" + bytes((number,)) * 255 for number in range(70)))
    assert writer.put(filler, with_signatures=False) == 70
    far = to_name("far.away")
    for _ in range(2):
        assert writer.put(RRset(far, rt.A, 60, (b"abcd", b"efgh")), with_signatures=False) == 2
    message = make_message(74, writer.finish())
    assert [str(rrset.name) for rrset in message.answer[70:]] == ["far.away."] * 4


def test_chains_of_pointers_stay_short() -> None:
    """Each name ends in the one before; a reader that follows few pointers must still get to the end."""
    writer = SectionWriter(QNAME, 65535)
    owner = to_name("test")
    for number in range(40):
        target = Name(bytes((2,)) + f"{number:02}".encode() + owner)
        assert writer.put(RRset(owner, rt.CNAME, 60, (target,)), with_signatures=False)
        owner = target
    assert make_message(40, writer.finish()).answer[-1].to_text().split()[-1].startswith("39.38.37.")


def test_rrset_that_does_not_fit_leaves_no_trace() -> None:
    writer = SectionWriter(QNAME, 100)
    big = RRset(to_name("other.place"), rt.NS, 60, tuple(to_name(f"n{i}.other.place") for i in range(9)))
    assert writer.put(big, with_signatures=False) == 0
    assert writer.put(RRset(to_name("other.place"), rt.A, 60, (b"abcd",)), with_signatures=False) == 1
    assert str(make_message(1, writer.finish()).answer[0].name) == "other.place."
