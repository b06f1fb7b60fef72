"""Master files: every form, every kind of mistake, and agreement with other readers."""

import gzip
import os
import subprocess
from pathlib import Path

import dns.zone
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from peers import find_tool
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name, parse_name
from signerd.zones.checks import check_zone
from signerd.zones.master_file import Limits, LoadedFile, load_master_file
from signerd.zones.notice import Severity
from signerd.zones.printer import write_master_file
from signerd.zones.rdata_reader import BadRdata, RdataReader
from zone_generator import generate_bulk_zone, generate_zone

ROOT_FOLDER = Path(__file__).parents[3]
ORIGIN = parse_name("example.")
HEAD = "$TTL 300\n@ SOA ns host 1 2h 15m 2w 5m\n@ NS ns\nns A 192.0.2.1\n"


def load(folder: Path, text: str | bytes, *, head: str = HEAD, limits: Limits | None = None) -> LoadedFile:
    octets = text.encode() if isinstance(text, str) else text
    (folder / "z.zone").write_bytes(head.encode() + octets)
    return load_master_file(folder / "z.zone", ORIGIN, directory=folder, limits=limits)


def errors(loaded: LoadedFile) -> list[str]:
    assert (loaded.zone is None) == any(notice.severity is Severity.ERROR for notice in loaded.notices)
    return [
        f"{notice.line}: {notice.reason}" for notice in loaded.notices if notice.severity is Severity.ERROR
    ]


def rdata(loaded: LoadedFile, owner: str, rdatatype: int) -> tuple[bytes, ...]:
    assert loaded.zone is not None, errors(loaded)
    return loaded.zone.names[parse_name(owner, ORIGIN)][rdatatype].rdatas


def test_reads_ttl_class_and_type_in_any_order_and_case(tmp_path: Path) -> None:
    text = "a IN 1h A 10.0.0.1\nb 1H30M in a 10.0.0.1\nc A 10.0.0.1\n  AAAA ::1\n"
    text += "d CLASS1 TYPE1 10.0.0.1\nIN IN A 10.0.0.1"
    loaded = load(tmp_path, text)
    assert loaded.zone is not None
    ttls = {
        format_name(owner): types[rt.A].ttl for owner, types in loaded.zone.names.items() if rt.A in types
    }
    assert ttls == {"ns.example.": 300, "a.example.": 3600, "b.example.": 5400, "c.example.": 300} | {
        "d.example.": 300,
        "in.example.": 300,
    }
    assert rdata(loaded, "c", rt.AAAA) == (bytes(15) + b"\x01",)


def test_keeps_the_case_of_rdata_and_folds_owners(tmp_path: Path) -> None:
    loaded = load(tmp_path, "WWW MX 10 Mail.ExAmple.\nrp RP Ad.Min TxT\n")
    assert rdata(loaded, "www", rt.MX) == (b"\x00\x0a\x04Mail\x07ExAmple\x00",)
    assert rdata(loaded, "rp", rt.RP) == (b"\x02Ad\x03Min\x07example\x00\x03TxT\x07example\x00",)


def test_reads_parentheses_comments_quotes_and_escapes(tmp_path: Path) -> None:
    text = 't TXT ( "a;b" ; comment ( "\n  c\\"d \\101\\; "" ) ; end\n'
    text += 'a\\.b\\032c A 10.0.0.1 ; "\nq TXT k="v w"\n'
    loaded = load(tmp_path, text)
    assert rdata(loaded, "t", rt.TXT) == (b'\x03a;b\x03c"d\x02e;\x00',)
    assert rdata(loaded, "a\\.b\\032c", rt.A)
    assert rdata(loaded, "q", rt.TXT) == (b"\x02k=\x03v w",)


def test_keeps_octets_above_127_in_strings(tmp_path: Path) -> None:
    loaded = load(tmp_path, b't TXT "\xe9\x85\xa0\\233"\nc CAA 0 issue "\xc3\xa9\\255"\n')
    assert rdata(loaded, "t", rt.TXT) == (b"\x04\xe9\x85\xa0\xe9",)
    assert rdata(loaded, "c", rt.CAA)[0].endswith(b"issue\xc3\xa9\xff")


