import logging
import random

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import dns.tsig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answering import list_rdatas, make_packet
from signerd.dns.chaos import ServerTexts
from signerd.dns.zone_set import ZoneSet
from signerd.responder import responder as responder_module
from signerd.responder.responder import Responder, ResponderOptions

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH, BADVERS = 0, 1, 2, 3, 4, 5, 9, 16


@pytest.fixture
def responder(zones: ZoneSet) -> Responder:
    return Responder(ResponderOptions(), lambda: 0.0, zones)


def ask(responder: Responder, packet: bytes) -> dns.message.Message:
    response = responder.respond_to_datagram(packet)
    assert response is not None
    return dns.message.from_wire(response)


def list_options(message: dns.message.Message) -> list[tuple[int, bytes]]:
    assert message.opt is not None
    [rdata] = list_rdatas(message.opt)
    options: list[tuple[int, bytes]] = []
    while rdata:
        end = 4 + int.from_bytes(rdata[2:4])
        options.append((int.from_bytes(rdata[:2]), rdata[4:end]))
        rdata = rdata[end:]
    return options


def list_errors(message: dns.message.Message) -> list[int]:
    return [int.from_bytes(data) for code, data in list_options(message) if code == dns.edns.OptionType.EDE]


def test_id_question_and_bits_come_back(responder: Responder) -> None:
    query = dns.message.make_query("wWw.ExAmPlE", "A")
    query.flags = dns.flags.RD | dns.flags.CD | dns.flags.AD
    packet = query.to_wire()
    for _ in range(2):  # made, then from the cache
        response = responder.respond_to_datagram(packet)
        assert response is not None
        assert response[:2] == packet[:2]
        assert response[12 : len(packet)] == packet[12:]
        message = dns.message.from_wire(response)
        assert message.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.CD


def test_opt_only_for_those_who_sent_one(responder: Responder) -> None:
    assert ask(responder, make_packet("www.example", "A")).edns == -1
    message = ask(responder, make_packet("www.example", "A", payload=4096, dnssec=True))
    assert (message.edns, message.payload, message.ednsflags & dns.flags.DO) == (0, 1232, dns.flags.DO)
    assert not ask(responder, make_packet("www.example", "A", payload=4096)).ednsflags & dns.flags.DO


@pytest.mark.parametrize(
    ("payload", "limit"), [(None, 512), (512, 512), (100, 512), (1000, 1000), (4096, 1232), (65535, 1232)]
)
def test_large_answers_are_truncated(responder: Responder, payload: int | None, limit: int) -> None:
    packet = make_packet("big.example", "TXT", payload=payload)
    response = responder.respond_to_datagram(packet)
    assert response is not None
    assert len(response) <= limit
    assert dns.message.from_wire(response).flags & dns.flags.TC
    assert responder.counters.truncated == 1
    whole = responder.respond_to_message(packet)
    assert whole is not None
    assert len(whole) > 12_000
    assert not dns.message.from_wire(whole).flags & dns.flags.TC


def test_size_of_options_counts(zones: ZoneSet) -> None:
    responder = Responder(ResponderOptions(nsid=b"n" * 200), lambda: 0.0, zones)
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    query = dns.message.make_query("big.example", "TXT", use_edns=0, payload=512, options=[nsid])
    response = responder.respond_to_datagram(query.to_wire())
    assert response is not None
    assert len(response) <= 512
    assert list_options(dns.message.from_wire(response)) == [(3, b"n" * 200)]


def test_nsid_only_if_configured_and_asked_for(zones: ZoneSet) -> None:
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    asking = dns.message.make_query("www.example", "A", use_edns=0, options=[nsid]).to_wire()
    named = Responder(ResponderOptions(nsid=b"here"), lambda: 0.0, zones)
    assert list_options(ask(named, asking)) == [(3, b"here")]
    assert not list_options(ask(named, make_packet("www.example", "A", payload=1232)))
    assert not list_options(ask(Responder(ResponderOptions(), lambda: 0.0, zones), asking))


def test_replaced_zones_are_answered_from_at_once(responder: Responder, next_zones: ZoneSet) -> None:
    packets = [
        make_packet("www.example", "A"),
        make_packet("WWW.example", "A"),
        make_packet("www.example", "A", dnssec=True),
    ]
    for packet in packets * 2:
        assert "192.0.2.2" in ask(responder, packet).to_text()
    hits = responder.counters.cache_hits
    assert hits
    responder.replace_zones(next_zones)
    for packet in packets * 2:
        assert "192.0.2.99" in ask(responder, packet).to_text()


