import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, fold_case, join_labels, parse_name
from signerd.dns.rdata import NAME, NAME_LAYOUTS, STRING
from signerd.dns.rrset import RRset
from signerd.dnssec.canonical import canonicalize_rdata, canonicalize_rdatas, encode_rrset, sort_names
from signerd.validator.canonical import canonicalise_rdata

IN = dns.rdataclass.IN
names = st.lists(st.text("aAbBzZ*.\\", min_size=1, max_size=5).map(str.encode), max_size=4).map(join_labels)

# One text for each type that dnspython knows and that holds a name, and for some that only look like it.
TEXTS = {
    "NS": "Ns.Example.",
    "CNAME": "Www.Example.",
    "SOA": "Ns.Example. Host.Example. 1 2 3 4 5",
    "PTR": "Www.Example.",
    "MX": "10 Mail.Example.",
    "RP": "Mbox.Example. Txt.Example.",
    "AFSDB": "1 Afs.Example.",
    "RT": "1 Rt.Example.",
    "SIG": "A 13 2 60 20300101000000 20200101000000 4242 Example. AAAA",
    "PX": "1 Map822.Example. Mapx400.Example.",
    "SRV": "1 2 5060 Sip.Example.",
    "NAPTR": '10 20 "U" "SIP+D2U" "!^.*$!Sip:Info@Example!" Next.Example.',
    "KX": "1 Kx.Example.",
    "DNAME": "Target.Example.",
    "RRSIG": "A 13 2 60 20300101000000 20200101000000 4242 Example. AAAA",
    "NSEC": "Next.Example. A RRSIG",
    "HINFO": '"KLH-10" "ITS"',
    "TXT": '"Mixed Case"',
    "LP": "10 L64.Example.",
    "HIP": "2 200100107B1A74DF365639CC39F1D578 AwEAAQ== Rvs.Example.",
    "IPSECKEY": "10 3 2 Gate.Example. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
    "SVCB": "1 Svc.Example. alpn=H2",
    "HTTPS": "1 Svc.Example. alpn=h2",
    "URI": '10 1 "HTTPS://Example/"',
    "CAA": '0 issue "CA.Example"',
    "CSYNC": "66 3 A NS",
    "DSYNC": "CDS NOTIFY 5359 Notify.Example.",
    "DS": "4242 13 200 AABB",
}

# Names that dnspython lower-cases although RFC 4034, section 6.2, does not list their type.
ONLY_IN_DNSPYTHON = {"NSAP-PTR": "Www.Example.", "AMTRELAY": "10 0 3 Relay.Example."}

# Types of the list that dnspython does not know: obsolete ones, after RFC 1035 and RFC 2535.
UNKNOWN_TO_DNSPYTHON = {
    rt.MD: (b"\x01A\x00",),
    rt.MF: (b"\x01A\x00",),
    rt.MB: (b"\x01A\x00",),
    rt.MG: (b"\x01A\x00",),
    rt.MR: (b"\x01A\x00",),
    rt.MINFO: (b"\x01A\x00", b"\x01B\x01C\x00"),
    rt.NXT: (b"\x01A\x00",),
}

RFC_4034_SECTION_6_1 = [
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
]

