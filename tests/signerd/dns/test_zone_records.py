import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from answering import make_zone_set, read_zone, to_name
from sign_here import sign_text
from signerd.dns import answer as answering_module
from signerd.dns.answer import answer_question
from signerd.dns.message import assemble_response
from signerd.dns.name import format_name, parse_name
from signerd.dns.query import parse_query
from signerd.dns.zone_set import ZoneSet
from signerd.dnssec.policy import Denial, SigningPolicy
from zone_generator import generate_zone

ORIGIN = "zone.test."
OPT = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00"
LIMITS = [300, 512, 700, 1232, 65535]


@pytest.fixture(scope="module", params=[Denial.NSEC3, Denial.NSEC])
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ZoneSet:
    text = generate_zone(ORIGIN, 300, 5).text
    policy = SigningPolicy(denial=request.param)
    return make_zone_set(sign_text(text, ORIGIN, tmp_path_factory.mktemp("zone"), policy=policy))


def ask(zones: ZoneSet, name: str, rdatatype: int, *, wants_dnssec: bool, limit: int) -> bytes:
    question = parse_name(name) + rdatatype.to_bytes(2) + b"\x00\x01"
    counts = b"\x00\x01\x00\x00\x00\x00" + (b"\x00\x01" if wants_dnssec else b"\x00\x00")
    query = parse_query(b"\x12\x34\x01\x00" + counts + question + (OPT if wants_dnssec else b""))
    assert query is not None
    answer = answer_question(zones, query.name, query.type, wants_dnssec=wants_dnssec, limit=limit)
    return b"\x12\x34" + assemble_response(query, answer, udp_octets=1232)


def describe(response: bytes) -> object:
    message = dns.message.from_wire(response, one_rr_per_rrset=True)
    sections = [sorted(rrset.to_text() for rrset in section) for section in message.sections[1:]]
    return message.rcode(), message.flags, sections


def write_nothing(*_: object, **__: object) -> None:
    """Leave everything to the general writer."""


@pytest.mark.parametrize("wants_dnssec", [True, False])
def test_answers_are_those_of_the_general_writer(
    signed: ZoneSet, wants_dnssec: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = list(generate_zone(ORIGIN, 300, 5).make_questions(1500, 2))
    asked = [
        (name, dns.rdatatype.from_text(text), LIMITS[number % len(LIMITS)])
        for number, (name, text) in enumerate(questions)
    ]
    quick = [ask(signed, name, t, wants_dnssec=wants_dnssec, limit=limit) for name, t, limit in asked]
    monkeypatch.setattr(answering_module, "write_zone_records", write_nothing)
    general = [ask(signed, name, t, wants_dnssec=wants_dnssec, limit=limit) for name, t, limit in asked]
    assert [describe(response) for response in quick] == [describe(response) for response in general]
    truncated = [response for response in quick if response[2] & 2]
    assert len(truncated) > 10 or not wants_dnssec
    assert sum(one != other for one, other in zip(quick, general, strict=True)) < len(asked)


@pytest.mark.parametrize("limit", LIMITS)
def test_names_below_a_cut_have_its_referral(signed: ZoneSet, limit: int) -> None:
    for cut in generate_zone(ORIGIN, 300, 5).delegations:
        at_cut = ask(signed, cut, dns.rdatatype.A, wants_dnssec=True, limit=limit)
        for prefix in ("x.", "Y.z.", "z.", "x."):
            below = ask(signed, prefix + cut, dns.rdatatype.DS, wants_dnssec=True, limit=limit + len(prefix))
            assert describe(below) == describe(at_cut)


def test_denials_of_one_length_fit_all_names(signed: ZoneSet) -> None:
    """One of them is the owner of an NSEC3 record, which is no name of the zone (RFC 5155, section 7.2.8)."""
    index = signed.zones[to_name(ORIGIN)]
    assert index is not None
    names = [f"{number:032}.{ORIGIN}" for number in range(30)]
    names[5:5] = [format_name(owner) for owner in index.zone.nsec3][:5]
    for name in names:
        fresh = ZoneSet(signed.zones)
        alone, after_others = (
            ask(zones, name, dns.rdatatype.A, wants_dnssec=True, limit=1232) for zones in (fresh, signed)
        )
        assert alone == after_others
        message = dns.message.from_wire(alone)
        assert message.rcode() == dns.rcode.NXDOMAIN
        for rrset in message.authority:
            assert rrset.name.to_wire() in index.zone.names or rrset.name.to_wire() in index.zone.nsec3


@pytest.mark.parametrize("origin", [".", "test."])
def test_records_of_any_apex_read_back(origin: str) -> None:
    zone = read_zone("$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n@ TXT x\na A 192.0.2.1\n", origin, signed=True)
    zones = make_zone_set(zone)
    for name in (origin, f"a.{origin}".replace("..", "."), f"b.{origin}".replace("..", ".")):
        for rdatatype in (dns.rdatatype.TXT, dns.rdatatype.A, dns.rdatatype.SOA, dns.rdatatype.CAA):
            response = ask(zones, name, rdatatype, wants_dnssec=True, limit=1232)
            message = dns.message.from_wire(response)
            assert [str(question.name) for question in message.question] == [name]
            assert message.answer or message.authority
            assert not message.flags & dns.flags.TC
    assert to_name(origin) in zones.zones
