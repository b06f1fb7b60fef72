"""Answers beside those of BIND, NSD, Knot DNS and PowerDNS to the 8,448 cases of the Ferret dataset.

Where the four agree, ours is the same but for optional data. Where they differ, `DECISIONS` says what is
answered here and why; each such case must fall under exactly one of them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from answering import make_zone_set, respond
from bulk_questions import Question
from ferret import SERVERS, Case, Records, Response, iterate_cases, load_zone
from plain_response import read_response
from signerd.dns.answer import MAX_ALIASES
from signerd.dns.zone_set import ZoneSet

UDP_LIMIT = 512  # the cases were asked without EDNS
MAX_NAME_OCTETS = 255


@dataclass(frozen=True, slots=True)
class Decision:
    """What is answered where servers differ.

    Attributes:
        followed: Servers whose answer is ours, but for optional data.
        applies: Says if a case is of this kind; told the case and our response.
        cases: How many there are.
        reason: Why, with the RFC.
    """

    followed: frozenset[str]
    applies: Callable[[Case, Response], bool]
    cases: int
    reason: str


def is_optional_authority(record: str, case: Case) -> bool:
    owner, _, _, rdatatype, *_ = record.split()
    return (owner, rdatatype) == (case.apex, "ns")


def leave_out_optional(response: Response, case: Case) -> Response:
    """Leave out what minimal responses lack.

    That is the apex NS RRset beside an answer and addresses beside an authoritative one: RFC 1034, section
    4.3.2, step 6 calls them "other RRs which may be useful". The NS RRset of a cut and its glue stay.
    """
    if not response.answer:
        return response
    authority = frozenset(r for r in response.authority if not is_optional_authority(r, case))
    leads_to_cut = any(record.split()[3] == "ns" for record in authority)
    additional = response.additional if leads_to_cut else frozenset[str]()
    return replace(response, authority=authority, additional=additional)


def list_dnames(case: Case) -> dict[str, str]:
    """Give owner and target of each DNAME of the zone."""
    lines = (line.lower().split() for line in case.zone.splitlines())
    return {words[0]: words[4] for words in lines if words[3] == "dname"}


def follow_apex_dname(case: Case) -> tuple[str, Records]:
    """Redirect a name again and again through a DNAME whose target is below its owner.

    Returns:
        The response code and the answer section of a server that follows as many aliases as this one.
    """
    target = list_dnames(case)[case.apex]
    answer = {f"{case.apex} 500 in dname {target}"}
    name = case.name
    for _ in range(1 + MAX_ALIASES):
        alias = name.removesuffix(case.apex) + target
        if len(alias) + 1 > MAX_NAME_OCTETS:  # no escapes in this dataset
            return "YXDOMAIN", frozenset(answer)
        answer.add(f"{name} 500 in cname {alias}")
        name = alias
    return "NOERROR", frozenset(answer)


def is_endless_dname(case: Case, ours: Response) -> bool:
    target = list_dnames(case).get(case.apex, "")
    if not target.endswith(f".{case.apex}") or case.name == case.apex:
        return False
    # Each server stopped somewhere on the same way, and only BIND said that it did: its answer was cut at
    # 512 octets and is whole in the one case that fits.
    for servers, theirs in case.responses.items():
        assert theirs.answer <= ours.answer, case
        if servers == frozenset({"bind"}):
            assert theirs.rcode == ours.rcode, case
            assert theirs.is_truncated == (theirs.answer != ours.answer), case
    assert (ours.rcode, ours.answer) == follow_apex_dname(case), case
    assert not ours.authority | ours.additional, case
    return True


def is_alias_loop(case: Case, ours: Response) -> bool:
    aliases = [record.split() for record in ours.answer if record.split()[3] == "cname"]
    owners = {words[0] for words in aliases}
    return case.type != "CNAME" and bool(aliases) and all(words[4] in owners for words in aliases)


def is_parent_side_address(case: Case, ours: Response) -> bool:
    if ours.is_authoritative or ours.answer:
        return False
    ((cut, *_), *_) = (record.split() for record in ours.authority)
    owners = {record.split()[0] for record in ours.additional}
    return bool(owners) and all(
        owner.endswith(case.apex) and not f".{owner}".endswith(f".{cut}") for owner in owners
    )


def is_minimal(case: Case, ours: Response) -> bool:
    """Nothing but optional data differs."""
    left = {leave_out_optional(theirs, case) for theirs in case.responses.values()}
    return left == {ours}


def is_question_for_alias(case: Case, ours: Response) -> bool:
    return case.type == "CNAME" and {record.split()[0] for record in ours.answer} == {case.name}


def is_referral_to_name_outside(case: Case, ours: Response) -> bool:
    servers = {record.split()[4] for record in ours.authority}
    return not (ours.is_authoritative or ours.answer or ours.additional) and all(
        not server.endswith(case.apex) for server in servers
    )


DECISIONS: dict[str, Decision] = {
    "address of a name server that is in the zone and not below the cut": Decision(
        frozenset({"nsd", "knot", "powerdns"}),
        is_parent_side_address,
        1656,
        "RFC 1034, section 4.3.2, step 3b puts 'whatever addresses are available' beside a referral; this "
        "one is authoritative data of the zone. RFC 9471, section 3 requires only what is below the cut, so "
        "BIND may leave it out, and a resolver then asks once more. It is sent, if it fits.",
    ),
    "apex NS RRset beside an answer": Decision(
        SERVERS,
        is_minimal,
        14,
        "BIND and NSD add the apex NS RRset and its addresses, Knot and PowerDNS do not. RFC 1034, section "
        "4.3.2, step 6 leaves it to the server. It makes every answer larger, more so with signatures, and a "
        "resolver has it already: left out.",
    ),
    "DNAME whose target is below its owner": Decision(
        frozenset(),
        is_endless_dname,
        25,
        "RFC 6672, section 2.2: servers should be cautious with loops, and long chains may be valid; a "
        "name that gets too long is YXDOMAIN. No bound is given. As BIND: after 16, or at YXDOMAIN. "
        "SERVFAIL (PowerDNS) would hide an answer that is right as far as it goes.",
    ),
    "aliases that lead back to themselves": Decision(
        frozenset({"bind", "nsd", "knot"}),
        is_alias_loop,
        8,
        "RFC 1034, section 3.6.2: 'CNAME chains should be followed and CNAME loops signalled as an error', "
        "by whoever resolves (section 5.2.2). An authoritative server gives each record that it has once, "
        "and the resolver sees the loop; PowerDNS says SERVFAIL and gives none.",
    ),
    "question for the alias itself, made by a wildcard": Decision(
        frozenset({"bind", "nsd", "knot"}),
        is_question_for_alias,
        3,
        "RFC 1034, section 4.3.2, step 3a: with QTYPE CNAME the record is the answer and is not followed; "
        "RFC 4592, section 3.3.3 says the same of one made by a wildcard. PowerDNS follows it.",
    ),
    "referral to a name server in another zone": Decision(
        frozenset({"bind", "nsd", "powerdns"}),
        is_referral_to_name_outside,
        1,
        "RFC 1034, section 4.3.2, step 3b: a name below a cut gets a referral. Knot said REFUSED, once, and "
        "gave the referral in all cases like it: a fault of its test run.",
    ),
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A case with our answer."""

    case: Case
    ours: Response


