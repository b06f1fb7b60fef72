"""Zones from text and questions to them, for tests of answering."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import dns.flags
import dns.message
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

from signerd.dns import rdatatype as rt
from signerd.dns.answer import answer_question
from signerd.dns.message import assemble_response
from signerd.dns.name import Name, find_parent, fold_case, parse_name
from signerd.dns.query import parse_query
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet

SIGNATURE_REST = bytes.fromhex("0700000e106553f1006553f100002a")  # algorithm to key tag, less the type


def to_name(text: str) -> Name:
    """Read a name, lower-cased, with or without trailing dot."""
    return fold_case(parse_name(text if text.endswith(".") else text + "."))


def list_rdatas(rdataset: dns.rdataset.Rdataset) -> list[bytes]:
    """Give the RDATA of all records, in wire form."""
    rdatas = cast("Iterable[dns.rdata.Rdata]", rdataset)  # dnspython leaves the type of the items open
    return [rdata.to_wire() or b"" for rdata in rdatas]


def read_zone(text: str, origin: str, *, signed: bool = False) -> Zone:
    """Read a master file with dnspython.

    Args:
        text: The file; may hold NSEC and NSEC3 records.
        origin: Apex, with trailing dot.
        signed: Give each authoritative RRset a signature; it is well-formed and does not verify.
    """
    parsed = dns.zone.from_text(text, origin=origin, relativize=False, check_origin=False)
    apex = to_name(origin)
    names: dict[Name, dict[int, RRset]] = {}
    nsec3: dict[Name, RRset] = {}
    for owner, rdataset in parsed.iterate_rdatasets():
        rrset = RRset(
            fold_case(owner.to_wire() or b""),
            int(rdataset.rdtype),
            rdataset.ttl,
            tuple(sorted(list_rdatas(rdataset))),
        )
        if rrset.type == rt.NSEC3:
            nsec3[rrset.owner] = rrset
        else:
            names.setdefault(rrset.owner, {})[rrset.type] = rrset
    if signed:
        for name, types in names.items():
            for rrset in list(types.values()):
                if _is_signed(name, rrset.type, names, apex):
                    types[rrset.type] = _sign(rrset, apex)
        nsec3 = {name: _sign(rrset, apex) for name, rrset in nsec3.items()}
    return Zone(apex, names, nsec3)


def _is_signed(owner: Name, rdatatype: int, names: dict[Name, dict[int, RRset]], apex: Name) -> bool:
    if owner != apex and rt.NS in names[owner]:
        return rdatatype in (rt.DS, rt.NSEC)
    name = owner
    while name != apex:
        name = find_parent(name)
        if name != apex and rt.NS in names.get(name, {}):
            return False
    return True


def _sign(rrset: RRset, apex: Name) -> RRset:
    labels = rrset.owner.count(b".")  # the tests do not look at it
    start = rrset.type.to_bytes(2) + SIGNATURE_REST[:1] + bytes((labels,)) + rrset.ttl.to_bytes(4)
    rdata = start + bytes(8) + b"\x9d\xf6" + apex + b"not a signature "
    return rrset._replace(signatures=(rdata,))


def make_zone_set(*zones: Zone) -> ZoneSet:
    """Serve zones."""
    return ZoneSet({zone.origin: ZoneIndex.build(zone) for zone in zones})


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as dnspython reads it."""

    message: dns.message.Message
    octets: int

    @property
    def rcode(self) -> int:
        return int(self.message.rcode())

    @property
    def is_authoritative(self) -> bool:
        return bool(self.message.flags & dns.flags.AA)

    @property
    def is_truncated(self) -> bool:
        return bool(self.message.flags & dns.flags.TC)

    @property
    def answer(self) -> list[str]:
        return summarise(self.message.answer)

    @property
    def authority(self) -> list[str]:
        return summarise(self.message.authority)

    @property
    def additional(self) -> list[str]:
        return summarise(self.message.additional)


def summarise(section: list[dns.rrset.RRset]) -> list[str]:
    """Give "owner TYPE" for each RRset, in their order; a covered type in parentheses."""
    lines: list[str] = []
    for rrset in section:
        covers = f"({dns.rdatatype.to_text(rrset.covers)})" if rrset.rdtype == dns.rdatatype.RRSIG else ""
        lines.append(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}{covers}")
    return lines


def make_packet(name: str, rdatatype: str, *, dnssec: bool = False, payload: int | None = None) -> bytes:
    """Make a query packet; EDNS if DO or a payload size is asked for."""
    use_edns = dnssec or payload is not None
    query = dns.message.make_query(
        name, rdatatype, want_dnssec=dnssec, use_edns=0 if use_edns else False, payload=payload or 1232
    )
    query.flags = dns.flags.Flag(0)
    return query.to_wire()


def ask(zones: ZoneSet, name: str, rdatatype: str, *, dnssec: bool = False, limit: int = 65535) -> Reply:
    """Ask the core, without a responder around it."""
    wire = respond(zones, make_packet(name, rdatatype, dnssec=dnssec), limit=limit)
    return Reply(dns.message.from_wire(wire), len(wire))


def respond(zones: ZoneSet, packet: bytes, *, limit: int = 65535) -> bytes:
    """Answer a packet, without a responder around it."""
    query = parse_query(packet)
    assert query is not None
    wants_dnssec = query.edns is not None and query.edns.wants_dnssec
    answer = answer_question(zones, query.name, query.type, wants_dnssec=wants_dnssec, limit=limit)
    return packet[:2] + assemble_response(query, answer, udp_octets=1232)
