"""From a question to the sections of the response: the algorithm of RFC 1034, section 4.3.2, for class IN.

With wildcards (RFC 4592), DNAME (RFC 6672), negative answers (RFC 2308), DNSSEC (RFC 4035, section 3; RFC
5155, section 7.2), minimal ANY (RFC 8482) and the rules for glue (RFC 9471). Answers are minimal: no NS RRset
beside a positive answer, and nothing additional except the addresses of a referral's name servers.
"""

from collections.abc import Mapping, Sequence

from signerd.dns import rcode as rc
from signerd.dns import rdatatype as rt
from signerd.dns.denial_chain import Nsec3Chain
from signerd.dns.denial_proof import Proof
from signerd.dns.ede import ExtendedError
from signerd.dns.name import MAX_NAME_OCTETS, Name, is_subdomain
from signerd.dns.rdata import COMPRESSIBLE_TYPES
from signerd.dns.response import AA, TC, Answer, SectionWriter
from signerd.dns.rrset import RRset
from signerd.dns.zone_index import CUT, DNAME, NODE, NOTHING, WILDCARD, Position, ZoneIndex
from signerd.dns.zone_records import (
    complete_denial,
    prepare_denial,
    prepare_name_denial,
    write_zone_records,
)
from signerd.dns.zone_set import ZoneSet

# Bounds of the memory that referrals and denials take, some megabytes each.
MAX_REMEMBERED = 4096
MAX_REFERRAL_OCTETS = 2048
MAX_ALIASES = 16  # bounds the work of one query; longer chains are for the resolver to follow

# RFC 8482, section 4.1, lets the server choose one RRset. What a curious client may want comes first.
_ANY_PREFERENCE = (rt.CNAME, rt.A, rt.AAAA, rt.MX, rt.NS, rt.SOA, rt.TXT)
_NOT_STORED = frozenset({rt.ANY, rt.RRSIG})  # types to ask for that no RRset has
_SIGNER_TYPES = frozenset({rt.NSEC, rt.NSEC3PARAM, rt.DNSKEY, rt.CDS, rt.CDNSKEY})

_ERRORS = {
    ExtendedError.NOT_AUTHORITATIVE: rc.REFUSED,
    ExtendedError.NOT_SUPPORTED: rc.NOTIMP,
    ExtendedError.INVALID_QUERY_TYPE: rc.FORMERR,
    ExtendedError.NOT_READY: rc.SERVFAIL,
}


def refuse(error: ExtendedError) -> Answer:
    """Make the empty answer that goes with an extended error."""
    return Answer(_ERRORS[error], error=error)


def answer_question(zones: ZoneSet, name: Name, rdatatype: int, *, wants_dnssec: bool, limit: int) -> Answer:
    """Answer a question of class IN.

    Args:
        zones: What is served.
        name: Lower-cased.
        rdatatype: QTYPE; not a meta type other than ANY.
        wants_dnssec: The DO bit.
        limit: Octets that header, question and records may take.
    """
    apex = zones.find_apex(name)
    if apex is None:
        return refuse(ExtendedError.NOT_AUTHORITATIVE)
    index = zones.zones[apex]
    if rdatatype == rt.DS and name == apex:
        # RFC 4035, section 3.1.4.1: the parent side answers for DS, if it is served here.
        parent_apex = zones.find_parent_apex(apex)
        parent = None if parent_apex is None else zones.zones[parent_apex]
        if parent is not None:
            position = parent.search(name)
            if position.kind is not DNAME and (position.kind is not CUT or position.name == name):
                index = parent
        elif parent_apex is not None:
            index = None
    if index is None:
        return refuse(ExtendedError.NOT_READY)
    position = index.search(name)
    kind = position.kind
    answer: Answer | None = None
    if kind is NODE or kind is NOTHING or kind is WILDCARD:
        answer = _answer_at_once(
            zones, index, name, rdatatype, position, wants_dnssec=wants_dnssec, limit=limit
        )
    elif kind is CUT and (rdatatype != rt.DS or position.name != name):
        # The names below a cut have the same referral: remembered without what stands before the cut.
        key = position.name, len(name), wants_dnssec, limit
        answer = zones.referrals.get(key)
        if answer is None:
            answer = _refer(zones, index, position, name, wants_dnssec=wants_dnssec, limit=limit)
            if len(zones.referrals) >= MAX_REMEMBERED:
                zones.referrals.clear()
            if len(answer.records) <= MAX_REFERRAL_OCTETS:
                zones.referrals[key] = answer
    if answer is not None:
        return answer
    response = _Response(zones, rdatatype, wants_dnssec=wants_dnssec)
    response.resolve(index, name, position)
    return response.render(index, name, limit=limit)


