"""Good zone files, changed at random: read, or refused with file and line, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signerd.dns.name import Name, parse_name
from signerd.dns.zone import Zone
from signerd.zones.checks import check_zone
from signerd.zones.master_file import Limits, load_master_file
from signerd.zones.notice import Severity
from signerd.zones.printer import write_master_file
from zone_generator import generate_zone

ZONES = Path(__file__).parents[3] / "zones"
LIMITS = Limits(generate=50, records=2000, include_depth=3, file_size=1 << 18)
FILES = {
    "example.com.": ZONES / "example.com.zone",
    "2.0.192.in-addr.arpa.": ZONES / "2.0.192.in-addr.arpa.zone",
}
SOURCES = {
    **{origin: path.read_bytes() for origin, path in FILES.items()},
    "made.test.": generate_zone("made.test.", 30, 5).text.encode(),
}
INCLUDED = (ZONES / "example.com.hosts").read_bytes()
TOKENS = [
    *(
        b"(",
        b")",
        b'"',
        b"\\",
        b";",
        b"\n",
        b"\r\n",
        b"\t",
        b" ",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"$",
        b"@",
    ),
    *(b"$ORIGIN ", b"$TTL ", b"$INCLUDE example.com.hosts", b"$INCLUDE z.zone", b"$INCLUDE /etc/passwd\n"),
    *(b"$GENERATE 1-9/2 a${0,3,x} A 10.0.0.$\n", b"$GENERATE 9-1 $ A 1\n", b"\\# 4 0A000001", b"\\# 3 00"),
    *(b"IN ", b"CH ", b"TYPE65535 ", b"SOA ", b"CNAME ", b"DNAME ", b"NS ", b"4294967296 ", b"1w2d3h4m5s "),
    *(b"RRSIG ", b"\\300", b"\\1", b"..", b"*." * 5, b"a." * 130, b"x" * 64, b"1h ANY ", b"OPT ", b"NULL "),
]

positions = st.integers(0, 2**16)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), positions, st.one_of(st.sampled_from(TOKENS), st.binary(max_size=5))),
        st.tuples(st.just("delete"), positions, st.integers(1, 40).map(bytes)),
        st.tuples(st.just("replace"), positions, st.one_of(st.sampled_from(TOKENS), st.binary(max_size=3))),
        st.tuples(st.just("line twice"), positions, st.just(b"")),
        st.tuples(st.just("line away"), positions, st.just(b"")),
        st.tuples(st.just("end here"), positions, st.just(b"")),
    ),
    max_size=6,
)


def apply(text: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, octets in changes:
        position = place % (len(text) + 1)
        start, end = text.rfind(b"\n", 0, position) + 1, text.find(b"\n", position) + 1 or len(text)
        match kind:
            case "insert":
                text = text[:position] + octets + text[position:]
            case "delete":
                text = text[:position] + text[position + len(octets) :]
            case "replace":
                text = text[:position] + octets + text[position + len(octets) :]
            case "line twice":
                text = text[:end] + text[start:]
            case "line away":
                text = text[:start] + text[end:]
            case _:
                text = text[:position]
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("zones")
    (made / "example.com.hosts").write_bytes(INCLUDED)
    return made


def read(folder: Path, origin: Name, content: bytes) -> Zone | None:
    """Read a file, and check what is said of it."""
    path = folder / "z.zone"
    path.write_bytes(content)
    loaded = load_master_file(path, origin, directory=folder, limits=LIMITS)
    assert path.read_bytes() == content
    errors = [notice for notice in loaded.notices if notice.severity is Severity.ERROR]
    assert (loaded.zone is None) == bool(errors)
    lines = {
        str(path): content.count(b"\n") + 1,
        str(folder / "example.com.hosts"): INCLUDED.count(b"\n") + 1,
    }
    for notice in loaded.notices:
        if notice.line is not None:
            assert notice.file in lines
            assert 1 <= notice.line <= lines[notice.file]
        elif notice.severity is Severity.ERROR:  # about the whole file
            assert notice.file in lines
        assert notice.reason
        assert "\n" not in str(notice)
    if loaded.zone is not None:
        for notice in check_zone(loaded.zone, loaded.positions.find):
            assert notice.severity is not Severity.ERROR or (notice.file in lines and notice.line is not None)
    return loaded.zone


@given(st.sampled_from(sorted(SOURCES)), edits)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_zone_file_is_read_or_refused_with_file_and_line(
    folder: Path, origin: str, changes: list[tuple[str, int, bytes]]
) -> None:
    zone = read(folder, parse_name(origin), apply(SOURCES[origin], changes))
    if zone is not None:
        again = read(folder, zone.origin, "".join(write_master_file(zone)).encode("latin-1"))
        assert again is not None
        assert again.names == zone.names


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-16"))))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_no_zone_file_is_refused(folder: Path, content: bytes) -> None:
    assert read(folder, parse_name("example.com."), content) is None
