"""Semantic checks of an unsigned zone: what is well-formed in its file and still wrong or doubtful."""

from collections.abc import Callable
from enum import Enum

from signerd.dns import rdatatype as rt
from signerd.dns.name import (
    WILDCARD_LABEL,
    Name,
    find_parent,
    fold_case,
    format_name,
    is_subdomain,
    is_wildcard,
    iterate_ancestors,
)
from signerd.dns.rdata import find_names
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.notice import Notice, NoticeList, Severity
from signerd.zones.record_collection import Place

MAX_MESSAGE_OCTETS = 65_535
_MESSAGE_OVERHEAD = (
    12 + 255 + 4 + 11
)  # header, question, OPT (RFC 1035, section 4.1; RFC 6891, section 6.1.2)
_RECORD_OVERHEAD = 2 + 10  # a compressed owner, then type, class, TTL and length
_SIGNATURE_ROOM = 800  # one RRSIG of RSA-4096 with a long signer name

_AT_A_CUT = frozenset({rt.NS, rt.DS})
_WITH_CNAME = frozenset({rt.CNAME})

FindPlace = Callable[[Name, int], Place | None]


class Standing(Enum):
    """What a name is to its zone (RFC 9499, section 7)."""

    AUTHORITATIVE = "authoritative"
    CUT = "zone cut"
    BELOW_CUT = "below a zone cut"
    BELOW_DNAME = "below a DNAME"


def check_zone(zone: Zone, find_place: FindPlace | None = None) -> tuple[Notice, ...]:
    """Look for what a zone must not hold (errors) and what is likely a mistake (warnings).

    Args:
        zone: Unsigned; it has exactly one SOA.
        find_place: Gives the place of an RRset in the zone file, as `Positions.find` does.
    """
    return _Check(zone, find_place or (lambda owner, rdatatype: None)).run()


def find_soa_expire(zone: Zone) -> int:
    """Give the SOA's EXPIRE in seconds: how long a secondary serves without hearing from its primary."""
    return int.from_bytes(zone.soa.rdatas[0][-8:-4])


