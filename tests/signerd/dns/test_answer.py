import pytest

from answering import Reply, ask, make_zone_set, read_zone, to_name
from signerd.dns.answer import answer_question
from signerd.dns.zone_set import ZoneSet

NOERROR, SERVFAIL, NXDOMAIN, REFUSED, YXDOMAIN = 0, 2, 3, 5, 6
LONG = ".".join(["x" * 63, "y" * 63, "z" * 50])

PARENT = f"""
$ORIGIN example.
$TTL 3600
@ SOA ns1 host 1 7200 900 604800 300
@ NS ns1
@ TXT "apex"
@ AAAA 2001:db8::1
ns1 A 192.0.2.1
www A 192.0.2.2
www TXT "one"
alias CNAME www
hop CNAME alias
out CNAME www.elsewhere.
to-child CNAME www.child
to-lost CNAME nowhere
to-cut CNAME www.plain
loop1 CNAME loop2
loop2 CNAME loop1
leaf.mid.ent A 192.0.2.3
*.wild A 192.0.2.4
*.wild MX 10 www
sub.wild TXT "exists"
*.walias CNAME www
below.*.went TXT "the wildcard is an empty non-terminal"
moved DNAME target
moved TXT "at the owner"
www.moved A 192.0.2.66
www.target A 192.0.2.5
long DNAME {LONG}.{LONG[:60]}.
plain NS ns.plain
plain NS ns.sister
ns.plain A 192.0.2.6
ns.plain AAAA 2001:db8::6
www.plain A 192.0.2.67
sister NS ns.sister
ns.sister A 192.0.2.7
child NS ns.child
child DS 1 13 2 {"00" * 32}
ns.child A 192.0.2.8
grand.child NS ns.grand.elsewhere.
away NS ns1
"""
CHILD = """
$ORIGIN child.example.
$TTL 600
@ SOA ns host 1 7200 900 604800 900
@ NS ns
ns A 192.0.2.8
www A 192.0.2.9
"""


@pytest.fixture(scope="module")
def zones() -> ZoneSet:
    return make_zone_set(read_zone(PARENT, "example."), read_zone(CHILD, "child.example."))


@pytest.fixture(scope="module")
def parent() -> ZoneSet:
    return make_zone_set(read_zone(PARENT, "example."))


def is_negative(reply: Reply) -> bool:
    return not reply.answer and reply.authority == ["example. SOA"] and reply.is_authoritative


def test_answers_are_minimal(zones: ZoneSet) -> None:
    reply = ask(zones, "www.example", "A")
    assert (reply.answer, reply.authority, reply.additional) == (["www.example. A"], [], [])
    assert reply.is_authoritative


def test_names_compare_without_regard_to_case(zones: ZoneSet) -> None:
    reply = ask(zones, "WwW.eXaMpLe", "A")
    assert str(reply.message.question[0].name) == "WwW.eXaMpLe."
    assert reply.answer == ["WwW.eXaMpLe. A"]  # compressed to the question, so in its case


def test_missing_type_is_no_data(zones: ZoneSet) -> None:
    reply = ask(zones, "www.example", "AAAA")
    assert reply.rcode == NOERROR
    assert is_negative(reply)


def test_negative_soa_has_the_lower_of_ttl_and_minimum(zones: ZoneSet) -> None:
    assert ask(zones, "www.example", "AAAA").message.authority[0].ttl == 300
    assert ask(zones, "x.child.example", "AAAA").message.authority[0].ttl == 600


def test_missing_name_is_a_name_error(zones: ZoneSet) -> None:
    reply = ask(zones, "nothing.here.example", "A")
    assert reply.rcode == NXDOMAIN
    assert is_negative(reply)


@pytest.mark.parametrize("name", ["ent.example", "mid.ent.example"])
def test_empty_non_terminals_exist(zones: ZoneSet, name: str) -> None:
    reply = ask(zones, name, "A")
    assert reply.rcode == NOERROR
    assert is_negative(reply)


@pytest.mark.parametrize(
    ("name", "rdatatype", "rcode", "answer"),
    [
        ("a.wild.example", "A", NOERROR, ["a.wild.example. A"]),
        ("a.b.wild.example", "MX", NOERROR, ["a.b.wild.example. MX"]),
        ("a.wild.example", "TXT", NOERROR, []),
        ("sub.wild.example", "A", NOERROR, []),  # it exists
        ("a.sub.wild.example", "A", NXDOMAIN, []),  # its closest encloser is not the wildcard's parent
        ("*.wild.example", "A", NOERROR, ["*.wild.example. A"]),
        ("a.*.wild.example", "A", NXDOMAIN, []),  # RFC 4592, section 2.2.1
        ("a.walias.example", "A", NOERROR, ["a.walias.example. CNAME", "www.example. A"]),
        ("a.went.example", "TXT", NOERROR, []),  # RFC 4592, section 2.2.2: the source of synthesis exists
        ("wild.example", "A", NOERROR, []),
    ],
)
def test_wildcards(zones: ZoneSet, name: str, rdatatype: str, rcode: int, answer: list[str]) -> None:
    reply = ask(zones, name, rdatatype)
    assert (reply.rcode, reply.answer) == (rcode, answer)
    assert reply.is_authoritative
    assert reply.authority == ([] if answer else ["example. SOA"])


