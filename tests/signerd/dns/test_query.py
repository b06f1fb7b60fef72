import dns.edns
import dns.message
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import list_rdatas
from signerd.dns.message import write_bad_key
from signerd.dns.query import parse_query

QUESTION = b"\x03WwW\x04test\x00\x00\x01\x00\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
RECORD = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04abcd"
NOERROR, FORMERR, NOTIMP = 0, 1, 4


def make_header(
    questions: int = 1,
    answers: int = 0,
    authorities: int = 0,
    additionals: int = 0,
    high: int = 0,
    low: int = 0,
) -> bytes:
    counts = (questions, answers, authorities, additionals)
    return b"\x12\x34" + bytes((high, low)) + b"".join(count.to_bytes(2) for count in counts)


def test_plain_query() -> None:
    query = parse_query(make_header(high=1, low=0x10) + QUESTION)
    assert query is not None
    assert (query.rcode, query.flags, query.question) == (NOERROR, (1, 0x10), QUESTION)
    assert (query.name, query.type, query.rdclass) == (b"\x03www\x04test\x00", 1, 1)
    assert query.edns is None


def test_edns_is_read() -> None:
    message = dns.message.make_query(
        "a.test",
        "MX",
        use_edns=0,
        payload=4096,
        want_dnssec=True,
        options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")],
    )
    query = parse_query(message.to_wire())
    assert query is not None
    assert query.edns == (4096, 0, True, True, True)


def test_small_edns_sizes_mean_512() -> None:
    query = parse_query(make_header(additionals=1) + QUESTION + OPT[:3] + b"\x00\x10" + OPT[5:])
    assert query is not None
    assert query.edns is not None
    assert query.edns.udp_octets == 512


@pytest.mark.parametrize("packet", [b"", b"\x00" * 11, make_header(high=0x80) + QUESTION])
def test_what_is_no_query_is_ignored(packet: bytes) -> None:
    assert parse_query(packet) is None


@pytest.mark.parametrize(
    ("packet", "is_question_known"),
    [
        (make_header(questions=0), False),
        (make_header(questions=2) + QUESTION * 2, False),
        (make_header(), False),
        (make_header() + QUESTION[:-1], False),
        (make_header() + b"\xc0\x0c\x00\x01\x00\x01", False),  # a pointer to itself
        (make_header() + b"\x40abc\x00\x00\x01\x00\x01", False),  # an obsolete label type
        (make_header() + b"\x3f" + b"a" * 63, False),
        (make_header() + (b"\x3f" + b"a" * 63) * 4 + QUESTION[-5:], False),  # a name of 257 octets
        (make_header() + QUESTION + b"x", True),
        (make_header(additionals=1) + QUESTION, True),
        (make_header(additionals=65535) + QUESTION + OPT, True),
        (make_header(answers=1) + QUESTION + RECORD, True),
        (make_header(authorities=1) + QUESTION + RECORD, True),
        (make_header(additionals=2) + QUESTION + OPT + OPT, True),
        (make_header(additionals=1) + QUESTION + OPT[:-2] + b"\x00\x05\x00\x01\x00\x05a", True),
        (make_header(additionals=1) + QUESTION + b"\x01a" + OPT, True),  # OPT belongs to the root
        (make_header(answers=1) + QUESTION + OPT, True),
        (make_header(additionals=1) + QUESTION + b"\xc0\xff" + RECORD[2:], True),  # a pointer forwards
    ],
)
def test_malformed_queries(packet: bytes, is_question_known: bool) -> None:
    query = parse_query(packet)
    assert query is not None
    assert query.rcode == FORMERR
    assert query.question == (QUESTION if is_question_known else b"")


def test_other_additional_records_do_no_harm() -> None:
    query = parse_query(make_header(additionals=2) + QUESTION + RECORD + OPT)
    assert query is not None
    assert query.rcode == NOERROR
    assert query.edns is not None
    assert query.edns.wants_dnssec


@pytest.mark.parametrize("opcode", [1, 2, 3, 6, 15])
def test_unknown_opcodes_are_not_looked_into(opcode: int) -> None:
    query = parse_query(make_header(high=opcode << 3) + b"\xff")
    assert query is not None
    assert (query.rcode, query.opcode, query.question) == (NOTIMP, opcode, b"")


def test_tsig_is_answered_with_bad_key() -> None:
    message = dns.message.make_query("a.test", "A")
    message.use_tsig(dns.tsig.Key("key.test", b"0123456789abcdef"))
    query = parse_query(message.to_wire())
    assert query is not None
    assert query.tsig is not None
    record = write_bad_key(query.tsig)
    assert record is not None
    response = message.to_wire()[:2] + b"\x80\x09" + bytes(7) + b"\x01" + record
    parsed = dns.message.from_wire(response, keyring=False)
    assert parsed.tsig is not None
    rdata = list_rdatas(parsed.tsig)[0]
    # MAC size zero, original ID, error BADKEY, no other data
    assert rdata[-8:] == b"\x00\x00" + message.id.to_bytes(2) + b"\x00\x11\x00\x00"


@given(st.binary(max_size=80))
def test_any_octets_as_tsig(rest: bytes) -> None:
    write_bad_key(rest)
    write_bad_key(b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x00" + rest)


@given(st.binary(max_size=300))
def test_any_octets_parse_to_something(rest: bytes) -> None:
    parse_query(rest)
    parse_query(make_header(additionals=2) + rest)
    parse_query(make_header(additionals=2) + QUESTION + rest)
