"""The responses of RFC 4035, appendix B, and RFC 5155, appendix B, less what minimal responses leave out."""

from pathlib import Path

import pytest

from answering import ask, make_zone_set, read_zone, to_name
from signerd.dns.denial_chain import Nsec3Chain
from signerd.dns.zone_set import ZoneSet

DATA = Path(__file__).parent / "data"
SOA = ["example. SOA", "example. RRSIG(SOA)"]


def signed(*rrsets: str) -> list[str]:
    return [line for rrset in rrsets for line in (rrset, "{} RRSIG({})".format(*rrset.split()))]


def load(file: str) -> ZoneSet:
    return make_zone_set(read_zone((DATA / file).read_text(), "example.", signed=True))


@pytest.fixture(scope="module")
def nsec_zone() -> ZoneSet:
    return load("rfc4035_appendix_a.zone")


@pytest.fixture(scope="module")
def nsec3_zone() -> ZoneSet:
    return load("rfc5155_appendix_a.zone")


NOERROR, NXDOMAIN = 0, 3
Vector = tuple[str, str, int, bool, list[str], list[str], list[str]]

RFC_4035: dict[str, Vector] = {
    "B.1 answer": ("x.w.example.", "MX", NOERROR, True, signed("x.w.example. MX"), [], []),
    "B.2 name error": (
        "ml.example.",
        "A",
        NXDOMAIN,
        True,
        [],
        SOA + signed("b.example. NSEC", "example. NSEC"),
        [],
    ),
    "B.3 no data": ("ns1.example.", "MX", NOERROR, True, [], SOA + signed("ns1.example. NSEC"), []),
    "B.4 referral to signed zone": (
        "mc.a.example.",
        "MX",
        NOERROR,
        False,
        [],
        ["a.example. NS", *signed("a.example. DS")],
        ["ns1.a.example. A", "ns2.a.example. A"],
    ),
    "B.5 referral to unsigned zone": (
        "mc.b.example.",
        "MX",
        NOERROR,
        False,
        [],
        ["b.example. NS", *signed("b.example. NSEC")],
        ["ns1.b.example. A", "ns2.b.example. A"],
    ),
    "B.6 wildcard expansion": (
        "a.z.w.example.",
        "MX",
        NOERROR,
        True,
        signed("a.z.w.example. MX"),
        signed("x.y.w.example. NSEC"),
        [],
    ),
    "B.7 wildcard no data": (
        "a.z.w.example.",
        "AAAA",
        NOERROR,
        True,
        [],
        SOA + signed("x.y.w.example. NSEC", "*.w.example. NSEC"),
        [],
    ),
    "B.8 DS of child zone": ("example.", "DS", NOERROR, True, [], SOA + signed("example. NSEC"), []),
}

APEX = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3"
A_CUT = "35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3"
NS1 = "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. NSEC3"
NS2 = "q04jkcevqvmu85r014c7dkba38o0ji5r.example. NSEC3"

RFC_5155: dict[str, Vector] = {
    "B.1 name error": (
        "a.c.x.w.example.",
        "A",
        NXDOMAIN,
        True,
        [],
        SOA + signed(APEX, "b4um86eghhds6nea196smvmlo4ors995.example. NSEC3", A_CUT),
        [],
    ),
    "B.2 no data": ("ns1.example.", "MX", NOERROR, True, [], SOA + signed(NS1), []),
    "B.2.1 no data, empty non-terminal": (
        "y.w.example.",
        "A",
        NOERROR,
        True,
        [],
        SOA + signed("ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. NSEC3"),
        [],
    ),
    "B.3 referral to an opt-out unsigned zone": (
        "mc.c.example.",
        "MX",
        NOERROR,
        False,
        [],
        ["c.example. NS", *signed(A_CUT, APEX)],
        ["ns1.c.example. A", "ns2.c.example. A"],
    ),
    "B.4 wildcard expansion": (
        "a.z.w.example.",
        "MX",
        NOERROR,
        True,
        signed("a.z.w.example. MX"),
        signed(NS2),
        [],
    ),
    "B.5 wildcard no data": (
        "a.z.w.example.",
        "AAAA",
        NOERROR,
        True,
        [],
        SOA
        + signed(
            "k8udemvp1j2f7eg6jebps17vp3n8i58h.example. NSEC3",
            NS2,
            "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. NSEC3",
        ),
        [],
    ),
    "B.6 DS of child zone": ("example.", "DS", NOERROR, True, [], SOA + signed(APEX), []),
    # not an example of appendix B: RFC 5155, sections 7.2.4 and 7.2.7
    "DS of an opt-out delegation": ("c.example.", "DS", NOERROR, True, [], SOA + signed(A_CUT, APEX), []),
    "referral to a signed zone": (
        "mc.a.example.",
        "MX",
        NOERROR,
        False,
        [],
        ["a.example. NS", *signed("a.example. DS")],
        ["ns1.a.example. A", "ns2.a.example. A"],
    ),
}


def check(zones: ZoneSet, vector: Vector) -> None:
    name, rdatatype, rcode, is_authoritative, answer, authority, additional = vector
    reply = ask(zones, name, rdatatype, dnssec=True)
    assert (reply.rcode, reply.is_authoritative) == (rcode, is_authoritative)
    assert reply.answer == answer
    assert sorted(reply.authority) == sorted(authority)
    assert sorted(reply.additional) == sorted(additional)


@pytest.mark.parametrize("title", RFC_4035)
def test_responses_of_rfc_4035_appendix_b(nsec_zone: ZoneSet, title: str) -> None:
    check(nsec_zone, RFC_4035[title])


@pytest.mark.parametrize("title", RFC_5155)
def test_responses_of_rfc_5155_appendix_b(nsec3_zone: ZoneSet, title: str) -> None:
    check(nsec3_zone, RFC_5155[title])


def test_every_hashed_owner_of_rfc_5155_appendix_a_is_the_hash_of_a_name() -> None:
    zone = read_zone((DATA / "rfc5155_appendix_a.zone").read_text(), "example.")
    chain = Nsec3Chain.build(zone)
    assert chain is not None
    names = [name for name in zone.names if not name.endswith(to_name("c.example."))]
    in_chain = {chain.hash_owner(name) for name in [*names, to_name("w.example."), to_name("y.w.example.")]}
    glue = {chain.hash_owner(to_name(f"ns{number}.a.example.")) for number in (1, 2)}
    assert set(zone.nsec3) == in_chain - glue


def test_hashed_owner_names_do_not_exist(nsec3_zone: ZoneSet) -> None:
    """RFC 5155, section 7.2.8."""
    reply = ask(nsec3_zone, "b4um86eghhds6nea196smvmlo4ors995.example.", "NSEC3", dnssec=True)
    assert reply.rcode == NXDOMAIN


def test_a_name_that_looks_like_a_hash_is_a_name_of_its_own(nsec3_zone: ZoneSet) -> None:
    """RFC 5155, appendix A has such a name: an A record beside the NSEC3 record of another name."""
    reply = ask(nsec3_zone, "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", "TXT", dnssec=True)
    assert reply.rcode == NOERROR
    assert reply.authority[2] == "kohar7mbb8dc2ce8a9qvl8hon4k53uhi.example. NSEC3"
