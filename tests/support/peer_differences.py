"""Where named, knotd and nsd answer otherwise than signerd, and why: one table, `DIFFERENCES`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import dns.name

from bulk_questions import Question
from plain_response import RRSIG, PlainResponse, Records, read_name, split_labels

A, NS, CNAME, SOA, AAAA, DNAME, NSEC, NSEC3 = 1, 2, 5, 6, 28, 39, 47, 50
NOERROR, SERVFAIL, NXDOMAIN, YXDOMAIN = 0, 2, 3, 6
MAX_ALIASES = 17  # in one response of signerd

NAMED, KNOTD, NSD = "named", "knotd", "nsd"

Reduce = Callable[[Question, PlainResponse, PlainResponse], PlainResponse | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference.

    Attributes:
        servers: Which ones differ in this way; each does so at least once.
        reduce: Told the question, our response and theirs. Gives theirs without this difference, or None if
            it is not there.
        reason: What they do, what we do and why, with the RFC.
    """

    servers: frozenset[str]
    reduce: Reduce
    reason: str


def explain(
    server: str, question: Question, ours: PlainResponse, theirs: PlainResponse
) -> tuple[list[str], PlainResponse]:
    """Take all known differences away.

    Returns:
        Which ones there were, and what is left of the other server's response: ours, if all is explained.
    """
    kinds: list[str] = []
    for kind, difference in DIFFERENCES.items():
        if theirs == ours:
            break
        if server in difference.servers:
            left = difference.reduce(question, ours, theirs)
            if left is not None:
                kinds.append(kind)
                theirs = left
    return kinds, theirs


def to_wire(name: str) -> bytes:
    return (dns.name.from_text(name).to_wire() or b"").lower()


def is_below(name: bytes, ancestor: bytes) -> bool:
    labels, above = split_labels(name), split_labels(ancestor)
    return labels[len(labels) - len(above) :] == above


def covers_only(records: Records, *types: int) -> bool:
    return bool(records) and all(record.covers in types for record in records)


def list_aliases(response: PlainResponse) -> dict[bytes, bytes]:
    """Give owner and target of each CNAME."""
    return {
        record.owner: read_name(record.rdata, 0)[0].lower()
        for record in response.answer
        if record.type == CNAME
    }


def find_cut(response: PlainResponse) -> bytes | None:
    """Give the name that a response refers to."""
    return next((record.owner for record in response.authority if record.type == NS), None)