def _answer_at_once(
    zones: ZoneSet,
    index: ZoneIndex,
    name: Name,
    rdatatype: int,
    position: Position,
    *,
    wants_dnssec: bool,
    limit: int,
) -> Answer | None:
    """Give the answer if it is one RRset, or the proof that there is none; None if it takes more work."""
    types = position.types
    rcode = rc.NOERROR
    written: tuple[bytes, bytes] | None = None
    rrset = types.get(rdatatype)
    if rrset is not None:
        authority: Sequence[RRset] = ()
        if position.kind is WILDCARD:
            if rdatatype in COMPRESSIBLE_TYPES:
                return None
            rrset = rrset._replace(owner=name)
            proof = Proof(index, is_wanted=wants_dnssec)
            proof.prove_wildcard_answer(name, position.next_closer)
            authority = proof.rrsets
        written = write_zone_records(
            index, name, (rrset,), authority, with_signatures=wants_dnssec, limit=limit
        )
    elif rdatatype in _NOT_STORED or rt.CNAME in types or position.kind is WILDCARD:
        return None
    else:
        is_name = position.kind is NODE
        if not is_name:
            rcode = rc.NXDOMAIN
        chain = index.denial
        if wants_dnssec and isinstance(chain, Nsec3Chain):
            written = _deny_at_once(zones, index, chain, name, position, limit)
        else:
            proof = Proof(index, is_wanted=wants_dnssec)
            if is_name:
                proof.prove_no_data(name)
            else:
                proof.prove_no_name(name, position.name, position.next_closer)
            authority = (index.negative_soa, *proof.rrsets)
            written = write_zone_records(
                index, name, (), authority, with_signatures=wants_dnssec, limit=limit
            )
    return None if written is None else Answer(rcode, AA, written[0], 0, written[1])


def _deny_at_once(
    zones: ZoneSet, index: ZoneIndex, chain: Nsec3Chain, name: Name, position: Position, limit: int
) -> tuple[bytes, bytes] | None:
    """Write the denial of a type or name; None if it needs more than whole chains do (opt-out)."""
    name_octets = len(name)
    if position.kind is NODE:
        match = chain.find_match(name)
        if match is None:
            return None
        return complete_denial(prepare_denial(index, name_octets), index, match, name_octets, limit)
    key = position.name, name_octets
    remembered = zones.name_denials
    prepared = remembered.get(key)
    if prepared is None:
        prepared = prepare_name_denial(index, chain, position.name, name_octets)
        if prepared is None:
            return None
        if len(remembered) >= MAX_REMEMBERED:
            remembered.clear()
        remembered[key] = prepared
    cover = chain.find_cover(position.next_closer)
    return complete_denial(prepared, index, cover, name_octets, limit)


def _refer(
    zones: ZoneSet, index: ZoneIndex, position: Position, name: Name, *, wants_dnssec: bool, limit: int
) -> Answer:
    """Give the referral for all names that end in a cut and are as long as this one."""
    response = _Response(zones, rt.NS, wants_dnssec=wants_dnssec)
    response.refer(index, position)
    cut = position.name
    return response.render(index, cut, limit=limit, octets_before=len(name) - len(cut))