class _Check:
    def __init__(self, zone: Zone, find_place: FindPlace) -> None:
        self._zone = zone
        self._names = zone.names
        self._find_place = find_place
        self._notices = NoticeList()
        # Only these names can occlude others; most zones have few.
        self._cuts = {owner for owner, types in zone.names.items() if rt.NS in types and owner != zone.origin}
        self._dnames = {owner for owner, types in zone.names.items() if rt.DNAME in types}
        self._barriers = self._cuts | self._dnames

    def run(self) -> tuple[Notice, ...]:
        self._check_apex()
        for owner, types in self._names.items():
            standing = self._find_standing(owner)
            if standing in (Standing.BELOW_CUT, Standing.BELOW_DNAME):
                self._check_occluded(owner, standing)
                continue
            if rt.CNAME in types:
                self._check_cname(owner)
            if rt.DNAME in types:
                self._check_dname(owner)
            if owner in self._cuts:
                self._check_cut(owner)
            elif rt.DS in types and owner != self._zone.origin:
                self._report(Severity.ERROR, owner, rt.DS, "DS without NS: it can stand at a zone cut only")
            for rdatatype in (rt.NS, rt.MX, rt.SRV):
                if rdatatype in types:
                    self._check_targets(types[rdatatype])
            for rrset in types.values():
                self._check_size(rrset)
        return self._notices.finish()

    def _report(self, severity: Severity, owner: Name, rdatatype: int, reason: str) -> None:
        place = self._find_place(owner, rdatatype)
        text = f"{format_name(owner)} {rt.format_type(rdatatype)}: {reason}"
        self._notices.add(severity, place and place.file, place and place.line, text)

    def _find_standing(self, name: Name) -> Standing:
        """Say what a name at or below the apex is; the topmost cut or DNAME above it decides."""
        standing = Standing.CUT if name in self._cuts else Standing.AUTHORITATIVE
        if barriers := self._barriers:
            apex_octets = len(self._zone.origin)
            ancestor = name
            while len(ancestor) > apex_octets:
                ancestor = find_parent(ancestor)
                if ancestor in barriers:
                    standing = Standing.BELOW_CUT if ancestor in self._cuts else Standing.BELOW_DNAME
        return standing

    def _check_apex(self) -> None:
        apex = self._zone.origin
        types = self._names[apex]
        if rt.NS not in types:
            self._report(Severity.ERROR, apex, rt.SOA, "the apex has no NS records (RFC 1034, section 4.2.1)")
        if rt.DS in types:
            self._report(
                Severity.ERROR, apex, rt.DS, "DS at the apex: it belongs to the parent zone (RFC 4035, 2.4)"
            )
        rdata = self._zone.soa.rdatas[0]
        times = [int.from_bytes(rdata[at : at + 4]) for at in range(len(rdata) - 16, len(rdata), 4)]
        refresh, retry, expire, minimum = times
        if expire <= refresh + retry:
            reason = f"EXPIRE {expire} is not larger than REFRESH {refresh} + RETRY {retry}"
            self._report(Severity.WARNING, apex, rt.SOA, reason)
        if retry > refresh:
            self._report(Severity.WARNING, apex, rt.SOA, f"RETRY {retry} is larger than REFRESH {refresh}")
        if refresh == 0 or retry == 0:
            self._report(
                Severity.WARNING, apex, rt.SOA, "REFRESH or RETRY is 0: secondaries would ask all the time"
            )
        if minimum > 86_400:
            reason = f"MINIMUM {minimum}: absence would be cached for more than a day (RFC 2308, section 5)"
            self._report(Severity.WARNING, apex, rt.SOA, reason)

    def _check_occluded(self, owner: Name, standing: Standing) -> None:
        types = self._names[owner]
        extra = [
            rdatatype
            for rdatatype in sorted(types)
            if standing is Standing.BELOW_DNAME or rdatatype not in (rt.A, rt.AAAA)
        ]
        if extra:
            listed = " ".join(map(rt.format_type, extra))
            self._report(
                Severity.WARNING, owner, extra[0], f"{standing.value}, so {listed} is occluded: not served"
            )

    def _check_cname(self, owner: Name) -> None:
        types = self._names[owner]
        if len(types[rt.CNAME].rdatas) > 1:
            reason = f"{len(types[rt.CNAME].rdatas)} CNAME records; one is allowed (RFC 2181, section 10.1)"
            self._report(Severity.ERROR, owner, rt.CNAME, reason)
        if others := types.keys() - _WITH_CNAME:
            listed = " ".join(map(rt.format_type, sorted(others)))
            reason = f"CNAME and other data, {listed} (RFC 1034, section 3.6.2)"
            self._report(Severity.ERROR, owner, rt.CNAME, reason)
        if fold_case(types[rt.CNAME].rdatas[0]) == owner:
            self._report(Severity.WARNING, owner, rt.CNAME, "the alias points to itself")

    def _check_dname(self, owner: Name) -> None:
        types = self._names[owner]
        if len(types[rt.DNAME].rdatas) > 1:
            reason = f"{len(types[rt.DNAME].rdatas)} DNAME records; one is allowed (RFC 6672, section 2.4)"
            self._report(Severity.ERROR, owner, rt.DNAME, reason)
        if rt.NS in types and owner != self._zone.origin:
            reason = "DNAME and NS below the apex (RFC 6672, section 2.3)"
            self._report(Severity.ERROR, owner, rt.DNAME, reason)
        if is_wildcard(owner):
            reason = "DNAME at a wildcard has no defined meaning (RFC 6672, section 3.3)"
            self._report(Severity.WARNING, owner, rt.DNAME, reason)

    def _check_cut(self, owner: Name) -> None:
        types = self._names[owner]
        if is_wildcard(owner):
            reason = "NS at a wildcard has no defined meaning (RFC 4592, section 4.2)"
            self._report(Severity.WARNING, owner, rt.NS, reason)
        if extra := sorted(types.keys() - _AT_A_CUT - {rt.A, rt.AAAA, rt.CNAME, rt.DNAME}):
            listed = " ".join(map(rt.format_type, extra))
            self._report(
                Severity.WARNING, owner, extra[0], f"at a zone cut, so {listed} is occluded: not served"
            )

    def _check_targets(self, rrset: RRset) -> None:
        for rdata in rrset.rdatas:
            for start, end in find_names(rrset.type, rdata):
                target = fold_case(rdata[start:end])
                if len(target) > 1 and is_subdomain(target, self._zone.origin):
                    self._check_target(rrset, target)

    def _check_target(self, rrset: RRset, target: Name) -> None:
        types = self._names.get(target, {})
        has_address = rt.A in types or rt.AAAA in types
        match self._find_standing(target):
            case Standing.BELOW_CUT | Standing.CUT:
                # Glue is needed when the name server is below a cut (RFC 9471, section 2).
                if rrset.type == rt.NS and not has_address:
                    self._report(
                        Severity.WARNING,
                        rrset.owner,
                        rrset.type,
                        f"no glue: {format_name(target)} has no address here",
                    )
                return
            case Standing.BELOW_DNAME:
                self._report(
                    Severity.WARNING, rrset.owner, rrset.type, f"{format_name(target)} is below a DNAME"
                )
                return
            case Standing.AUTHORITATIVE:
                pass
        if not types:
            types = self._find_wildcard(target)
            has_address = rt.A in types or rt.AAAA in types
        if rt.CNAME in types:
            reason = f"{format_name(target)} is an alias (RFC 2181, section 10.3)"
            self._report(Severity.WARNING, rrset.owner, rrset.type, reason)
        elif not has_address:
            self._report(Severity.WARNING, rrset.owner, rrset.type, f"{format_name(target)} has no address")

    def _find_wildcard(self, name: Name) -> dict[int, RRset]:
        """Give what a wildcard makes of a name without data; empty non-terminals are not looked for."""
        for ancestor in iterate_ancestors(name, self._zone.origin):
            wildcard = Name(bytes([len(WILDCARD_LABEL)]) + WILDCARD_LABEL + ancestor)
            if wildcard in self._names:
                return dict(self._names[wildcard])
            if ancestor in self._names:
                break
        return {}

    def _check_size(self, rrset: RRset) -> None:
        room = MAX_MESSAGE_OCTETS - _MESSAGE_OVERHEAD - _SIGNATURE_ROOM
        size = _RECORD_OVERHEAD * len(rrset.rdatas) + sum(map(len, rrset.rdatas))
        if size > room:
            reason = (
                f"{len(rrset.rdatas)} records of {size} octets cannot be sent in one message with a signature"
            )
            self._report(Severity.ERROR, rrset.owner, rrset.type, reason)