def zero_soa_ttl(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    if question.type != "SOA":
        return None
    ttls = {record.ttl for record in ours.authority if record.covers == SOA}
    if len(ttls) != 1 or {record.ttl for record in theirs.authority if record.covers == SOA} != {0}:
        return None
    (ttl,) = ttls
    restored = {record._replace(ttl=ttl) if record.covers == SOA else record for record in theirs.authority}
    return replace(theirs, authority=frozenset(restored))


def add_addresses(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    surplus = theirs.additional - ours.additional
    targets = [record.rdata.lower() for record in theirs.answer if record.type != RRSIG]
    if (
        not ours.additional <= theirs.additional
        or find_cut(theirs) is not None
        or not covers_only(surplus, A, AAAA)
        or not all(any(target.endswith(record.owner) for target in targets) for record in surplus)
    ):
        return None
    return replace(theirs, additional=ours.additional)


def leave_out_address(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    cut = find_cut(ours)
    if cut is None:
        return None
    missing = {r for r in ours.additional - theirs.additional if not is_below(r.owner, cut)}
    return replace(theirs, additional=theirs.additional | missing) if missing else None


def leave_out_glue(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    """For a question whose answer was asked for again over TCP here, as it was truncated."""
    cut = find_cut(ours)
    if cut is None or question.dnssec:
        return None
    missing = {r for r in ours.additional - theirs.additional if is_below(r.owner, cut)}
    return replace(theirs, additional=theirs.additional | missing) if missing else None


def fits_hardly(question: Question, ours: PlainResponse, theirs: PlainResponse) -> bool:
    """Say if all that either server sent would about fill a datagram; names are compressed to four octets."""
    authority = sum(12 + (4 if record.type == NS else len(record.rdata)) for record in ours.authority)
    additional = sum(12 + len(record.rdata) for record in ours.additional | theirs.additional)
    return authority + additional > (1232 if question.dnssec else 512) * 0.7


def choose_sibling_glue(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    cut = find_cut(ours)
    if cut is None or not fits_hardly(question, ours, theirs):
        return None
    differing = {r for r in ours.additional ^ theirs.additional if not is_below(r.owner, cut)}
    additional = (theirs.additional - differing) | (ours.additional & differing)
    return replace(theirs, additional=additional) if differing else None


def give_all_for_any(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    surplus = theirs.answer - ours.answer
    if (
        question.type != "ANY"
        or not ours.answer < theirs.answer
        or not {record.owner for record in surplus} <= {record.owner for record in ours.answer}
    ):
        return None
    return replace(theirs, answer=ours.answer)


def choose_for_any(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    def is_one_rrset(answer: Records) -> bool:
        return len({(record.owner, record.covers) for record in answer}) == 1

    if (
        question.type != "ANY"
        or ours.answer == theirs.answer
        or not is_one_rrset(ours.answer)
        or not is_one_rrset(theirs.answer)
        or {record.owner for record in ours.answer} != {record.owner for record in theirs.answer}
    ):
        return None
    return replace(theirs, answer=ours.answer)


def follow_dname_for_any(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if (
        question.type != "ANY"
        or {record.covers for record in ours.answer} != {DNAME, CNAME}
        or len(list_aliases(ours)) != 1
        or not ours.answer <= theirs.answer
        or ours.authority | ours.additional
    ):
        return None
    return ours


def give_one_signature(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if question.type != "RRSIG" or len(theirs.answer) != 1 or not theirs.answer < ours.answer:
        return None
    return replace(theirs, answer=ours.answer)


def stop_at_alias(rdatatype: str) -> Reduce:
    def reduce(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
        if (
            question.type != rdatatype
            or theirs.rcode != NOERROR
            or not theirs.answer < ours.answer
            or all(record.type != CNAME for record in ours.answer - theirs.answer)
            or all(record.type != SOA for record in theirs.authority)
        ):
            return None
        return ours

    return reduce


def answer_nsec_at_cut(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    name = to_wire(question.name)
    if (
        question.type != "NSEC"
        or ours.is_authoritative
        or find_cut(ours) != name
        or not covers_only(theirs.answer, NSEC)
        or {record.owner for record in theirs.answer} != {name}
    ):
        return None
    return ours


def omit_proof_for_nsec(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if (
        question.type != "NSEC"
        or not theirs.authority < ours.authority
        or not covers_only(ours.authority - theirs.authority, NSEC)
        or not any(record.type == NSEC for record in theirs.answer)
    ):
        return None
    return replace(theirs, authority=ours.authority)


def prove_too_much(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    if (
        not question.name.startswith("*.")
        or ours.rcode != NOERROR
        or not ours.authority < theirs.authority
        or not covers_only(theirs.authority - ours.authority, NSEC3)
    ):
        return None
    return replace(theirs, authority=ours.authority)


def omit_proof_after_dname(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if (
        ours.rcode != NXDOMAIN
        or all(record.type != DNAME for record in ours.answer)
        or not theirs.authority < ours.authority
        or not covers_only(ours.authority - theirs.authority, NSEC)
    ):
        return None
    return replace(theirs, authority=ours.authority)


def is_endless(response: PlainResponse) -> bool:
    """Say if the aliases of an answer lead back to one of them or were cut off after as many as we follow."""
    aliases = list_aliases(response)
    return len(aliases) == MAX_ALIASES or (bool(aliases) and aliases.keys() >= set(aliases.values()))


def fail_at_endless_alias(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if theirs.rcode != SERVFAIL or not is_endless(ours) or not theirs.answer <= ours.answer:
        return None
    return ours


def stop_endless_dname(
    question: Question, ours: PlainResponse, theirs: PlainResponse
) -> PlainResponse | None:
    if (
        len(list_aliases(ours)) != MAX_ALIASES
        or theirs.rcode != ours.rcode
        or not theirs.answer < ours.answer
        or not list_aliases(theirs)
    ):
        return None
    return ours


def leave_out_soa(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    """For a question whose answer was asked for again over TCP here, as it was truncated."""
    if question.dnssec or theirs.authority or not covers_only(ours.authority, SOA) or not list_aliases(ours):
        return None
    return replace(theirs, authority=ours.authority)


def say_no_name(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    if (ours.rcode, theirs.rcode) != (YXDOMAIN, NXDOMAIN) or ours.answer != theirs.answer:
        return None
    return ours


def stay_in_zone(question: Question, ours: PlainResponse, theirs: PlainResponse) -> PlainResponse | None:
    """The corner zones have one child each, and an alias into it and one out of it."""
    if not theirs.answer <= ours.answer:
        return None
    aliases = list_aliases(theirs)
    if not any(b"\x05child" in owner + target and owner != target for owner, target in aliases.items()):
        return None
    if len({b"\x05child" in name for alias in aliases.items() for name in alias}) != 2:
        return None
    cut = find_cut(theirs)
    if cut is None and any(record.covers == SOA for record in theirs.authority):
        return None
    return ours


DIFFERENCES: dict[str, Difference] = {
    "SOA of a negative answer about SOA has TTL 0": Difference(
        frozenset({NAMED}),
        zero_soa_ttl,
        "Its option zero-no-soa-ttl. RFC 2308, section 3 has one rule for all types: the lower of the TTL "
        "of the SOA and its MINIMUM, which is what the other two send.",
    ),
    "addresses beside an answer": Difference(
        frozenset({NAMED, KNOTD, NSD}),
        add_addresses,
        "knotd adds the addresses of MX, SRV and NS targets, the others of NS alone. RFC 1034, section "
        "4.3.2, step 6: 'attempt to add other RRs which may be useful'; nobody needs them, and they cost "
        "octets.",
    ),
    "address beside a referral that is not glue": Difference(
        frozenset({NAMED}),
        leave_out_address,
        "The name server is in the zone or below a sister cut. RFC 9471, section 3.2: sibling glue should "
        "be sent; RFC 1034, section 4.3.2, step 3b: 'whatever addresses are available'. Sent if it fits, "
        "as by knotd and nsd.",
    ),
    "glue that does not fit is left out": Difference(
        frozenset({NAMED, NSD}),
        leave_out_glue,
        "RFC 9471, section 3.1: if not all in-domain glue fits, TC must be set, so that the resolver asks "
        "over TCP; this is what knotd does, too.",
    ),
    "another part of the sibling glue fits": Difference(
        frozenset({NAMED, KNOTD, NSD}),
        choose_sibling_glue,
        "RFC 9471, section 3.2: what does not fit is left out without TC. Here the addresses of one "
        "server after another are sent; named and nsd begin with the A records of all.",
    ),
    "SOA that does not fit behind an alias is left out": Difference(
        frozenset({KNOTD}),
        leave_out_soa,
        "RFC 2308, section 3: a negative answer must have the SOA; what must be there and does not fit "
        "sets TC (RFC 2181, section 9).",
    ),
    "every RRset for ANY": Difference(
        frozenset({NAMED}),
        give_all_for_any,
        "RFC 8482, section 4.1 allows one RRset, and a small answer is of no use to who forges addresses.",
    ),
    "another RRset for ANY": Difference(
        frozenset({KNOTD, NSD}),
        choose_for_any,
        "RFC 8482, section 4.1 leaves the choice to the server.",
    ),
    "ANY below a DNAME is followed": Difference(
        frozenset({KNOTD, NSD}),
        follow_dname_for_any,
        "The CNAME made from the DNAME is one RRset of the name asked for, so it is the answer (RFC 8482, "
        "section 4.1), as for a CNAME of the zone (RFC 1034, section 4.3.2, step 3a: QTYPE matches). As "
        "named.",
    ),
    "one signature for RRSIG": Difference(
        frozenset({KNOTD}),
        give_one_signature,
        "RFC 1034, section 4.3.2, step 3a: 'copy all RRs which match QTYPE'; what does not fit is asked "
        "for again over TCP. As named and nsd.",
    ),
    "NSEC is not followed through an alias": Difference(
        frozenset({NAMED, KNOTD}),
        stop_at_alias("NSEC"),
        "In a zone with NSEC3 an alias has no NSEC beside it. RFC 1034, section 4.3.2, step 3a: it is "
        "followed for every QTYPE that does not match; RFC 4035, section 2.5 lets NSEC stand there and "
        "changes nothing for a zone without. As nsd.",
    ),
    "NSEC3 is not followed through an alias": Difference(
        frozenset({NSD}),
        stop_at_alias("NSEC3"),
        "As for NSEC: RFC 1034, section 4.3.2, step 3a; NSEC3 has owner names of its own (RFC 5155, "
        "section 3) and never stands beside an alias. As named and knotd.",
    ),
    "NSEC of a cut": Difference(
        frozenset({NAMED}),
        answer_nsec_at_cut,
        "RFC 4035, section 3.1.4.1 excepts DS, and nothing else, from the referral at a cut: for NSEC the "
        "child has data of its own. As knotd and nsd.",
    ),
    "NSEC made by a wildcard comes without proof": Difference(
        frozenset({KNOTD}),
        omit_proof_for_nsec,
        "RFC 4035, section 3.1.3.3 wants the proof that no closer name exists beside every answer that a "
        "wildcard made; without it a validator must reject. As named and nsd.",
    ),
    "closest encloser of a wildcard that exists": Difference(
        frozenset({NSD}),
        prove_too_much,
        "Asked for a wildcard by its own name, nsd proves its absence as for a name that it made. The "
        "NSEC3 of the name asked for is enough (RFC 5155, section 7.2.3).",
    ),
    "name error behind a DNAME lacks an NSEC": Difference(
        frozenset({NSD}),
        omit_proof_after_dname,
        "RFC 4035, section 3.1.3.2: both the name and its wildcard must be shown not to exist.",
    ),
    "aliases without end are a failure": Difference(
        frozenset({NAMED}),
        fail_at_endless_alias,
        "RFC 1034, sections 3.6.2 and 5.2.2: to find the loop is for the resolver; all records of the "
        "answer are right. As knotd and nsd.",
    ),
    "a DNAME to below itself is followed less often": Difference(
        frozenset({KNOTD, NSD}),
        stop_endless_dname,
        "RFC 6672, section 2.2: servers should be cautious with loops, and long chains may be valid. No "
        "bound is given; 16 aliases are followed here, as for any chain.",
    ),
    "name error for a name that gets too long": Difference(
        frozenset({KNOTD}),
        say_no_name,
        "RFC 6672, section 2.2: a substitution that makes too long a name is YXDOMAIN.",
    ),
    "aliases are not followed into another zone": Difference(
        frozenset({NAMED, KNOTD}),
        stay_in_zone,
        "RFC 1034, section 4.3.2: step 3a goes back to step 1, and step 2 then searches all zones that "
        "the server has. As nsd.",
    ),
}
"""What is left after all of these have been taken away must be equal. In the order of their removal."""
