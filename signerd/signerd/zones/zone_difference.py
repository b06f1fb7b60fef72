"""What one version of a zone has that another has not, record by record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from signerd.dns.name import Name, format_name, make_sort_key
from signerd.dns.rdatatype import NSEC3, SOA, format_type
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone, find_changed_names, find_changed_nsec3
from signerd.zones.record_stream import BadPublishedData

_Value = TypeVar("_Value")
_Records = tuple[bytes, ...]


class JournalMismatch(BadPublishedData):
    """A difference was made for another version of the zone than the one at hand."""

    code = "zones.journal_mismatch"


@dataclass(frozen=True, slots=True)
class ZoneDifference:
    """The records to take away from one version, and then to add, to get the next, as in IXFR (RFC 1995).

    Each RRset here holds only the records that change: some of the RDATA of its owner and type, some of the
    signatures, or signatures alone; so a new signature costs two records, whatever the size of its RRset. A
    changed TTL, or a changed order of signatures, changes all records of the RRset. The SOA is among them.
    Owners are in canonical order. NSEC3 RRsets belong to `Zone.nsec3`.
    """

    old_serial: Serial
    new_serial: Serial
    removed: tuple[RRset, ...]
    added: tuple[RRset, ...]

    @property
    def owners(self) -> frozenset[Name]:
        """The owner names at which something changes, NSEC3 owners included."""
        return frozenset(rrset.owner for rrsets in (self.removed, self.added) for rrset in rrsets)


def compare_zones(old: Zone, new: Zone) -> ZoneDifference:
    """Find the difference of two versions of one zone; quick where they share mappings and RRsets."""
    removed: list[RRset] = []
    added: list[RRset] = []
    changed: dict[Name, list[tuple[RRset | None, RRset | None]]] = {}
    for owner in find_changed_names(old, new):
        before, after = old.names.get(owner, {}), new.names.get(owner, {})
        types = sorted(before.keys() | after.keys())
        changed[owner] = [(before.get(rdatatype), after.get(rdatatype)) for rdatatype in types]
    for owner in find_changed_nsec3(old, new):
        changed.setdefault(owner, []).append((old.nsec3.get(owner), new.nsec3.get(owner)))
    for owner in sorted(changed, key=make_sort_key):
        for rrset_before, rrset_after in changed[owner]:
            if rrset_before is not rrset_after:
                _compare_rrsets(rrset_before, rrset_after, removed, added)
    return ZoneDifference(old.serial, new.serial, tuple(removed), tuple(added))


def _compare_rrsets(
    before: RRset | None, after: RRset | None, removed: list[RRset], added: list[RRset]
) -> None:
    if before is None or after is None or before.ttl != after.ttl:
        if before is not None:
            removed.append(before)
        if after is not None:
            added.append(after)
        return
    gone_rdatas, new_rdatas = _compare_records(before.rdatas, after.rdatas)
    gone_signatures, new_signatures = _compare_records(
        before.signatures,
        after.signatures,
        is_ordered=True,  # RDATA is sorted when it is put together again; signatures may have any order
    )
    if gone_rdatas or gone_signatures:
        removed.append(before._replace(rdatas=gone_rdatas, signatures=gone_signatures))
    if new_rdatas or new_signatures:
        added.append(after._replace(rdatas=new_rdatas, signatures=new_signatures))


Records = tuple[bytes, ...]


def _compare_records(
    before: _Records, after: _Records, *, is_ordered: bool = False
) -> tuple[_Records, _Records]:
    if before == after:
        return (), ()
    gone, new = set(before).difference(after), set(after).difference(before)
    removed = tuple(record for record in before if record in gone)
    added = tuple(record for record in after if record in new)
    if is_ordered and tuple(record for record in before if record not in gone) + added != after:
        return before, after
    return removed, added


def apply_differences(zone: Zone, differences: Iterable[ZoneDifference]) -> Zone:
    """Make the version that follows, sharing with this one what does not change.

    Args:
        zone: The version that the first difference starts from.
        differences: Each starts where the one before ends.

    Raises:
        JournalMismatch: A serial is not the one expected, a removed record is not there, or an added one is.
    """
    draft = _Draft(zone)
    for difference in differences:
        draft.apply(difference)
    return draft.finish()


class _Draft:
    """A version in the making; only what it has copied itself is changed."""

    def __init__(self, zone: Zone) -> None:
        self._origin = zone.origin
        self._serial = zone.serial
        self._names: dict[Name, Mapping[int, RRset]] = dict(zone.names)
        self._nsec3: Mapping[Name, RRset] = zone.nsec3
        self._own_types: dict[Name, dict[int, RRset]] = {}
        self._own_nsec3: dict[Name, RRset] | None = None

    def apply(self, difference: ZoneDifference) -> None:
        if difference.old_serial != self._serial:
            raise JournalMismatch(f"starts from serial {difference.old_serial}, not {self._serial}")
        pending: dict[tuple[Name, int], RRset] = {}
        for part in difference.removed:
            key = part.owner, part.type
            pending[key] = _remove(pending.get(key) or self._find(*key), part)
        for part in difference.added:
            key = part.owner, part.type
            pending[key] = _add(pending.get(key) or self._find(*key), part)
        for rrset in pending.values():
            self._store(rrset)
        soa = self._find(self._origin, SOA)
        if soa is None or int.from_bytes(soa.rdatas[0][-20:-16]) != difference.new_serial:
            raise JournalMismatch(f"does not lead to serial {difference.new_serial}")
        self._serial = difference.new_serial

    def finish(self) -> Zone:
        return Zone(self._origin, self._names, self._nsec3)

    def _find(self, owner: Name, rdatatype: int) -> RRset | None:
        if rdatatype == NSEC3:
            return self._nsec3.get(owner)
        types = self._names.get(owner)
        return None if types is None else types.get(rdatatype)

    def _store(self, rrset: RRset) -> None:
        owner = rrset.owner
        if not rrset.rdatas and rrset.signatures:
            raise JournalMismatch(f"leaves signatures without {_describe(rrset)}")
        if rrset.type == NSEC3:
            if self._own_nsec3 is None:
                self._nsec3 = self._own_nsec3 = dict(self._nsec3)
            if rrset.rdatas:
                self._own_nsec3[owner] = rrset
            else:
                self._own_nsec3.pop(owner, None)
            return
        types = self._own_types.get(owner)
        if types is None:
            types = self._own_types[owner] = dict(self._names.get(owner, {}))
        if rrset.rdatas:
            types[rrset.type] = rrset
        else:
            types.pop(rrset.type, None)
        if types:
            self._names[owner] = types
        else:
            self._names.pop(owner, None)


def _remove(rrset: RRset | None, part: RRset) -> RRset:
    if rrset is None or rrset.ttl != part.ttl:
        raise JournalMismatch(f"removes {_describe(part)}, which is not there")
    rdatas, signatures = set(part.rdatas), set(part.signatures)
    if not rdatas.issubset(rrset.rdatas) or not signatures.issubset(rrset.signatures):
        raise JournalMismatch(f"removes records of {_describe(part)} that are not there")
    return rrset._replace(
        rdatas=tuple(rdata for rdata in rrset.rdatas if rdata not in rdatas),
        signatures=tuple(signature for signature in rrset.signatures if signature not in signatures),
    )


def _add(rrset: RRset | None, part: RRset) -> RRset:
    if rrset is None or not (rrset.rdatas or rrset.signatures):
        return part
    if rrset.ttl != part.ttl:
        raise JournalMismatch(f"adds to {_describe(part)} with another TTL")
    if not set(part.rdatas).isdisjoint(rrset.rdatas) or not set(part.signatures).isdisjoint(rrset.signatures):
        raise JournalMismatch(f"adds records to {_describe(part)} that are there")
    return rrset._replace(
        rdatas=tuple(sorted(rrset.rdatas + part.rdatas)), signatures=rrset.signatures + part.signatures
    )


def _describe(rrset: RRset) -> str:
    return f"{format_name(rrset.owner)} {format_type(rrset.type)}"