class _Response:
    """The sections of a response in the making."""

    def __init__(self, zones: ZoneSet, rdatatype: int, *, wants_dnssec: bool) -> None:
        self._zones = zones
        self._type = rdatatype
        self._wants_dnssec = wants_dnssec
        self._rcode = rc.NOERROR
        self._flags = AA
        self._answer: list[RRset] = []
        self._authority: list[RRset] = []
        self._proofs: list[Proof] = []  # for DNSSEC only; go behind the authority section
        self._required_glue: list[RRset] = []
        self._optional_glue: list[RRset] = []

    def resolve(self, index: ZoneIndex, name: Name, position: Position) -> None:
        """Fill the sections, following aliases through all zones served here."""
        seen: set[Name] = set()
        target: Name | None = name
        while target is not None and target not in seen and len(seen) <= MAX_ALIASES:
            if seen:  # not for the name asked for: its zone was chosen with regard to the type
                apex = self._zones.find_apex(target)
                found = None if apex is None else self._zones.zones[apex]
                if found is None:
                    return
                index = found
                position = index.search(target)
            seen.add(target)
            target = self._resolve_one(index, target, position)

    def _resolve_one(self, index: ZoneIndex, name: Name, position: Position) -> Name | None:
        """Take one turn of the algorithm; give the next name if this one is an alias."""
        kind = position.kind
        if kind is NODE:
            return self._answer_node(index, name, position.types)
        if kind is CUT:
            if self._type == rt.DS and position.name == name:
                return self._answer_node(index, name, position.types, is_cut=True)
            self.refer(index, position)
            return None
        if kind is DNAME:
            return self._redirect(name, position)
        proof = Proof(index, is_wanted=self._wants_dnssec)
        self._proofs.append(proof)
        if kind is WILDCARD:
            return self._answer_wildcard(index, name, position, proof)
        self._rcode = rc.NXDOMAIN
        self._authority.append(index.negative_soa)
        proof.prove_no_name(name, position.name, position.next_closer)
        return None

    def _answer_node(
        self, index: ZoneIndex, name: Name, types: Mapping[int, RRset], *, is_cut: bool = False
    ) -> Name | None:
        found = self._select(types)
        if found:
            self._answer += found
            return None
        alias = None if is_cut else types.get(rt.CNAME)
        if alias is not None and self._type != rt.CNAME:
            self._answer.append(alias)
            return Name(alias.rdatas[0].lower())
        proof = Proof(index, is_wanted=self._wants_dnssec)
        proof.prove_no_data(name)
        self._proofs.append(proof)
        self._authority.append(index.negative_soa)
        return None

    def _answer_wildcard(self, index: ZoneIndex, name: Name, position: Position, proof: Proof) -> Name | None:
        """RFC 4592, section 3.3: the wildcard's RRsets, with the name asked for as owner."""
        types = position.types
        found = self._select(types)
        if found:
            proof.prove_wildcard_answer(name, position.next_closer)
            self._answer += [rrset._replace(owner=name) for rrset in found]
            return None
        alias = types.get(rt.CNAME)
        if alias is not None and self._type != rt.CNAME:
            proof.prove_wildcard_answer(name, position.next_closer)
            self._answer.append(alias._replace(owner=name))
            return Name(alias.rdatas[0].lower())
        proof.prove_wildcard_no_data(name, position.name, position.next_closer)
        self._authority.append(index.negative_soa)
        return None

    def _select(self, types: Mapping[int, RRset]) -> list[RRset]:
        """Pick what answers QTYPE at a name."""
        rdatatype = self._type
        if rdatatype == rt.ANY:
            for preferred in _ANY_PREFERENCE:
                if preferred in types:
                    return [types[preferred]]
            others = sorted(types, key=lambda number: (number in _SIGNER_TYPES, number))
            return [types[others[0]]] if others else []
        if rdatatype == rt.RRSIG:
            return [
                RRset(rrset.owner, rt.RRSIG, rrset.ttl, rrset.signatures)
                for rrset in types.values()
                if rrset.signatures
            ]
        rrset = types.get(rdatatype)
        return [] if rrset is None else [rrset]

    def _redirect(self, name: Name, position: Position) -> Name | None:
        """RFC 6672, section 3.2: answer with the DNAME and a CNAME made from it."""
        dname = position.types[rt.DNAME]
        if not any(dname is rrset for rrset in self._answer):  # aliases can lead here twice
            self._answer.append(dname)
        prefix = name[: len(name) - len(position.name)]
        target = prefix + dname.rdatas[0]
        if len(target) > MAX_NAME_OCTETS:
            self._rcode = rc.YXDOMAIN
            return None
        self._answer.append(RRset(name, rt.CNAME, dname.ttl, (target,)))
        return None if self._type in (rt.CNAME, rt.ANY) else Name(target.lower())

    def refer(self, index: ZoneIndex, position: Position) -> None:
        """RFC 1034, section 4.3.2, step 3b."""
        if not self._answer:
            self._flags = 0
        cut, types = position.name, position.types
        servers = types[rt.NS]
        self._authority.append(servers)
        proof = Proof(index, is_wanted=self._wants_dnssec)
        if rt.DS in types:
            proof.rrsets.append(types[rt.DS])
        else:
            proof.prove_no_data(cut)
        self._proofs.append(proof)
        for rdata in servers.rdatas:
            server = Name(rdata.lower())
            if not is_subdomain(server, index.apex):
                continue
            addresses = self._find_addresses(index, server)
            # RFC 9471, sections 3.1 and 3.2: in-domain glue must be sent, sibling glue should fit
            (self._required_glue if is_subdomain(server, cut) else self._optional_glue).extend(addresses)

    @staticmethod
    def _find_addresses(index: ZoneIndex, server: Name) -> list[RRset]:
        position = index.search(server)
        if position.kind is CUT:
            types = index.find_types(server)
        elif position.kind is NODE:
            types = position.types
        else:
            return []
        return [types[number] for number in (rt.A, rt.AAAA) if number in types]

    def render(self, index: ZoneIndex, name: Name, *, limit: int, octets_before: int = 0) -> Answer:
        """Write the sections, as many as fit.

        Args:
            index: The zone of the question.
            name: Of the question, or an end of it.
            limit: Octets of the message.
            octets_before: What the question's name has before that end.
        """
        wants_dnssec = self._wants_dnssec
        authority = self._authority
        if wants_dnssec and self._proofs:
            # Proofs along a chain of aliases can share an RRset; a section has it once (RFC 2181, section 5).
            proofs = {id(rrset): rrset for proof in self._proofs for rrset in proof.rrsets}
            authority = authority + list(proofs.values())
        if not self._required_glue and not self._optional_glue and not octets_before:
            written = write_zone_records(
                index, name, self._answer, authority, with_signatures=wants_dnssec, limit=limit
            )
            if written is not None:
                return Answer(self._rcode, self._flags, written[0], 0, written[1])
        writer = SectionWriter(name, limit, octets_before=octets_before)
        put = writer.put
        counts = [0, 0]
        for section, rrsets in enumerate((self._answer, authority)):
            for rrset in rrsets:
                count = put(rrset, with_signatures=wants_dnssec)
                if not count:
                    # Nothing of a truncated answer is of use to a client (RFC 2181, section 9).
                    return Answer(self._rcode, self._flags | TC)
                counts[section] += count
        flags = self._flags
        additional = 0
        for rrset in self._required_glue:
            count = put(rrset, with_signatures=False)
            if not count:
                flags |= TC  # RFC 9471, section 3.1; what fits stays
            additional += count
        for rrset in self._optional_glue:
            # RFC 4035, section 3.1.1: here an RRset goes with its signatures or not at all
            additional += put(rrset, with_signatures=wants_dnssec)
        packed = counts[0].to_bytes(2) + counts[1].to_bytes(2)
        return Answer(self._rcode, flags, packed, additional, writer.finish())
