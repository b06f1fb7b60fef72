"""Snapshot: one version of a zone in one file.

All numbers are unsigned, most significant octet first.

    octet   length
    0       8       magic, "SGNDSNAP"
    8       2       format version, 1
    10      2       flags, 0: none is defined, and a reader refuses what it does not know
    12      4       serial
    16      4       number of RRsets
    20      4       number of records, RRSIGs included
    24      8       length of the records in octets
    32      1       length of the zone name in octets
    33      n       zone name, uncompressed, lower-cased
    33+n    ...     the records, see record_stream.py
    end-32  32      SHA-256 of everything before it

Owners come in canonical order (RFC 4034, section 6.1), NSEC3 owners among them; at an owner the types come in
the order of their numbers. The same zone always gives the same octets.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from struct import Struct

from signerd.dns.name import Name, format_name, make_sort_key
from signerd.dns.rdatatype import NSEC3, SOA
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.durable_file import FILE_OPERATIONS, FileOperations, replace_file
from signerd.zones.record_stream import (
    BadPublishedData,
    BadRecordStream,
    count_octets,
    decode_rrsets,
    encode_rrsets,
)

Progress = Callable[[int, int], None]
"""Takes in how much is done and how much there is."""

MAGIC = b"SGNDSNAP"
FORMAT_VERSION = 1

_HEADER = Struct("!8sHHIIIQB")
_CHECKSUM_OCTETS = 32
_NO_TYPES: Mapping[int, RRset] = {}
_get_type = attrgetter("type")


class CorruptSnapshot(BadPublishedData):
    """A snapshot is not what was written."""

    code = "zones.corrupt_snapshot"


class UnsupportedSnapshot(BadPublishedData):
    """A snapshot has a format version that this program does not read; a migration would start here."""

    code = "zones.unsupported_snapshot"


def encode_snapshot(zone: Zone, progress: Progress | None = None) -> Iterator[bytes]:
    """Give the content of a zone's snapshot file in chunks.

    Args:
        zone: What is written.
        progress: Called after each chunk, with the KiB of records given and to give.

    Raises:
        ValueError: An RRset has no records, or an NSEC3 RRset is not where `Zone` has them.
    """
    rrsets = records = octets = 0
    for rrset in zone.iterate_rrsets():
        if not rrset.rdatas:
            raise ValueError(f"an RRset of {format_name(rrset.owner)} has no records")
        rrsets += 1
        records += len(rrset.rdatas) + len(rrset.signatures)
        octets += count_octets(rrset)
    origin = zone.origin
    header = (
        _HEADER.pack(MAGIC, FORMAT_VERSION, 0, zone.serial, rrsets, records, octets, len(origin)) + origin
    )
    checksum = hashlib.sha256(header)
    yield header
    done = 0
    for chunk in encode_rrsets(_sort_rrsets(zone)):
        checksum.update(chunk)
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(done >> 10, octets >> 10)
    yield checksum.digest()


def _sort_rrsets(zone: Zone) -> Iterator[RRset]:
    names, nsec3 = zone.names, zone.nsec3
    owners = names.keys() | nsec3.keys() if nsec3 else names
    for owner in sorted(owners, key=make_sort_key):
        types = names.get(owner, _NO_TYPES)
        hashed = nsec3.get(owner)
        if NSEC3 in types or (hashed is not None and hashed.type != NSEC3):
            raise ValueError(f"misplaced NSEC3 RRset at {format_name(owner)}")
        if hashed is None:
            yield from types.values() if len(types) == 1 else sorted(types.values(), key=_get_type)
        elif types:
            yield from sorted((*types.values(), hashed), key=_get_type)
        else:
            yield hashed


def write_snapshot(
    path: Path, zone: Zone, files: FileOperations = FILE_OPERATIONS, progress: Progress | None = None
) -> int:
    """Write a zone's snapshot durably; give its length in octets.

    Raises:
        OSError: See `replace_file`.
        ValueError: See `encode_snapshot`.
    """
    return replace_file(path, encode_snapshot(zone, progress), files)


def read_snapshot(path: Path) -> Zone:
    """Read and check a snapshot file.

    Raises:
        CorruptSnapshot: See `decode_snapshot`.
        UnsupportedSnapshot: See `decode_snapshot`.
        OSError: The file cannot be read.
    """
    return decode_snapshot(path.read_bytes())


def decode_snapshot(data: bytes) -> Zone:
    """Read and check the content of a snapshot file.

    Raises:
        CorruptSnapshot: Magic, flags, length, checksum or counts are wrong, or what the records say.
        UnsupportedSnapshot: Another format version.
    """
    if data[:8] != MAGIC[: len(data)]:
        raise CorruptSnapshot("not a snapshot: wrong magic")
    if len(data) < _HEADER.size + _CHECKSUM_OCTETS:
        raise CorruptSnapshot(f"cut off after {len(data)} octets")
    _, version, flags, serial, rrsets, records, octets, name_octets = _HEADER.unpack_from(data)
    if version != FORMAT_VERSION:
        raise UnsupportedSnapshot(f"format version {version}; this program reads {FORMAT_VERSION}")
    start = _HEADER.size + name_octets
    end = start + octets
    if len(data) != end + _CHECKSUM_OCTETS:
        raise CorruptSnapshot(f"{len(data)} octets long; its header says {end + _CHECKSUM_OCTETS}")
    if hashlib.sha256(memoryview(data)[:end]).digest() != data[end:]:
        raise CorruptSnapshot("wrong checksum")
    if flags:
        raise CorruptSnapshot(f"unknown flags {flags:#06x}")
    zone = _build_zone(Name(data[_HEADER.size : start]), data, start, end, (rrsets, records))
    if zone.serial != serial:
        raise CorruptSnapshot(f"its SOA has serial {zone.serial}, its header {serial}")
    return zone


def _build_zone(origin: Name, data: bytes, start: int, end: int, counts: tuple[int, int]) -> Zone:
    names: dict[Name, dict[int, RRset]] = {}
    nsec3: dict[Name, RRset] = {}
    types: dict[int, RRset] = {}
    owner: Name | None = None
    records = rrsets = 0
    try:
        for rrset in decode_rrsets(data, start, end):
            if rrset.type == NSEC3:
                nsec3[rrset.owner] = rrset
            else:
                if rrset.owner is not owner:  # the stream makes one object for a run of one owner
                    owner = rrset.owner
                    types = names.setdefault(owner, {})
                types[rrset.type] = rrset
            if not rrset.rdatas:
                raise CorruptSnapshot(f"signatures without records at {format_name(rrset.owner)}")
            rrsets += 1
            records += len(rrset.rdatas) + len(rrset.signatures)
    except BadRecordStream as error:
        raise CorruptSnapshot(str(error)) from error
    if (rrsets, records) != counts or rrsets != len(nsec3) + sum(map(len, names.values())):
        raise CorruptSnapshot(
            f"{rrsets} RRsets of {records} records; its header says {counts[0]} of {counts[1]}"
        )
    if SOA not in names.get(origin, {}):
        raise CorruptSnapshot(f"no SOA at {format_name(origin)}")
    return Zone(origin, names, nsec3)
