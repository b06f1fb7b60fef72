"""Zones of files as the API shows them: read-only, with identities that follow from their names."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, make_sort_key
from signerd.dns_zones.errors import InvalidDnsValue, RecordUnknown
from signerd.dns_zones.publisher import FileZone
from signerd.dns_zones.record import Record, RecordData
from signerd.dns_zones.record_name import relate
from signerd.dns_zones.record_rows import PREFIX as RECORD_PREFIX
from signerd.dns_zones.record_value import TYPE_NAMES, format_value
from signerd.dns_zones.zone_rows import PREFIX, DnsZone, ZoneScope
from signerd.platform.described import Described
from signerd_kms.slug import make_slug

_NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})


def make_view(found: FileZone, scope: ZoneScope, created_at: int) -> DnsZone:
    """Give what stands for a zone of a file.

    Args:
        found: The zone.
        scope: The organisation that such zones belong to.
        created_at: Of that organisation: a file does not say when its zone began.
    """
    record = Described(
        _name(PREFIX, found.apex),
        found.text,
        make_slug(found.text),
        "",
        _NO_TEXTS,
        _NO_TEXTS,
        created_at,
        created_at,
        1,
    )
    return DnsZone(scope, record, 0)


def list_file_records(found: FileZone, created_at: int) -> Iterator[Record]:
    """Give the records of the types that the API knows, by name and type; others are left out."""
    if found.zone is None:
        return
    for owner in sorted(found.zone.names, key=make_sort_key):
        for number, rrset in sorted(found.zone.names[owner].items()):
            type_text = TYPE_NAMES.get(number)
            if type_text is None:
                continue
            try:
                values = tuple(format_value(number, rdata) for rdata in rrset.rdatas)
                name = relate(owner, found.apex)
            except (InvalidDnsValue, UnicodeDecodeError):
                continue  # it is served all the same, and `signerd dump` shows it
            data = RecordData(name, owner, type_text, rrset.ttl, values, rrset.rdatas)
            identity = _name(RECORD_PREFIX, found.apex, owner, number)
            yield Record(identity, data, created_at, None)


def find_file_record(found: FileZone, created_at: int, identity: str) -> Record:
    """Find a record of such a zone by identity.

    Raises:
        RecordUnknown: There is none.
    """
    for record in list_file_records(found, created_at):
        if record.identity == identity:
            return record
    raise RecordUnknown


def _name(prefix: str, apex: Name, owner: Name = Name(b""), number: int = rt.SOA) -> str:  # noqa: B008  # bytes
    digest = hashlib.sha256(apex + owner + number.to_bytes(2)).digest()
    return f"{prefix}-{base64.b32hexencode(digest)[:20].decode().lower()}"