def test_svcb_takes_quoted_values(tmp_path: Path) -> None:
    loaded = load(tmp_path, 's HTTPS 1 . alpn="h2,h3" port=443\n')
    assert rdata(loaded, "s", rt.HTTPS)[0].startswith(b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3")


def test_origin_and_include_are_followed_and_restored(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("a A 10.0.0.1\n$ORIGIN deeper\nb A 10.0.0.2\n")
    loaded = load(tmp_path, "$ORIGIN sub\n$INCLUDE inner\n$INCLUDE inner x.example.\nc A 10.0.0.3\n")
    assert loaded.zone is not None
    assert loaded.files == (tmp_path / "z.zone", tmp_path / "inner")
    for owner in ("a.sub", "b.deeper.sub", "a.x", "b.deeper.x", "c.sub"):
        assert parse_name(owner, ORIGIN) in loaded.zone.names


def test_generate_is_expanded(tmp_path: Path) -> None:
    text = "w A 10.0.0.1\n$GENERATE 1-5/2 h$ A 10.0.0.$\n$GENERATE 10-11 x${-9,3} 60 CNAME n${0,2,X}.\\$\n"
    loaded = load(tmp_path, text + '$GENERATE 1-1 s$ SRV "0 0 80 h$"\n$GENERATE 18-18 ${0,3,n} PTR a\n')
    assert rdata(loaded, "h5", rt.A) == (bytes([10, 0, 0, 5]),)
    assert rdata(loaded, "x002", rt.CNAME) == (
        b"\x030B.".replace(b".", b"")[:0] + b"\x03n0B\x01$\x07example\x00",
    )
    assert rdata(loaded, "s1", rt.SRV) == (bytes([0, 0, 0, 0, 0, 80]) + b"\x02h1\x07example\x00",)
    assert rdata(loaded, "2.1", rt.PTR)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a A 10.0.0.256", "'10.0.0.256' is not an IPv4 address"),
        ("a A", "no data after the type"),
        ("a", "no type"),
        ("a NOTATYPE x", "'NOTATYPE' is neither a type nor a TTL or class"),
        ("a CH A 10.0.0.1", "class CH; only IN is served"),
        ("a AXFR x", "type AXFR cannot stand in a zone"),
        ("a 2147483648 A 10.0.0.1", "TTL 2147483648 is larger than 2147483647"),
        ('a TXT "open', "unterminated quoted string"),
        ("a A ( 10.0.0.1", "opening parenthesis without a closing one"),
        ("a A 10.0.0.1 )", "closing parenthesis without an opening one"),
        ("a..b A 10.0.0.1", "label of 0 octets"),
        (f"{'x' * 64} A 10.0.0.1", "label of 64 octets"),
        ("a MX 65536 b", "'65536' is not a number from 0 to 65535"),
        ("a MX 10", "1 fields where 'PREFERENCE EXCHANGE' is expected"),
        (r"a A \# 3 0a0000", "the data is not of type A"),
        (r"a TYPE65280 \# 3 0a", "1 octets after \\# 3"),
        (r"a MX \# 4 000a c00c", "the data is not of type MX"),
        ("a TXT " + "x" * 256, "string of 256 octets"),
        ("$TTL x", "$TTL: 'x' is not a time"),
        ("$WHAT x", "unknown directive $WHAT"),
        ("$INCLUDE", "$INCLUDE takes a file"),
        ("$INCLUDE missing", "cannot be read: No such file or directory"),
        ("$INCLUDE z.zone", "the file includes itself"),
        ("$INCLUDE ../../etc/passwd", "is outside of the zone directory"),
        ("$INCLUDE /etc/passwd", "is outside of the zone directory"),
        ("$INCLUDE .", "Is a directory"),
        ("$GENERATE 1-70000 a$ A 10.0.0.1", "makes 70000 records; 65536 are allowed"),
        ("$GENERATE 2-1 a$ A 10.0.0.1", "must go up"),
        ("$GENERATE 1-2 a${1,2,q} A 10.0.0.1", "${1,2,q} is not"),
        ("a SOA ns host 1 2 3 4 5", "not at the apex"),
        ("@ SOA ns host 2 2 3 4 5", "2 SOA records"),
        ("a\\", "backslash at the end of the line"),
        ("b\xfcro A 10.0.0.1", "is not ASCII"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, line: str, reason: str) -> None:
    (found,) = errors(load(tmp_path, line.encode("latin-1") + b"\n"))
    assert reason in found
    assert found.startswith("2:" if "2 SOA" in reason else "5:")


def test_all_mistakes_are_told_up_to_a_hundred(tmp_path: Path) -> None:
    assert len(errors(load(tmp_path, "a A x\n" * 7))) == 7
    loaded = load(tmp_path, "a A x\n" * 1000)
    assert len(errors(loaded)) == 100
    assert "the rest was not read" in loaded.notices[-1].reason


def test_symbolic_links_out_of_the_directory_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "zones"
    inside.mkdir()
    (tmp_path / "secret").write_text("a A 10.0.0.1\n")
    (inside / "link").symlink_to(tmp_path / "secret")
    (found,) = errors(load(inside, "$INCLUDE link\n"))
    assert "outside of the zone directory" in found


def test_include_depth_and_cycles_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("$INCLUDE b\n")
    (tmp_path / "b").write_text("$INCLUDE a\n")
    assert "includes itself" in errors(load(tmp_path, "$INCLUDE a\n"))[0]
    for number in range(12):
        (tmp_path / f"f{number}").write_text(f"$INCLUDE f{number + 1}\n")
    assert "more than 8 files deep" in errors(load(tmp_path, "$INCLUDE f0\n"))[0]


def test_files_that_are_no_text_are_errors(tmp_path: Path) -> None:
    assert "NUL octet in line 5" in errors(load(tmp_path, b"a\x00"))[0]
    (tmp_path / "z.zone").unlink()
    os.mkfifo(tmp_path / "z.zone")
    loaded = load_master_file(tmp_path / "z.zone", ORIGIN, directory=tmp_path)
    assert "not a regular file" in errors(loaded)[0]
    loaded = load_master_file(tmp_path / "none", ORIGIN, directory=tmp_path)
    assert "No such file" in errors(loaded)[0]
    assert "octets; 10 are allowed" in errors(load(tmp_path / "..", "", limits=Limits(file_size=10)))[0]


def test_limits_of_records_hold(tmp_path: Path) -> None:
    loaded = load(tmp_path, "$GENERATE 1-10 a$ A 10.0.0.$\n", limits=Limits(records=5))
    assert "more than 5 records" in errors(loaded)[0]


def test_unequal_ttls_duplicates_and_foreign_data_are_warnings(tmp_path: Path) -> None:
    text = "a 60 A 10.0.0.1\na 30 A 10.0.0.2\nm MX 1 X\nm MX 1 x\n"
    text += "b A 10.0.0.1\nb A 10.0.0.1\nc.net. A 10.0.0.1\n"
    loaded = load(tmp_path, text)
    assert loaded.zone is not None
    assert loaded.zone.names[parse_name("a", ORIGIN)][rt.A].ttl == 30
    assert len(rdata(loaded, "m", rt.MX)) == 1
    reasons = sorted(notice.reason for notice in loaded.notices)
    assert [reason.split(":")[0] for reason in reasons] == [
        "a.example. A",
        "b.example. A",
        "c.net. is not in the zone example.",
        "m.example. MX",
    ]


def test_ttl_falls_back_as_rfc_1035_and_2308_say(tmp_path: Path) -> None:
    loaded = load(tmp_path, "a 60 A 10.0.0.1\nb A 10.0.0.1\n$TTL 5\nc A 10.0.0.1\n", head=HEAD[9:])
    assert loaded.zone is not None
    names = loaded.zone.names
    assert [names[parse_name(owner, ORIGIN)][rt.A].ttl for owner in ("ns", "a", "b", "c")] == [300, 60, 60, 5]


def test_dnssec_records_are_left_out_with_one_notice_a_type(tmp_path: Path) -> None:
    text = (
        "a A 10.0.0.1\na RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AAAA\n"
        "a NSEC b A\nb NSEC a A\n"
        "@ NSEC3PARAM 1 0 0 -\n@ DNSKEY 257 3 13 AAAA\nc NS x.net.\nc DS 1 13 2 " + "00" * 32 + "\n"
        "0123456789abcdefghijklmnopqrstuv NSEC3 1 0 0 - 0123456789abcdefghijklmnopqrstuv A\n"
    )
    loaded = load(tmp_path, text)
    assert loaded.zone is not None
    assert len(loaded.zone.names) == 4
    assert rt.DS in loaded.zone.names[parse_name("c", ORIGIN)]
    assert [notice.reason.split(" records")[0] for notice in loaded.notices] == [
        "1 RRSIG",
        "2 NSEC",
        "1 DNSKEY",
        "1 NSEC3",
        "1 NSEC3PARAM",
    ]


def test_the_root_zone_loads(tmp_path: Path) -> None:
    path = tmp_path / "root.zone"
    path.write_bytes(gzip.decompress((ROOT_FOLDER / "tests/data/root.zone.gz").read_bytes()))
    loaded = load_master_file(path, Name(b"\x00"), directory=tmp_path)
    assert loaded.zone is not None
    assert sum(rt.NS in types for types in loaded.zone.names.values()) > 1500
    assert {rt.NSEC, rt.DNSKEY}.isdisjoint(rrset.type for rrset in loaded.zone.iterate_rrsets())
    assert not [n for n in check_zone(loaded.zone, loaded.positions.find) if n.severity is Severity.ERROR]


@pytest.mark.parametrize("path", sorted((ROOT_FOLDER / "zones").glob("*.zone")), ids=lambda path: path.name)
def test_example_zones_load_without_errors_or_warnings(path: Path) -> None:
    loaded = load_master_file(path, parse_name(f"{path.stem}."), directory=path.parent)
    assert loaded.notices == ()
    assert loaded.zone is not None
    assert check_zone(loaded.zone, loaded.positions.find) == ()


TRICKY = r"""
t TXT "a b" c\"d "\000\255\\" ( "x" ; y
 z )
u SPF "v=spf1"
n NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
l LOC 51 30 12.748 N 0 7 39.611 W 0.00m 0.00m 0.00m 0.00m
c CAA 128 iodef "mailto:a\;b"
h HINFO "PC Intel" Linux
s SSHFP 1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac
$GENERATE 0-3/3 g${10,4,x} MX "5 h${0,2,o}"
k TYPE65280 \# 3 ab cd ef
m MX 10 @
v SVCB 1 svc alpn=h2 ipv4hint=192.0.2.1
p URI 10 1 "ftp://ftp.example.com/public"
e EUI48 00-00-5e-00-53-2a
i APL 1:192.168.32.0/21 !1:192.168.38.0/28
"""


@pytest.mark.parametrize(
    ("origin", "text"),
    [("example.", HEAD + TRICKY), ("made.test.", generate_zone("made.test.", 400, 7).text)],
    ids=["tricky", "made"],
)
def test_agrees_with_named_compilezone(tmp_path: Path, origin: str, text: str) -> None:
    (tmp_path / "z.zone").write_text(text)
    loaded = load_master_file(tmp_path / "z.zone", parse_name(origin), directory=tmp_path)
    assert loaded.zone is not None, errors(loaded)
    command = [
        find_tool("named-compilezone"),
        "-f",
        "text",
        "-F",
        "text",
        "-i",
        "none",
        "-k",
        "ignore",
        "-r",
        "ignore",
        "-n",
        "ignore",
    ]

    def compile_zone(name: str, content: str) -> set[str]:
        (tmp_path / name).write_text(content)
        output = tmp_path / f"{name}.out"
        arguments = [*command, "-s", "full", "-o", str(output), origin, str(tmp_path / name)]
        subprocess.run(arguments, check=True, capture_output=True, timeout=60)
        return {" ".join(line.split()) for line in output.read_text().splitlines()}

    printed = "".join(write_master_file(loaded.zone))
    assert compile_zone("ours", printed) == compile_zone("theirs", text)
    (tmp_path / "z.zone").write_text(printed)
    again = load_master_file(tmp_path / "z.zone", parse_name(origin), directory=tmp_path)
    assert again.zone is not None
    assert again.zone.names == loaded.zone.names


def test_agrees_with_dnspython(tmp_path: Path) -> None:
    text = generate_zone("example.", 500, 3).text
    loaded = load(tmp_path, text, head="")
    assert loaded.zone is not None
    theirs = dns.zone.from_text(text, "example.", relativize=False)
    expected: dict[tuple[bytes, int], tuple[int, set[bytes]]] = {}
    for name, ttl, rdata in theirs.iterate_rdatas():
        key = (name.to_digestable(), int(rdata.rdtype))
        expected.setdefault(key, (ttl, set()))[1].add(rdata.to_wire() or b"")
    found = {(bytes(r.owner), r.type): (r.ttl, set(r.rdatas)) for r in loaded.zone.iterate_rrsets()}
    assert found == expected


NUMBER = st.one_of(
    st.integers(0, 70_000).map(str), st.sampled_from(["4294967295", "4294967296", "1h", "x", "-1"])
)
LABEL = st.sampled_from(["a", "B", "x-1", "_s", "*", "\\.", "\\065", "a\\@b", "1", "y" * 63, "z" * 64])
NAME = st.one_of(
    st.lists(LABEL, min_size=1, max_size=5).map(".".join), st.sampled_from([".", "@", "a.", "b.c."])
)
STRING = st.one_of(st.sampled_from(['"a b"', "a", '""', "\\255", '"\\"\\\\"', "x" * 255, "\\1"]), NUMBER)
ADDRESS = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(
        ["1.2.3", "01.2.3.4", "::ffff:1.2.3.4", "::1.2.3.4", "1:2", "fe80::1%lo", "1::2::3", "::01"]
    ),
)
HEX = st.one_of(st.sampled_from([20, 32, 48]).map(lambda n: "ab" * n), st.sampled_from(["abc", "zz"]))
FIELDS: dict[int, st.SearchStrategy[tuple[str, ...]]] = {
    rt.A: st.tuples(ADDRESS),
    rt.AAAA: st.tuples(ADDRESS),
    rt.NS: st.tuples(NAME),
    rt.CNAME: st.tuples(NAME),
    rt.PTR: st.tuples(NAME),
    rt.DNAME: st.tuples(NAME),
    rt.MX: st.tuples(NUMBER, NAME),
    rt.SRV: st.tuples(NUMBER, NUMBER, NUMBER, NAME),
    rt.TXT: st.lists(STRING, min_size=1, max_size=4).map(tuple),
    rt.SOA: st.tuples(NAME, NAME, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER),
    rt.DS: st.tuples(
        NUMBER, st.sampled_from(["8", "13", "ECDSAP256SHA256", "x"]), st.sampled_from("124"), HEX
    ),
}


@given(st.sampled_from(sorted(FIELDS)).flatmap(lambda number: st.tuples(st.just(number), FIELDS[number])))
@example((rt.A, ("01.2.3.4",)))
@settings(max_examples=1500)
def test_fast_readers_read_as_dnspython_does(case: tuple[int, tuple[str, ...]]) -> None:
    rdatatype, tokens = case
    reader = RdataReader(ORIGIN)

    def attempt(with_dnspython: bool) -> bytes | None:
        try:
            return (reader.read_with_dnspython if with_dnspython else reader.read)(rdatatype, tokens)
        except BadRdata:
            return None

    assert attempt(False) == attempt(True)


PIECES = [
    *(line.encode() + b"\n" for line in (HEAD + TRICKY).splitlines()),
    *(b'"', b"(", b")", b"\\", b"\n ", b";", b"\xff", b"\x00", b"$", b"${", b"\\#", b"$INCLUDE z.zone\n"),
    *(
        b"$GENERATE 1-3 ",
        b"TYPE",
        b"IN ",
        b"1h ",
        b"\r\n",
        b"\t",
        b"$ORIGIN ",
        b"A ",
        b"TXT ",
        b"RRSIG ",
        b"SVCB ",
    ),
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=25))
@settings(max_examples=700, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_raises_an_exception(tmp_path: Path, pieces: list[bytes]) -> None:
    loaded = load(tmp_path, b"".join(pieces), limits=Limits(generate=10))
    errors(loaded)
    if loaded.zone is not None:
        check_zone(loaded.zone, loaded.positions.find)
        (tmp_path / "again").write_text("".join(write_master_file(loaded.zone)))
        again = load_master_file(tmp_path / "again", ORIGIN, directory=tmp_path)
        assert again.zone is not None, again.notices
        assert again.zone.names == loaded.zone.names


def test_progress_counts_the_lines_of_the_zone_file_alone(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("".join(f"i{number} A 192.0.2.1\n" for number in range(10_000)))
    text = generate_bulk_zone("bulk.test.", 10_000) + "$INCLUDE more\n"
    (tmp_path / "z.zone").write_text(text)
    told: list[tuple[int, int]] = []

    def take(done: int, total: int) -> None:
        told.append((done, total))

    origin = parse_name("bulk.test.")
    loaded = load_master_file(tmp_path / "z.zone", origin, directory=tmp_path, progress=take)
    assert loaded.zone is not None
    assert not loaded.notices
    assert not check_zone(loaded.zone)
    lines = text.count("\n") + 1
    assert {total for _, total in told} == {lines}
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (lines, lines)