# RFC 4034, section 6.2, item 3, and RFC 6840, section 5.1: NSEC not, RRSIG yes; HINFO holds no name, and A6
# is left out (RFC 6563).
LISTED = {
    *("NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "PTR", "MINFO", "MX", "RP", "AFSDB", "RT", "SIG"),
    *("PX", "NXT", "NAPTR", "KX", "SRV", "DNAME", "RRSIG"),
}


def make_rdata(mnemonic: str, text: str) -> tuple[int, bytes, bytes]:
    """Give type, RDATA as written, and the canonical form by dnspython."""
    number = dns.rdatatype.from_text(mnemonic)
    rdata = dns.rdata.from_text(IN, number, text)
    return int(number), rdata.to_wire() or b"", rdata.to_digestable()


def test_names_are_lower_cased_in_the_types_of_rfc_4034_and_rfc_6840() -> None:
    assert {rt.MNEMONICS[number] for number in NAME_LAYOUTS} == LISTED


@pytest.mark.parametrize(("mnemonic", "text"), TEXTS.items())
def test_the_canonical_form_is_that_of_dnspython(mnemonic: str, text: str) -> None:
    number, rdata, canonical = make_rdata(mnemonic, text)
    assert canonicalize_rdata(number, rdata) == canonical
    assert (rdata != canonical) == (mnemonic in LISTED)
    assert canonicalise_rdata(number, rdata) == canonical


@pytest.mark.parametrize(("mnemonic", "text"), ONLY_IN_DNSPYTHON.items())
def test_other_types_keep_the_case_of_their_names(mnemonic: str, text: str) -> None:
    number, rdata, _ = make_rdata(mnemonic, text)
    assert canonicalize_rdata(number, rdata) == rdata


@pytest.mark.parametrize(("number", "parts"), UNKNOWN_TO_DNSPYTHON.items())
def test_obsolete_types_of_the_list_are_lower_cased(number: int, parts: tuple[bytes, ...]) -> None:
    rdata, rest = b"".join(parts), b"\x40UPPER"
    if number == rt.NXT:  # RFC 2535, section 5.2: the name is followed by a bitmap
        assert canonicalize_rdata(number, rdata + rest) == rdata.lower() + rest
    assert canonicalize_rdata(number, rdata) == rdata.lower()


@given(st.data())
def test_only_the_names_change_in_rdata_of_any_content(data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(NAME_LAYOUTS)))
    rdata = expected = b""
    for item in NAME_LAYOUTS[number]:
        if item == NAME:
            part = lowered = bytes(data.draw(names))
            lowered = part.lower()
        elif item == STRING:
            text = data.draw(st.binary(max_size=20))
            part = lowered = bytes((len(text),)) + text
        else:
            part = lowered = data.draw(st.binary(min_size=item, max_size=item))
        rdata, expected = rdata + part, expected + lowered
    if number in (rt.SIG, rt.RRSIG, rt.NXT, rt.SOA):  # they go on after the last name
        tail = data.draw(st.binary(min_size=20, max_size=20))
        rdata, expected = rdata + tail, expected + tail
    assert canonicalize_rdata(number, rdata) == expected
    assert canonicalise_rdata(number, rdata) == expected
    assert canonicalize_rdata(number, expected) == expected


@given(st.integers(1, 65535).filter(lambda number: number not in NAME_LAYOUTS), st.binary(max_size=50))
def test_rdata_of_other_types_is_left_as_it_is(number: int, rdata: bytes) -> None:
    assert canonicalize_rdata(number, rdata) == rdata


@given(st.lists(names, min_size=1, max_size=8))
def test_records_are_in_order_of_their_canonical_form_without_duplicates(targets: list[Name]) -> None:
    given_rdatas = tuple(sorted({b"\x00\x05" + name for name in targets}))
    expected = sorted({b"\x00\x05" + name.lower() for name in targets})
    assert canonicalize_rdatas(rt.MX, given_rdatas) == expected
    owner = parse_name("mx.example.")
    wire = encode_rrset(RRset(owner, rt.MX, 300, given_rdatas))
    head = owner + b"\x00\x0f\x00\x01\x00\x00\x01\x2c"
    assert wire == b"".join(head + len(rdata).to_bytes(2) + rdata for rdata in expected)


@given(st.sets(st.binary(max_size=6), min_size=1, max_size=8))
def test_shorter_rdata_that_begins_like_longer_comes_first(contents: set[bytes]) -> None:
    rdatas = tuple(sorted(contents))
    oracle = sorted(
        dns.rdata.GenericRdata(IN, dns.rdatatype.RdataType(65280), content).to_digestable()
        for content in contents
    )
    assert canonicalize_rdatas(65280, reversed(rdatas)) == oracle


def test_names_are_in_the_order_of_rfc_4034_section_6_1() -> None:
    ordered = [fold_case(parse_name(text)) for text in RFC_4034_SECTION_6_1]
    assert sort_names(reversed(ordered)) == ordered


@given(names, names, names)
def test_the_order_of_names_is_total_and_that_of_dnspython(a: Name, b: Name, c: Name) -> None:
    folded = [fold_case(name) for name in (a, b, c)]
    assert sort_names(folded) == sorted(folded, key=lambda name: dns.name.from_wire(name, 0)[0])
    assert sort_names(folded) == sort_names(reversed(folded))