def answer(case: Case, zones: ZoneSet) -> Response:
    packet = Question(case.name, case.type, dnssec=False).make_packet(1)
    response = read_response(respond(zones, packet, limit=UDP_LIMIT))
    if response.is_truncated:
        assert not response.answer | response.authority | response.additional
        response = read_response(respond(zones, packet))  # as a client does, over TCP
    return Response.from_plain(response)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[Answered]:
    directory = tmp_path_factory.mktemp("ferret")
    return [
        Answered(case, answer(case, make_zone_set(load_zone(case, directory)))) for case in iterate_cases()
    ]


def test_same_answers_where_the_four_servers_agree(answered: list[Answered]) -> None:
    agreed = [item for item in answered if item.case.responses.keys() == {SERVERS}]
    assert len(agreed) == 6741
    for item in agreed:
        (theirs,) = item.case.responses.values()
        assert item.ours == leave_out_optional(theirs, item.case), item.case
    kinds = Counter((item.ours.rcode, item.ours.is_authoritative, bool(item.ours.answer)) for item in agreed)
    assert set(kinds) == {
        ("NOERROR", False, False),  # a referral
        ("NOERROR", True, True),
        ("NOERROR", True, False),
        ("NXDOMAIN", True, False),
        ("NXDOMAIN", True, True),  # an alias to nothing
    }


def test_each_case_where_they_differ_falls_under_one_decision(answered: list[Answered]) -> None:
    counts: Counter[str] = Counter()
    differing = [item for item in answered if item.case.responses.keys() != {SERVERS}]
    assert len(differing) == 1707
    for case, ours in ((item.case, item.ours) for item in differing):
        followed = frozenset(
            server
            for servers, theirs in case.responses.items()
            if leave_out_optional(theirs, case) == ours
            for server in servers
        )
        kinds = [
            kind
            for kind, decision in DECISIONS.items()
            if (decision.followed == followed or not decision.followed) and decision.applies(case, ours)
        ]
        assert len(kinds) == 1, (case, ours, followed, kinds)
        counts[kinds[0]] += 1
    assert counts == {kind: decision.cases for kind, decision in DECISIONS.items()}


def test_bind_truncated_only_what_an_endless_dname_made_too_large(answered: list[Answered]) -> None:
    endless = DECISIONS["DNAME whose target is below its owner"]
    large = [item for item in answered if any(r.is_truncated for r in item.case.responses.values())]
    assert all(endless.applies(item.case, item.ours) for item in large)
    assert len(large) == 24