def test_cached_answers_are_the_same_in_any_spelling(responder: Responder) -> None:
    source = random.Random(1)
    for name in ("www.example", "x.wild.example", "a.cut.example", "missing.example"):
        plain = responder.respond_to_message(make_packet(name, "TXT", dnssec=True))
        assert plain is not None
        for _ in range(5):
            spelled = "".join(source.choice((letter.lower(), letter.upper())) for letter in name)
            response = responder.respond_to_message(make_packet(spelled, "TXT", dnssec=True))
            assert response is not None
            end = 12 + len(name) + 2 + 4
            assert response[12:end].lower() == plain[12:end].lower()
            assert response[end:] == plain[end:]


@pytest.mark.parametrize("rdatatype", ["TXT", "HTTPS", "TYPE97", "TYPE16705"])  # some look like letters
def test_spellings_of_a_datagram_share_one_cached_response(responder: Responder, rdatatype: str) -> None:
    packets = [
        make_packet(name, rdatatype, dnssec=True, payload=payload)
        for name in ("wWw.Example", "www.example", "WWW.EXAMPLE", "www.exampLE")
        for payload in (1232, 0x5A41, 0x7A61)
    ]
    responses = [responder.respond_to_datagram(packet) for packet in packets]
    assert responder.counters.cache_hits == 9
    for packet, response in zip(packets, responses, strict=True):
        assert response is not None
        alone = Responder(ResponderOptions(), lambda: 0.0, responder.zones).respond_to_datagram(packet)
        assert response == alone


@pytest.mark.parametrize("name", [b"\x41" + b"a" * 65 + b"\x00", b"\x03AAA\xc0\x0c", b"\x03AB", b"\x3fA"])
def test_upper_case_in_a_malformed_name_is_no_spelling(responder: Responder, name: bytes) -> None:
    packet = b"\x00\x01\x00\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01"
    for _ in range(2):
        response = responder.respond_to_datagram(packet)
        assert response is not None
        assert response[3] & 15 == FORMERR
    assert not responder.counters.cache_hits


def test_cache_is_bounded(zones: ZoneSet) -> None:
    responder = Responder(ResponderOptions(cache_octets=20_000), lambda: 0.0, zones)
    for number in range(1000):
        ask(responder, make_packet(f"n{number}.example", "A"))
    assert 10 < len(responder.datagrams) < 60
    assert 10 < len(responder.answers) < 60


def test_unserved_zone_is_refused_with_a_reason(responder: Responder) -> None:
    message = ask(responder, make_packet("other.test", "A", payload=1232))
    assert message.rcode() == REFUSED
    assert list_errors(message) == [20]
    assert ask(responder, make_packet("other.test", "A")).rcode() == REFUSED


def test_zone_without_data_is_a_failure_with_a_reason(zones: ZoneSet) -> None:
    without = ZoneSet(dict.fromkeys(zones.zones))
    responder = Responder(ResponderOptions(), lambda: 0.0, without)
    message = ask(responder, make_packet("www.example", "A", payload=1232))
    assert (message.rcode(), list_errors(message)) == (SERVFAIL, [14])
    assert not message.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("rdatatype", "rcode"),
    [
        ("AXFR", REFUSED),
        ("MAILA", NOTIMP),
        ("MAILB", NOTIMP),
        ("TKEY", NOTIMP),
        ("TYPE200", NOTIMP),
        ("TYPE128", FORMERR),
        ("OPT", FORMERR),
        ("TSIG", FORMERR),
        ("TYPE0", FORMERR),
    ],
)
def test_meta_types(responder: Responder, rdatatype: str, rcode: int) -> None:
    assert ask(responder, make_packet("www.example", rdatatype)).rcode() == rcode


def test_ixfr_with_its_authority_section_is_refused(responder: Responder) -> None:
    query = dns.message.make_query("example", "IXFR")
    query.authority.append(dns.rrset.from_text("example.", 0, "IN", "SOA", "a. b. 1 2 3 4 5"))
    assert ask(responder, query.to_wire()).rcode() == REFUSED


def test_edns_version_1_is_badvers(responder: Responder) -> None:
    query = dns.message.make_query("www.example", "A", use_edns=1)
    message = ask(responder, query.to_wire())
    assert (message.rcode(), message.edns, message.answer) == (BADVERS, 0, [])


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_opcodes_are_not_implemented(responder: Responder, opcode: int) -> None:
    packet = bytearray(make_packet("www.example", "A"))
    packet[2] |= opcode << 3
    response = responder.respond_to_datagram(bytes(packet))
    assert response is not None
    assert (response[2] >> 3 & 15, response[3] & 15) == (opcode, NOTIMP)