@pytest.mark.parametrize(
    ("name", "rdatatype", "rcode", "answer", "authority"),
    [
        ("hop", "A", NOERROR, ["hop CNAME", "alias CNAME", "www A"], []),
        ("hop", "CNAME", NOERROR, ["hop CNAME"], []),
        ("hop", "ANY", NOERROR, ["hop CNAME"], []),
        ("hop", "AAAA", NOERROR, ["hop CNAME", "alias CNAME"], ["example. SOA"]),
        ("to-lost", "A", NXDOMAIN, ["to-lost CNAME"], ["example. SOA"]),  # RFC 6604, section 3
        ("out", "A", NOERROR, ["out CNAME"], []),
        ("to-child", "A", NOERROR, ["to-child CNAME", "www.child A"], []),
        ("to-cut", "A", NOERROR, ["to-cut CNAME"], ["plain.example. NS"]),
        ("loop1", "A", NOERROR, ["loop1 CNAME", "loop2 CNAME"], []),
        ("loop1", "CNAME", NOERROR, ["loop1 CNAME"], []),
    ],
)
def test_aliases(
    zones: ZoneSet, name: str, rdatatype: str, rcode: int, answer: list[str], authority: list[str]
) -> None:
    reply = ask(zones, f"{name}.example", rdatatype)
    assert (reply.rcode, reply.authority) == (rcode, authority)
    assert reply.answer == ["{}.example. {}".format(*line.split()) for line in answer]
    assert reply.is_authoritative  # of the first name: RFC 1035, section 4.1.1


def test_long_alias_chains_are_cut_short() -> None:
    chain = "\n".join(f"c{number} CNAME c{number + 1}" for number in range(100))
    zones = make_zone_set(read_zone(f"$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n{chain}\n", "test."))
    reply = ask(zones, "c0.test", "A")
    assert reply.rcode == NOERROR
    assert 10 < len(reply.answer) < 30


def test_dname_redirects_what_is_below(zones: ZoneSet) -> None:
    reply = ask(zones, "www.moved.example", "A")  # the data below DNAME is occluded
    assert reply.answer == ["moved.example. DNAME", "www.moved.example. CNAME", "www.target.example. A"]
    assert reply.message.answer[1].ttl == reply.message.answer[0].ttl
    assert reply.message.answer[1].to_text().endswith(" www.target.example.")


def test_dname_does_not_redirect_its_owner(zones: ZoneSet) -> None:
    assert ask(zones, "moved.example", "TXT").answer == ["moved.example. TXT"]
    assert is_negative(ask(zones, "moved.example", "A"))


def test_dname_to_a_missing_name_is_a_name_error(zones: ZoneSet) -> None:
    reply = ask(zones, "x.moved.example", "A")
    assert (reply.rcode, reply.authority) == (NXDOMAIN, ["example. SOA"])


def test_synthesised_cname_answers_a_question_for_cname(zones: ZoneSet) -> None:
    reply = ask(zones, "x.moved.example", "CNAME")
    assert (reply.rcode, reply.answer) == (NOERROR, ["moved.example. DNAME", "x.moved.example. CNAME"])


def test_dname_that_makes_too_long_a_name(zones: ZoneSet) -> None:
    """RFC 6672, section 2.2."""
    reply = ask(zones, f"{'a' * 60}.long.example", "A")
    assert (reply.rcode, reply.answer) == (YXDOMAIN, ["long.example. DNAME"])


def test_referral(zones: ZoneSet) -> None:
    reply = ask(zones, "deep.www.plain.example", "A")
    assert not reply.is_authoritative
    assert reply.answer == []
    assert reply.authority == ["plain.example. NS"]
    assert sorted(reply.additional) == [
        "ns.plain.example. A",
        "ns.plain.example. AAAA",
        "ns.sister.example. A",
    ]


def test_name_of_a_cut_gets_a_referral_for_all_but_ds(zones: ZoneSet) -> None:
    assert ask(zones, "plain.example", "NS").authority == ["plain.example. NS"]
    reply = ask(zones, "plain.example", "DS")
    assert is_negative(reply)


def test_referral_truncated_when_in_domain_glue_does_not_fit(zones: ZoneSet) -> None:
    """RFC 9471, section 3.1."""
    whole = ask(zones, "www.plain.example", "A")
    sister = 16  # octets of the sibling glue, which comes last
    fits = ask(zones, "www.plain.example", "A", limit=whole.octets - 1)
    assert not fits.is_truncated
    assert "ns.sister.example. A" not in fits.additional
    short = ask(zones, "www.plain.example", "A", limit=whole.octets - sister - 1)
    assert short.is_truncated
    assert short.authority == ["plain.example. NS"]


