"""Zones as master files: exported, and imported into the stored records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, is_subdomain, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.errors import CnameConflict, ImportRefused, InvalidDnsValue, MassDeletion
from signerd.dns_zones.record import DEFAULT_TTL, Record, RecordData, RecordKey, make_data
from signerd.dns_zones.record_name import relate
from signerd.dns_zones.record_rows import list_record_keys, list_records_of
from signerd.dns_zones.record_value import TYPE_NAMES, format_value
from signerd.dns_zones.zone_editor import ZoneEditor
from signerd.platform.change import Change
from signerd.platform.rights import DNS_ZONE
from signerd.zones.data_change import explain_mass_deletion
from signerd.zones.master_file import read_records
from signerd.zones.notice import Severity
from signerd.zones.rdata_printer import format_rdata
from signerd.zones.record_collection import Place, fold_names

MAX_IMPORTED: Final = 10_000  # RRs of one text


def export_zone(apex: Name, text: str, serial: int, defaults: ApexDefaults, rrsets: Iterable[RRset]) -> str:
    """Print a zone: SOA, NS, then the records by name and type; host names absolute.

    Args:
        apex: Of the zone.
        text: Its name without trailing dot.
        serial: For the SOA.
        defaults: What it gets besides its records.
        rrsets: Its records.
    """
    rest = sorted(rrsets, key=lambda one: (make_sort_key(one.owner), rt.format_type(one.type)))
    own = [rrset for rrset in rest if rrset.owner == apex and rrset.type == rt.NS]
    head = [defaults.make_soa(apex, serial), *(own or [defaults.make_name_servers(apex)])]
    lines = [f"$ORIGIN {text}.", f"$TTL {DEFAULT_TTL}"]
    for rrset in (*head, *(rrset for rrset in rest if rrset not in own)):
        name = relate(rrset.owner, apex)
        lines += [
            f"{name} {rrset.ttl} IN {rt.format_type(rrset.type)} {format_rdata(rrset.type, rdata)}"
            for rdata in rrset.rdatas
        ]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Draft:
    ttl: int
    place: Place
    rdatas: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])


@dataclass(slots=True)
class _Collection:
    """Takes the records of a text that the API can hold; counts the others."""

    apex: Name
    name_servers: frozenset[bytes]
    count: int = 0
    skipped: int = 0
    drafts: dict[tuple[Name, int], _Draft] = field(default_factory=dict[tuple[Name, int], _Draft])

    def add(self, owner: Name, rdatatype: int, ttl: int, rdata: bytes, place: Place) -> None:
        self.count += 1
        is_injected = owner == self.apex and rdatatype == rt.NS and rdata.lower() in self.name_servers
        if rdatatype not in TYPE_NAMES or not is_subdomain(owner, self.apex) or is_injected:
            self.skipped += 1
            return
        draft = self.drafts.setdefault((owner, rdatatype), _Draft(ttl, place))
        draft.rdatas.setdefault(fold_names(rdatatype, rdata), rdata)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a text holds.

    Attributes:
        records: One for each name and type, in the order of the text.
        skipped: How many RRs were left out.
    """

    records: tuple[RecordData, ...]
    skipped: int


def parse_zone_text(text: str, apex: Name, defaults: ApexDefaults) -> ParsedText:
    """Read a master file into records.

    Raises:
        ImportRefused: It has an error; the message names the line.
        CnameConflict: A CNAME stands beside other data in it.
    """
    try:
        octets = text.encode().decode("latin-1")
    except UnicodeEncodeError as error:
        raise ImportRefused("the text holds half of a surrogate pair") from error
    if "\0" in octets:
        raise ImportRefused(f"line {octets[: octets.index(chr(0))].count(chr(10)) + 1}: NUL in the text")
    collection = _Collection(apex, frozenset(defaults.name_servers))
    notices = read_records(octets, apex, collection, max_records=MAX_IMPORTED, default_ttl=DEFAULT_TTL)
    errors = [notice for notice in notices if notice.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise ImportRefused(f"line {errors[0].line}: {errors[0].reason}{more}")
    records: list[RecordData] = []
    for (owner, number), draft in collection.drafts.items():
        try:
            name = relate(owner, apex)
            values = [format_value(number, rdata) for rdata in draft.rdatas.values()]
            records.append(make_data(apex, name, TYPE_NAMES[number], draft.ttl, values))
        except (InvalidDnsValue, UnicodeDecodeError) as error:
            raise ImportRefused(f"line {draft.place.line}: {error}") from error
    _refuse_aliases_beside_data(records)
    return ParsedText(tuple(records), collection.skipped)


def _refuse_aliases_beside_data(records: Sequence[RecordData]) -> None:
    types: dict[Name, set[str]] = {}
    for data in records:
        types.setdefault(data.owner, set()).add(data.type)
    for data in records:
        if data.type == "CNAME" and len(others := types[data.owner]) > 1:
            raise CnameConflict(data.name, ", ".join(sorted(others - {"CNAME"})))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        created: Records that are new.
        updated: Records with other content than before.
        deleted: How many are gone.
    """

    created: tuple[Record, ...]
    updated: tuple[Record, ...]
    deleted: int


def import_records(
    change: Change,
    editor: ZoneEditor,
    parsed: ParsedText,
    *,
    replace_existing: bool,
    deletion_percent: int,
) -> Imported:
    """Bring the records of a text into a zone.

    Args:
        change: The write.
        editor: Of the zone; it must not record each step.
        parsed: The text.
        replace_existing: Whether records that are not in it are deleted.
        deletion_percent: How many of a hundred records may be deleted without question.

    Raises:
        MassDeletion: More would be.
    """
    # what is not in the text is read no further than needed: others wait meanwhile
    stored = list_records_of(change.connection, editor.zone, {data.owner for data in parsed.records})
    existing = {record.data.key: record for record in stored}
    gone: list[RecordKey] = []
    if replace_existing:
        wanted = {data.key for data in parsed.records}
        present = list_record_keys(change.connection, editor.zone)
        gone = [record for record in present if (record.owner, record.type) not in wanted]
        reason = explain_mass_deletion(len(present), len(gone), deletion_percent)
        if reason is not None:
            raise MassDeletion(f"{reason}: send allowMassDeletion")
    editor.delete_all(gone)
    new: list[RecordData] = []
    changes: list[tuple[Record, RecordData]] = []
    for data in parsed.records:
        known = existing.get(data.key)
        if known is None:
            new.append(data)
        elif not known.data.says_the_same(data):
            changes.append((known, data))
    updated = editor.replace_all(changes)
    created = editor.create_all(new)
    zone = editor.zone
    change.record(
        "dns.zone.import",
        zone.scope.organisation,
        DNS_ZONE,
        zone.identity,
        project=zone.scope.project,
        details={
            "zone": zone.text,
            "created": len(created),
            "updated": len(updated),
            "deleted": len(gone),
            "skipped": parsed.skipped,
        },
    )
    return Imported(tuple(created), tuple(updated), len(gone))
