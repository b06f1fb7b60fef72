"""Packets made up of parts, whole and spoiled: always the answer that the RFCs ask for, or silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from answering import make_zone_set, read_zone
from signerd.dns import rdatatype as rt
from signerd.dns.zone_set import ZoneSet
from signerd.responder.responder import Responder, ResponderOptions

DATA = Path(__file__).parents[1] / "dns" / "data"
NSEC3_ZONE = (DATA / "rfc5155_appendix_a.zone").read_text()
NSEC_TEXT = (DATA / "rfc4035_appendix_a.zone").read_text().replace("$ORIGIN example.", "$ORIGIN nsec.test.")
PLAIN_ZONE = """
$TTL 60
@ SOA ns h 1 2 3 4 5
@ NS ns.elsewhere.test.
@ DNAME target.example.
"""
ZONES = {
    "nsec3": make_zone_set(read_zone(NSEC3_ZONE, "example.", signed=True)),
    "nsec": make_zone_set(read_zone(NSEC_TEXT, "nsec.test.", signed=True)),
    "plain": make_zone_set(read_zone(PLAIN_ZONE, "plain.test.")),
    "none": ZoneSet(),
}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH = 0, 1, 2, 3, 4, 5, 6, 9
QUERY, NOTIFY, UPDATE = 0, 4, 5
IN, CH = 1, 3
QR, OPT_OWNER = 0x80, b"\x00"

labels = st.one_of(
    st.sampled_from([b"a", b"ns1", b"*", b"w", b"x", b"y", b"ai", b"xx", b"c", b"WwW", b"nx"]),
    st.binary(min_size=1, max_size=8),
    st.binary(min_size=63, max_size=63),
)
apexes = st.sampled_from([b"\x07example\x00", b"\x07EXAmple\x00", b"\x04nsec\x04test\x00", b"\x00"])


def join(parts: Sequence[bytes], apex: bytes) -> bytes:
    return b"".join(bytes((len(part),)) + part for part in parts) + apex


names = st.builds(join, st.lists(labels, max_size=3), apexes)
types = st.one_of(
    st.sampled_from([rt.A, rt.NS, rt.SOA, rt.DS, rt.DNSKEY, rt.NSEC, rt.NSEC3, rt.RRSIG, rt.ANY, rt.MX]),
    st.integers(0, 65535),
)
options = st.lists(
    st.tuples(st.one_of(st.sampled_from([3, 8, 10, 12, 15]), st.integers(0, 65535)), st.binary(max_size=40)),
    max_size=3,
)


def make_options(parts: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(code.to_bytes(2) + len(data).to_bytes(2) + data for code, data in parts)


def make_record(owner: bytes, number: int, rdclass: int, ttl: int, rdata: bytes) -> bytes:
    head = number.to_bytes(2) + rdclass.to_bytes(2) + ttl.to_bytes(4)
    return owner + head + len(rdata).to_bytes(2) + rdata


def make_opt(size: int, ttl: int, parts: Sequence[tuple[int, bytes]]) -> bytes:
    return make_record(OPT_OWNER, rt.OPT, size, ttl, make_options(parts))


edns = st.builds(
    make_opt,
    st.one_of(st.sampled_from([0, 512, 1232, 4096, 65535]), st.integers(0, 65535)),
    st.sampled_from([0, 0x8000, 0x8001, 0xFF008000, 0x00010000]),  # extended RCODE, version, flags
    options,
)


@dataclass(frozen=True)
class Packet:
    """A message in parts; `counts` says something else than what there is when it is set."""

    opcode: int = QUERY
    flags: int = 0
    questions: tuple[bytes, ...] = ()
    sections: tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]] = field(
        default_factory=lambda: ((), (), ())
    )
    counts: tuple[int, int, int, int] | None = None
    tail: bytes = b""

    def encode(self) -> bytes:
        counts = self.counts or (len(self.questions), *map(len, self.sections))
        high, low = self.opcode << 3 | (self.flags >> 8 & 7), self.flags & 0xFF
        head = b"\x12\x34" + bytes((high, low)) + b"".join(count.to_bytes(2) for count in counts)
        records = (record for section in self.sections for record in section)
        return head + b"".join((*self.questions, *records, self.tail))


def make_question(name: bytes, number: int, rdclass: int = IN) -> bytes:
    return name + number.to_bytes(2) + rdclass.to_bytes(2)


questions = st.builds(make_question, names, types)
flags = st.integers(0, 0x7FF).map(lambda bits: bits & 0x07F0)  # AA to CD, with the reserved bit; no RCODE
additional = st.lists(edns, max_size=1).map(lambda found: tuple(found))


def make_query(bits: int, question: bytes, last: tuple[bytes, ...]) -> Packet:
    return Packet(QUERY, bits, (question,), ((), (), last))


queries = st.builds(make_query, flags, questions, additional)
responders = st.sampled_from(sorted(ZONES)).map(
    lambda name: Responder(ResponderOptions(nsid=b"here"), lambda: 0.0, ZONES[name])
)


def read(response: bytes) -> dns.message.Message:
    """Read a response with dnspython; a TSIG in it is not checked, for nobody here has a key."""
    if response[2] >> 3 & 15 == UPDATE:  # the echo of a zone section that is none is not taken otherwise
        response = response[:2] + bytes((response[2] & 0x87,)) + response[3:]
    return dns.message.from_wire(response, keyring=False)


def list_responses(responder: Responder, packet: bytes) -> list[bytes | None]:
    """Ask over UDP twice, the second answer may come from a cache, and over TCP."""
    first, second = responder.respond_to_datagram(packet), responder.respond_to_datagram(packet)
    assert first == second
    responses = [first, responder.respond_to_message(packet)]
    assert responder.counters.exceptions == 0
    return responses


def check_legal(packet: bytes, response: bytes, limit: int) -> dns.message.Message:
    assert len(response) <= limit
    assert response[:2] == packet[:2]
    assert response[2] & QR
    assert (response[2] ^ packet[2]) & 0x79 == 0  # opcode and RD as they came
    assert response[3] & 0x60 == 0  # neither the reserved bit nor AD
    assert response[4:6] in (b"\x00\x00", b"\x00\x01")
    if response[5]:
        end = 12
        while response[end]:
            end += 1 + response[end]
        assert response[12 : end + 5] == packet[12 : end + 5]
    return read(response)


@given(responders, queries)
@settings(max_examples=300, deadline=None)
@example(
    Responder(ResponderOptions(), lambda: 0.0, ZONES["nsec3"]),
    Packet(questions=(make_question(b"\x3f" + b"a" * 63 + b"\x07example\x00", rt.A),)),
)
def test_a_good_query_gets_an_answer_to_its_question(responder: Responder, query: Packet) -> None:
    packet = query.encode()
    [question] = query.questions
    number = int.from_bytes(question[-4:-2])
    opts = query.sections[2]
    version = opts[0][6] if opts else 0
    udp_limit = max(512, min(1232, int.from_bytes(opts[0][3:5]))) if opts else 512
    for response, limit in zip(list_responses(responder, packet), (udp_limit, 65535), strict=True):
        assert response is not None
        message = check_legal(packet, response, limit)
        assert response[12 : 12 + len(question)] == question
        assert (message.edns == 0) == bool(opts)
        if version:
            assert message.rcode() == dns.rcode.BADVERS
        elif rt.is_meta(number) and number != rt.ANY:
            assert int(message.rcode()) in (FORMERR, NOTIMP, REFUSED)
        else:
            assert int(message.rcode()) in (NOERROR, NXDOMAIN, REFUSED, SERVFAIL, YXDOMAIN)
        if message.flags & dns.flags.TC:
            assert limit < 65535
        if opts:
            assert bool(message.ednsflags & dns.flags.DO) == bool(opts[0][7] & 0x80)


PLAIN_OPT = make_record(OPT_OWNER, rt.OPT, 512, 0, b"")


def make_address_record(owner: bytes) -> bytes:
    return make_record(owner, rt.A, IN, 0, bytes(4))


def put_last(packet: Packet, *added: bytes) -> Packet:
    """Replace the additional section."""
    return replace(packet, sections=((), (), added))


def put_first(packet: Packet, octets: bytes, start: int = 0) -> Packet:
    """Put octets in front of the question, or of the end of it."""
    return replace(packet, questions=(octets + packet.questions[0][start:],))


SPOILED: dict[str, Callable[[Packet], Packet]] = {
    "no question": lambda packet: replace(packet, questions=()),
    "two questions": lambda packet: replace(packet, questions=packet.questions * 2),
    "question cut": lambda packet: replace(put_last(packet), questions=(packet.questions[0][:-1],)),
    "name that is a pointer": lambda packet: put_first(packet, b"\xc0\x0c", -4),
    "name that ends in a pointer": lambda packet: put_first(packet, b"\x01a\xc0\x0c", -4),
    "label of an obsolete kind": lambda packet: put_first(packet, b"\x41\x01"),
    "label of a reserved kind": lambda packet: put_first(packet, b"\x80\x01"),
    "name too long": lambda packet: put_first(packet, (b"\x3f" + b"a" * 63) * 4),
    "answer": lambda packet: replace(
        packet, sections=((make_address_record(b"\xc0\x0c"),), (), packet.sections[2])
    ),
    "two OPT": lambda packet: put_last(packet, PLAIN_OPT, PLAIN_OPT),
    "OPT with a name": lambda packet: put_last(packet, b"\x01a" + PLAIN_OPT),
    "OPT owned by a pointer": lambda packet: put_last(packet, b"\xc0\x0c" + PLAIN_OPT[1:]),
    "OPT in the authority section": lambda packet: replace(packet, sections=((), (PLAIN_OPT,), ())),
    "option cut": lambda packet: put_last(
        packet, make_record(OPT_OWNER, rt.OPT, 512, 0, b"\x00\x03\x00\x05abcd")
    ),
    "option header cut": lambda packet: put_last(
        packet, make_record(OPT_OWNER, rt.OPT, 512, 0, b"\x00\x03\x00")
    ),
    "fewer records than counted": lambda packet: replace(
        packet, counts=(1, 0, 0, len(packet.sections[2]) + 1)
    ),
    "very many records counted": lambda packet: replace(packet, counts=(1, 65535, 65535, 65535)),
    "octets after the end": lambda packet: replace(packet, tail=b"\x00"),
    "record with a pointer forward": lambda packet: put_last(packet, make_address_record(b"\xff\xff")),
    "record with a pointer to itself": lambda packet: put_last(
        packet, make_address_record((0xC000 | 12 + len(packet.questions[0])).to_bytes(2))
    ),
    "record with a pointer into the header": lambda packet: put_last(
        packet, make_address_record(b"\xc0\x00")
    ),
    "record cut": lambda packet: put_last(packet, b"\x00\x00\x01\x00\x01"),
    "TSIG that is not the last record": lambda packet: put_last(
        packet, make_record(b"\x00", rt.TSIG, 255, 0, b""), PLAIN_OPT
    ),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=list(SPOILED))
@given(responder=responders, query=queries)
@settings(max_examples=25, deadline=None)
def test_a_malformed_query_is_a_format_error(
    spoil: Callable[[Packet], Packet], responder: Responder, query: Packet
) -> None:
    if int.from_bytes(query.questions[0][-4:-2]) == rt.IXFR:  # may have an authority section (RFC 1995)
        return
    packet = spoil(query).encode()
    for response in list_responses(responder, packet):
        assert response is not None
        message = check_legal(packet, response, 512)
        assert message.rcode() == dns.rcode.FORMERR
        assert not message.answer
        assert not message.authority


@given(responders, queries, st.integers(0, 15), st.sampled_from([None, *SPOILED.values()]))
@settings(max_examples=150, deadline=None)
def test_other_opcodes_are_not_implemented_whatever_follows(
    responder: Responder, query: Packet, opcode: int, spoil: Callable[[Packet], Packet] | None
) -> None:
    if opcode == QUERY:
        return
    made = replace(query if spoil is None else spoil(query), opcode=opcode)
    packet = made.encode()
    for response in list_responses(responder, packet):
        assert response is not None
        rcode = check_legal(packet, response, 512).rcode()
        if opcode not in (NOTIFY, UPDATE):
            assert rcode == dns.rcode.NOTIMP
        else:  # understood as far as to see that they are malformed
            allowed = {NOTIMP, FORMERR, 16, NOTAUTH} if spoil or made.sections[2] else {NOTIMP}
            assert int(rcode) in allowed


@given(responders, st.one_of(st.binary(max_size=11), queries.map(Packet.encode)))
@settings(max_examples=100, deadline=None)
def test_responses_and_less_than_a_header_are_met_with_silence(responder: Responder, packet: bytes) -> None:
    if len(packet) > 11:
        packet = packet[:2] + bytes((packet[2] | QR,)) + packet[3:]
    assert list_responses(responder, packet) == [None, None]
    assert responder.counters.dropped == 3


records = st.builds(
    make_record,
    st.one_of(names, st.sampled_from([b"\xc0\x0c", b"\xc0\x0d", b"\xff\xff", b"\x01a\xc0\x0c", b"\x40\x00"])),
    st.one_of(st.sampled_from([rt.OPT, rt.TSIG, rt.SIG, rt.SOA, rt.A]), st.integers(0, 65535)),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=40),
)
anything = st.builds(
    Packet,
    st.sampled_from([QUERY, QUERY, QUERY, NOTIFY, UPDATE, 1, 2, 6, 15]),
    st.integers(0, 0x7FF),
    st.lists(
        st.one_of(questions, st.builds(make_question, names, types, st.integers(0, 65535))), max_size=3
    ).map(tuple),
    st.tuples(
        st.lists(records, max_size=2).map(tuple),
        st.lists(records, max_size=2).map(tuple),
        st.lists(st.one_of(records, edns), max_size=3).map(tuple),
    ),
    st.one_of(st.none(), st.tuples(*[st.sampled_from([0, 1, 2, 65535])] * 4)),
    st.one_of(st.just(b""), st.binary(max_size=12)),
)
mutations = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=3)


@given(responders, st.one_of(anything, queries), mutations, st.one_of(st.none(), st.integers(0, 200)))
@settings(max_examples=800, deadline=None)
def test_whatever_comes_the_answer_is_legal(
    responder: Responder, made: Packet, changes: list[tuple[int, int]], length: int | None
) -> None:
    octets = bytearray(made.encode())
    for position, octet in changes:
        if position < len(octets):
            octets[position] = octet
    packet = bytes(octets[:length])
    for response, limit in zip(list_responses(responder, packet), (1232, 65535), strict=True):
        if len(packet) < 12 or packet[2] & QR:
            assert response is None
        else:
            assert response is not None
            check_legal(packet, response, limit)