def test_answer_that_does_not_fit_is_truncated_to_nothing(zones: ZoneSet) -> None:
    reply = ask(zones, "hop.example", "A", limit=60)
    assert reply.is_truncated
    assert (reply.rcode, reply.answer, reply.authority) == (NOERROR, [], [])


def test_ds_is_answered_by_the_parent(zones: ZoneSet) -> None:
    reply = ask(zones, "child.example", "DS")
    assert reply.is_authoritative
    assert reply.answer == ["child.example. DS"]


def test_ds_of_an_apex_whose_parent_is_not_here(parent: ZoneSet) -> None:
    assert is_negative(ask(parent, "example", "DS"))


def test_ds_of_a_zone_below_somebody_elses_zone() -> None:
    grandchild = CHILD.replace("child.example", "deep.plain.example")
    zones = make_zone_set(read_zone(PARENT, "example."), read_zone(grandchild, "deep.plain.example."))
    reply = ask(zones, "deep.plain.example", "DS")
    assert reply.is_authoritative
    assert reply.authority == ["deep.plain.example. SOA"]


def test_child_answers_for_its_apex(zones: ZoneSet) -> None:
    assert ask(zones, "child.example", "NS").answer == ["child.example. NS"]
    assert ask(zones, "www.child.example", "A").is_authoritative


def test_any_gets_one_rrset(zones: ZoneSet) -> None:
    """RFC 8482, section 4.1."""
    assert ask(zones, "www.example", "ANY").answer == ["www.example. A"]
    assert ask(zones, "a.wild.example", "ANY").answer == ["a.wild.example. A"]
    assert is_negative(ask(zones, "ent.example", "ANY"))


def test_zone_that_is_not_served_is_refused(zones: ZoneSet) -> None:
    assert ask(zones, "www.elsewhere", "A").rcode == REFUSED
    assert ask(zones, ".", "NS").rcode == REFUSED


def test_zone_without_data_is_a_server_failure(zones: ZoneSet) -> None:
    without = ZoneSet({**zones.zones, b"\x05child\x07example\x00": None})  # type: ignore[dict-item]
    assert ask(without, "www.child.example", "A").rcode == SERVFAIL
    assert ask(without, "child.example", "DS").answer == ["child.example. DS"]
    assert ask(without, "to-child.example", "A").answer == ["to-child.example. CNAME"]


def test_ds_is_not_denied_while_the_parent_has_no_data(zones: ZoneSet) -> None:
    without = ZoneSet({**zones.zones, b"\x07example\x00": None})  # type: ignore[dict-item]
    assert ask(without, "child.example", "DS").rcode == SERVFAIL
    assert ask(without, "www.child.example", "A").rcode == NOERROR


def test_root_zone() -> None:
    text = "$TTL 60\n. SOA a. b. 1 2 3 4 5\n. NS a.test.\ntest. NS a.test.\na.test. A 192.0.2.1\n"
    zones = make_zone_set(read_zone(text, "."))
    assert ask(zones, ".", "NS").answer == [". NS"]
    assert ask(zones, "www.test", "A").additional == ["a.test. A"]
    assert ask(zones, "other", "A").rcode == NXDOMAIN
    assert ask(zones, ".", "DS").authority == [". SOA"]


def test_signatures_only_for_those_who_ask() -> None:
    zones = make_zone_set(read_zone(PARENT, "example.", signed=True))
    assert ask(zones, "www.example", "A").answer == ["www.example. A"]
    assert ask(zones, "www.example", "A", dnssec=True).answer == [
        "www.example. A",
        "www.example. RRSIG(A)",
    ]


def test_question_for_rrsig_gets_all_signatures_of_the_name() -> None:
    zones = make_zone_set(read_zone(PARENT, "example.", signed=True))
    reply = ask(zones, "www.example", "RRSIG")
    assert sorted(reply.answer) == ["www.example. RRSIG(A)", "www.example. RRSIG(TXT)"]
    assert is_negative(ask(make_zone_set(read_zone(PARENT, "example.")), "www.example", "RRSIG"))


def test_authoritative_addresses_in_a_referral_come_with_signatures() -> None:
    zones = make_zone_set(read_zone(PARENT, "example.", signed=True))
    reply = ask(zones, "x.away.example", "A", dnssec=True)
    assert reply.additional == ["ns1.example. A", "ns1.example. RRSIG(A)"]


def test_rrset_that_proves_two_steps_of_a_chain_is_sent_once() -> None:
    text = (
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ NSEC *.w NS SOA NSEC RRSIG\n*.w CNAME z.w\n"
        "*.w NSEC @ CNAME NSEC RRSIG\n"
    )
    zones = make_zone_set(read_zone(text, "example.", signed=True))
    answer = answer_question(zones, to_name("q.w.example."), 1, wants_dnssec=True, limit=65535)
    assert answer.counts == bytes((0, 4, 0, 2))  # two aliases, one NSEC RRset, each with its signature