def test_key_that_is_not_known(responder: Responder) -> None:
    query = dns.message.make_query("www.example", "A")
    query.use_tsig(dns.tsig.Key("key.test", b"0123456789abcdef"))
    response = responder.respond_to_datagram(query.to_wire())
    assert response is not None
    assert response[3] & 15 == NOTAUTH
    assert int.from_bytes(response[10:12]) == 1


@pytest.mark.parametrize(
    ("name", "identity", "version"),
    [
        ("id.server", b"me", None),
        ("HOSTNAME.bind", b"me", None),
        ("version.server", None, b"v"),
        ("version.bind", None, b"v"),
    ],
)
def test_texts_of_class_ch(zones: ZoneSet, name: str, identity: bytes | None, version: bytes | None) -> None:
    query = dns.message.make_query(name, "TXT", rdclass="CH").to_wire()
    silent = Responder(ResponderOptions(), lambda: 0.0, zones)
    assert ask(silent, query).rcode() == REFUSED
    texts = ServerTexts(identity, version)
    message = ask(Responder(ResponderOptions(texts=texts), lambda: 0.0, zones), query)
    assert message.rcode() == NOERROR
    assert (
        message.answer[0].to_text().lower()
        == f'{name.lower()}. 0 ch txt "{(identity or version or b"").decode()}"'
    )


def test_other_classes_are_refused(responder: Responder) -> None:
    for rdclass in ("CH", "HS", "ANY"):
        query = dns.message.make_query("www.example", "A", rdclass=rdclass).to_wire()
        assert ask(responder, query).rcode() == REFUSED


def test_counters(responder: Responder) -> None:
    for name in ("www.example", "www.example", "no.example"):
        ask(responder, make_packet(name, "A"))
    responder.respond_to_datagram(b"\x00" * 12)
    responder.respond_to_datagram(b"")
    responder.respond_to_message(make_packet("www.example", "A"))
    counters = responder.counters.as_object()
    assert counters["queries_udp"] == 5
    assert counters["queries_tcp"] == 1
    assert counters["cache_hits"] == 1
    assert counters["malformed"] == 1
    assert counters["dropped"] == 1
    assert counters["rcodes"] == {"NOERROR": 3, "NXDOMAIN": 1, "FORMERR": 1}


def test_bug_costs_one_answer_and_one_log_line_a_minute(
    zones: ZoneSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(responder_module, "answer_question", fail)
    responder = Responder(ResponderOptions(), lambda: now, zones)
    packet = make_packet("www.example", "A")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert ask(responder, packet).rcode() == SERVFAIL
        assert responder.respond_to_message(packet) is not None
        now += 61
        assert ask(responder, packet).rcode() == SERVFAIL
    assert responder.counters.exceptions == 5
    assert len(caplog.records) == 2
    assert packet.hex() in caplog.text


mutations = st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=4)
packets = st.sampled_from(
    [
        make_packet("www.example", "A"),
        make_packet("x.wild.example", "ANY", dnssec=True),
        make_packet("a.cut.example", "A", payload=600),
        make_packet("nothing.example", "MX", dnssec=True),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(packets, mutations, st.integers(0, 80), st.binary(max_size=20))
def test_any_packet_gets_a_legal_answer_or_none(
    responder: Responder, packet: bytes, changes: list[tuple[int, int]], length: int, tail: bytes
) -> None:
    changed = bytearray(packet)
    for position, octet in changes:
        if position < len(changed):
            changed[position] = octet
    query = bytes(changed[: len(packet) - max(0, length - 60)]) + (tail if length % 3 == 0 else b"")
    check_legal(responder, query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.binary(max_size=600))
def test_any_octets_get_a_legal_answer_or_none(responder: Responder, query: bytes) -> None:
    check_legal(responder, query)


def check_legal(responder: Responder, query: bytes) -> None:
    for respond in (
        responder.respond_to_datagram,
        responder.respond_to_datagram,
        responder.respond_to_message,
    ):
        response = respond(query)
        assert responder.counters.exceptions == 0
        if len(query) < 12 or query[2] & 0x80:
            assert response is None
            continue
        assert response is not None
        assert response[:2] == query[:2]
        assert response[2] & 0x80
        assert (response[2] ^ query[2]) & 0x79 == 0  # opcode and RD
        if respond == responder.respond_to_datagram:
            assert len(response) <= 1232
        if response[5]:
            end = response.index(b"\x00", 12) + 5
            assert response[12:end] == query[12:end]
        if response[2] >> 3 & 15 == 0 and response[3] & 15 != NOTAUTH:
            dns.message.from_wire(response)
