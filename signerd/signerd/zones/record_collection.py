"""Records of a zone file gathered into a zone, with the places they came from."""

from dataclasses import dataclass, field
from typing import NamedTuple

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, fold_case, format_name, is_subdomain
from signerd.dns.rdata import NAME_LAYOUTS, find_names
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.notice import NoticeList, Severity

SIGNER_TYPES = frozenset({rt.RRSIG, rt.NSEC, rt.NSEC3, rt.NSEC3PARAM, rt.DNSKEY, rt.CDS, rt.CDNSKEY})
"""What a previous signer left in a zone file; the keys and signatures here are others."""


class Place(NamedTuple):
    """Where a record stands: file and line, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _Draft:
    """An RRset that is still being read."""

    __slots__ = ("place", "rdatas", "ttl")

    def __init__(self, ttl: int, place: Place, rdata: bytes) -> None:
        self.ttl = ttl
        self.place = place
        self.rdatas: tuple[bytes, ...] | dict[bytes, None] = (rdata,)  # from the second on a dict

    def add(self, rdata: bytes) -> bool:
        """Take another record; say if it is a new one."""
        if isinstance(self.rdatas, tuple):  # most RRsets have one record, and a dictionary is large
            self.rdatas = dict.fromkeys(self.rdatas)
        known = len(self.rdatas)
        self.rdatas[rdata] = None
        return len(self.rdatas) > known


class Positions:
    """Finds where an RRset begins in the zone file."""

    def __init__(self, drafts: dict[Name, dict[int, _Draft]]) -> None:
        self._drafts = drafts

    def find(self, owner: Name, rdatatype: int) -> Place | None:
        """Give the place of an RRset's first record, or None for one that was not in the file."""
        draft = self._drafts.get(owner, {}).get(rdatatype)
        return None if draft is None else draft.place


@dataclass(slots=True)
class _Dropped:
    """Records of one kind that are left out, for one notice about all of them."""

    first: Place
    count: int = 0


@dataclass(slots=True)
class RecordCollection:
    """Gathers records; says what it left out or changed."""

    origin: Name
    notices: NoticeList
    drafts: dict[Name, dict[int, _Draft]] = field(default_factory=dict[Name, dict[int, _Draft]])
    count: int = 0
    _dropped: dict[int, _Dropped] = field(default_factory=dict[int, _Dropped])
    _unequal: dict[tuple[Name, int], list[Place]] = field(default_factory=dict[tuple[Name, int], list[Place]])

    def add(self, owner: Name, rdatatype: int, ttl: int, rdata: bytes, place: Place) -> None:
        """Take one record; the owner is lower-cased."""
        self.count += 1
        if rdatatype in SIGNER_TYPES or (rdatatype == rt.ZONEMD and owner == self.origin):
            self._dropped.setdefault(rdatatype, _Dropped(place)).count += 1
            return
        types = self.drafts.get(owner)
        if types is None:
            if not is_subdomain(owner, self.origin):
                self._report_out_of_zone(owner, place)
                return
            types = self.drafts[owner] = {}
        draft = types.get(rdatatype)
        if draft is None:
            types[rdatatype] = _Draft(ttl, place, rdata)
            return
        if ttl != draft.ttl:
            self._unequal.setdefault((owner, rdatatype), [draft.place]).append(place)
            draft.ttl = min(ttl, draft.ttl)
        if not draft.add(rdata):
            self._report_duplicate(owner, rdatatype, place)

    def _report_out_of_zone(self, owner: Name, place: Place) -> None:
        # Not an error: generated files often carry addresses of name servers elsewhere; they are never served
        # (RFC 1034, section 4.2.1 wants glue only below the cuts of this zone). named does the same.
        reason = f"{format_name(owner)} is not in the zone {format_name(self.origin)}: left out"
        self.notices.add(Severity.WARNING, place.file, place.line, reason)

    def _report_duplicate(self, owner: Name, rdatatype: int, place: Place) -> None:
        reason = f"{format_name(owner)} {rt.format_type(rdatatype)}: duplicate record left out"
        self.notices.add(Severity.WARNING, place.file, place.line, reason)

    def make_zone(self, file: str) -> Zone | None:
        """Give the zone, or None with errors among the notices if it has not exactly one SOA at the apex."""
        for rdatatype, dropped in sorted(self._dropped.items()):
            reason = (
                f"{dropped.count} {rt.format_type(rdatatype)} records of a previous signer left out"
                if rdatatype != rt.ZONEMD
                else f"{dropped.count} ZONEMD records at the apex left out: the signed zone is another"
            )
            self.notices.add(Severity.NOTICE, dropped.first.file, dropped.first.line, reason)
        for (owner, rdatatype), places in self._unequal.items():
            shown = ", ".join(str(place) for place in places[:10]) + (" ..." if len(places) > 10 else "")
            reason = (
                f"{format_name(owner)} {rt.format_type(rdatatype)}: unequal TTLs in one RRset; "
                f"the lowest, {self.drafts[owner][rdatatype].ttl}, is used; see {shown}"
            )
            self.notices.add(Severity.WARNING, places[0].file, places[0].line, reason)
        make = self._make_rrset
        names = {
            owner: {
                rdatatype: RRset(owner, rdatatype, draft.ttl, draft.rdatas)
                if isinstance(draft.rdatas, tuple)
                else make(owner, rdatatype, draft, draft.rdatas)
                for rdatatype, draft in types.items()
            }
            for owner, types in self.drafts.items()
        }
        self._check_soa(names, file)
        return None if self.notices.has_errors else Zone(self.origin, names)

    def _make_rrset(self, owner: Name, rdatatype: int, draft: _Draft, rdatas: dict[bytes, None]) -> RRset:
        if rdatatype in NAME_LAYOUTS:
            folded: dict[bytes, bytes] = {}
            for (
                rdata
            ) in rdatas:  # records that differ in the case of names only are one (RFC 4034, section 6.3)
                if folded.setdefault(fold_names(rdatatype, rdata), rdata) != rdata:
                    self._report_duplicate(owner, rdatatype, draft.place)
            rdatas = dict.fromkeys(folded.values())
        return RRset(owner, rdatatype, draft.ttl, tuple(sorted(rdatas)))

    def _check_soa(self, names: dict[Name, dict[int, RRset]], file: str) -> None:
        origin = format_name(self.origin)
        soa = names.get(self.origin, {}).get(rt.SOA)
        if soa is None:
            self.notices.add(Severity.ERROR, file, None, f"no SOA record at the apex, {origin}")
        for owner, types in self.drafts.items():
            draft = types.get(rt.SOA)
            if draft is None:
                continue
            if owner != self.origin:
                reason = f"{format_name(owner)} SOA: not at the apex, {origin}"
                self.notices.add(Severity.ERROR, draft.place.file, draft.place.line, reason)
            elif soa is not None and len(soa.rdatas) > 1:
                reason = f"{origin} has {len(soa.rdatas)} SOA records; exactly one is allowed"
                self.notices.add(Severity.ERROR, draft.place.file, draft.place.line, reason)


def fold_names(rdatatype: int, rdata: bytes) -> bytes:
    """Lower the case of the domain names inside RDATA, as canonical form wants (RFC 4034, section 6.2)."""
    if rdata.islower():
        return rdata
    for start, end in find_names(rdatatype, rdata):
        rdata = rdata[:start] + fold_case(rdata[start:end]) + rdata[end:]
    return rdata
