"""Journal: the differences between a zone's versions, in an append-only file.

All numbers are unsigned, most significant octet first. The header:

    octet   length
    0       8       magic, "SGNDJRNL"
    8       2       format version, 1
    10      2       flags, 0: none is defined, and a reader refuses what it does not know
    12      4       base serial: where the first record starts from
    16      32      chain value at the base
    48      1       length of the zone name in octets
    49      n       zone name, uncompressed, lower-cased
    49+n    4       CRC-32 of everything before it

Then records, each:

    0       4       length of the body in octets
    4       4       old serial, the new serial of the record before
    8       4       new serial
    12      4       length of the first part of the body in octets
    16      4       CRC-32 of the 16 octets before it
    20      ...     body: what is removed, then what is added, see record_stream.py and ZoneDifference
    end-32  32      chain value: SHA-256 of the chain value before and of all octets of this record before it

A new journal begins with a random chain value, so a chain value names one version for good: a reader that
knows the value of its version finds its place again when the file was rewritten with older records dropped
(the others are copied as they are), and sees when that version was never completed and another took its
place. No serial occurs twice in one journal.

A record that is cut off at the end of the file is a torn tail: the append was interrupted, the version was
never announced, and the writer cuts it off. Anything else that does not fit is corruption: nothing from there
on can be used.
"""

import contextlib
import hashlib
import os
import zlib
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from struct import Struct

from signerd.dns.name import Name, format_name
from signerd.dns.serial import Serial
from signerd.zones.durable_file import FILE_OPERATIONS, FileOperations, replace_file
from signerd.zones.record_stream import BadPublishedData, BadRecordStream, decode_rrsets, encode_rrsets
from signerd.zones.zone_difference import ZoneDifference

MAGIC = b"SGNDJRNL"
FORMAT_VERSION = 1
CHAIN_OCTETS = 32
MAX_BODY_OCTETS = 2**32 - 1

_HEADER = Struct("!8sHHI32sB")
_CRC_OCTETS = 4
MAX_HEADER_OCTETS = _HEADER.size + 255 + _CRC_OCTETS
_RECORD_HEADER = Struct("!IIIII")


class CorruptJournal(BadPublishedData):
    """A journal is not what was written."""

    code = "zones.corrupt_journal"


class UnsupportedJournal(BadPublishedData):
    """A journal has a format version that this program does not read; a migration would start here."""

    code = "zones.unsupported_journal"


class JournalEnd(Enum):
    """How a journal ends."""

    CLEAN = "clean"
    TORN = "torn"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """What a journal starts from."""

    origin: Name
    base_serial: Serial
    chain: bytes

    def encode(self) -> bytes:
        """Give the octets of the header."""
        fields = _HEADER.pack(MAGIC, FORMAT_VERSION, 0, self.base_serial, self.chain, len(self.origin))
        return _with_crc(fields + self.origin)

    @property
    def octets(self) -> int:
        """The length of the header."""
        return _HEADER.size + len(self.origin) + _CRC_OCTETS


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One difference and its place in the file."""

    old_serial: Serial
    new_serial: Serial
    start: int  # octet of the file at which it begins
    added_start: int
    body_end: int
    chain: bytes  # the value after this record

    @property
    def end(self) -> int:
        """The octet after the record."""
        return self.body_end + CHAIN_OCTETS

    def read_difference(self, data: bytes, offset: int = 0) -> ZoneDifference:
        """Decode the difference.

        Args:
            data: Octets of the file which hold this record.
            offset: Where in the file they begin.

        Raises:
            CorruptJournal: They are not well-formed, in spite of their checksum.
        """
        start, middle, end = (
            position - offset
            for position in (self.start + _RECORD_HEADER.size, self.added_start, self.body_end)
        )
        try:
            removed = tuple(decode_rrsets(data, start, middle))
            added = tuple(decode_rrsets(data, middle, end))
        except BadRecordStream as error:
            raise CorruptJournal(f"record at octet {self.start}: {error}") from error
        return ZoneDifference(self.old_serial, self.new_serial, removed, added)


@dataclass(frozen=True, slots=True)
class JournalScan:
    """The records of a journal, or of its end, with their checksums verified."""

    records: list[JournalRecord]
    end: int  # the octet of the file after the last good record
    state: JournalEnd
    reason: str = ""  # why it is not clean
    lost_serials: list[Serial] = field(
        default_factory=list[Serial]
    )  # of the versions behind the corruption, as far as they can be made out


def decode_header(data: bytes) -> JournalHeader:
    """Read and check the header at the beginning of a journal.

    Raises:
        CorruptJournal: Magic, flags, length or checksum are wrong.
        UnsupportedJournal: Another format version.
    """
    if data[:8] != MAGIC[: len(data)]:
        raise CorruptJournal("not a journal: wrong magic")
    if len(data) < _HEADER.size:
        raise CorruptJournal(f"header cut off after {len(data)} octets")
    _, version, flags, base_serial, chain, name_octets = _HEADER.unpack_from(data)
    if version != FORMAT_VERSION:
        raise UnsupportedJournal(f"format version {version}; this program reads {FORMAT_VERSION}")
    end = _HEADER.size + name_octets
    if data[: end + _CRC_OCTETS] != _with_crc(data[:end]):
        raise CorruptJournal("wrong checksum of the header")
    if flags:
        raise CorruptJournal(f"unknown flags {flags:#06x}")
    return JournalHeader(Name(data[_HEADER.size : end]), Serial(base_serial), chain)


def encode_record(difference: ZoneDifference, chain: bytes) -> bytes:
    """Give the octets of a record, its chain value at their end.

    Args:
        difference: What the record says.
        chain: The chain value before it.

    Raises:
        OverflowError: The body is longer than 2**32 - 1 octets.
    """
    removed = b"".join(encode_rrsets(difference.removed))
    added = b"".join(encode_rrsets(difference.added))
    octets = len(removed) + len(added)
    if octets > MAX_BODY_OCTETS:
        raise OverflowError(f"difference of {octets} octets; a journal record holds {MAX_BODY_OCTETS}")
    fields = _RECORD_HEADER.pack(octets, difference.old_serial, difference.new_serial, len(removed), 0)
    record = _with_crc(fields[:-_CRC_OCTETS]) + removed + added
    return record + hashlib.sha256(chain + record).digest()


def scan_records(data: bytes, offset: int, serial: Serial, chain: bytes) -> JournalScan:
    """Find the records in the octets of a journal and verify them; stops at the first that is not good.

    Args:
        data: Octets of the file from a record's beginning to the end of the file.
        offset: Where in the file they begin.
        serial: The serial there.
        chain: The chain value there.
    """
    records: list[JournalRecord] = []
    view = memoryview(data)
    position = 0
    state, reason = JournalEnd.CLEAN, ""
    while position < len(data):
        try:
            octets, old_serial, new_serial, removed_octets = _decode_record_header(data, position)
        except CorruptJournal as error:
            # A size that was on the disk before the content reads as zeros after a loss of power.
            is_torn = len(data) - position < _RECORD_HEADER.size or not any(view[position:])
            state, reason = (JournalEnd.TORN if is_torn else JournalEnd.CORRUPT), str(error)
            break
        body = position + _RECORD_HEADER.size
        body_end = body + octets
        if body_end + CHAIN_OCTETS > len(data):
            state, reason = JournalEnd.TORN, "the record is cut off"
            break
        checksum = hashlib.sha256(chain)
        checksum.update(view[position:body_end])
        if checksum.digest() != data[body_end : body_end + CHAIN_OCTETS]:
            state, reason = JournalEnd.CORRUPT, "wrong checksum"
            break
        if old_serial != serial or removed_octets > octets:
            state, reason = JournalEnd.CORRUPT, f"the record starts from serial {old_serial}, not {serial}"
            break
        chain = checksum.digest()
        serial = new_serial
        added_start = offset + body + removed_octets
        records.append(
            JournalRecord(old_serial, new_serial, offset + position, added_start, offset + body_end, chain)
        )
        position = body_end + CHAIN_OCTETS
    if reason:
        reason = f"at octet {offset + position}, after serial {serial}: {reason}"
    lost_serials = _find_lost_serials(data, position) if state is JournalEnd.CORRUPT else []
    return JournalScan(records, offset + position, state, reason, lost_serials)


def _decode_record_header(data: bytes, position: int) -> tuple[int, Serial, Serial, int]:
    header = data[position : position + _RECORD_HEADER.size]
    if header != _with_crc(header[:-_CRC_OCTETS]):
        raise CorruptJournal("bad header of a record")
    octets, old_serial, new_serial, removed_octets, _ = _RECORD_HEADER.unpack(header)
    return octets, Serial(old_serial), Serial(new_serial), removed_octets


def _find_lost_serials(data: bytes, position: int) -> list[Serial]:
    """Follow the headers behind the last good record: the serials of those versions are used up."""
    serials: list[Serial] = []
    with contextlib.suppress(CorruptJournal):
        while position < len(data):
            octets, _, new_serial, _ = _decode_record_header(data, position)
            serials.append(new_serial)
            position += _RECORD_HEADER.size + octets + CHAIN_OCTETS
    return serials


def scan_journal(data: bytes) -> tuple[JournalHeader, JournalScan]:
    """Read a whole journal file.

    Raises:
        CorruptJournal: See `decode_header`; what is wrong after the header is in the result.
        UnsupportedJournal: See `decode_header`.
    """
    header = decode_header(data)
    offset = header.octets
    return header, scan_records(data[offset:], offset, header.base_serial, header.chain)


def _with_crc(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(_CRC_OCTETS)


class JournalWriter:
    """The one writer of a journal file. Its errors leave it usable: the next append cleans up first."""

    def __init__(
        self,
        path: Path,
        header: JournalHeader,
        records: list[JournalRecord],
        files: FileOperations = FILE_OPERATIONS,
    ) -> None:
        """Take over a file in which nothing else is of use; see `open` and `create`."""
        self._path = path
        self._header = header
        self._records = records
        self._places = self._find_places()
        self._files = files

    def _find_places(self) -> dict[Serial, int]:
        """Give for each version how many records lead to it: a journal may have tens of thousands."""
        return {serial: place for place, serial in reversed([*enumerate(self.serials)])}

    @classmethod
    def create(
        cls, path: Path, origin: Name, base_serial: Serial, files: FileOperations = FILE_OPERATIONS
    ) -> "JournalWriter":
        """Write an empty journal durably, in place of the one that is there.

        Raises:
            OSError: See `replace_file`.
        """
        header = JournalHeader(origin, base_serial, os.urandom(CHAIN_OCTETS))
        replace_file(path, [header.encode()], files)
        return cls(path, header, [], files)

    @classmethod
    def open(cls, path: Path, origin: Name, files: FileOperations = FILE_OPERATIONS) -> "JournalWriter":
        """Open a journal to append to it; a torn tail is cut off by the first append.

        Raises:
            CorruptJournal: The journal is corrupt anywhere, or another zone's.
            UnsupportedJournal: Another format version.
            OSError: The file cannot be read.
        """
        header, scan = scan_journal(path.read_bytes())
        if header.origin != origin:
            raise CorruptJournal(f"it is the journal of {format_name(header.origin)}")
        if scan.state is JournalEnd.CORRUPT:
            raise CorruptJournal(scan.reason)
        return cls(path, header, scan.records, files)

    @property
    def last_serial(self) -> Serial:
        """The serial after the last record."""
        return self._records[-1].new_serial if self._records else self._header.base_serial

    @property
    def chain(self) -> bytes:
        """The chain value after the last record."""
        return self._records[-1].chain if self._records else self._header.chain

    @property
    def end(self) -> int:
        """The octets of the file that count."""
        return self._records[-1].end if self._records else self._header.octets

    @property
    def serials(self) -> list[Serial]:
        """The serials of all versions it knows, oldest first."""
        return [self._header.base_serial, *(record.new_serial for record in self._records)]

    def has_version(self, serial: Serial) -> bool:
        """Say if it knows the version with a serial."""
        return serial in self._places

    def count_octets_since(self, serial: Serial) -> int:
        """Say how long the records after a version are.

        Raises:
            ValueError: No version here has the serial.
        """
        index = self._find_place(serial)
        return self.end - (self._records[index].start if index < len(self._records) else self.end)

    def _find_place(self, serial: Serial) -> int:
        place = self._places.get(serial)
        if place is None:
            raise ValueError(f"no version {serial}")
        return place

    def find_base(self, octets: int) -> Serial:
        """Give the oldest version after which the records are no longer than this."""
        start = self.end - octets
        return next(
            (record.old_serial for record in self._records if record.start >= start), self.last_serial
        )

    def append(self, difference: ZoneDifference) -> None:
        """Append a record durably.

        Raises:
            OSError: The journal is as it was, for this writer at least; a reader may have seen the record
                before it was taken back, and will notice.
            CorruptJournal: The file has lost records that were in it.
            ValueError: The difference does not start from the last serial, or its new serial is here already.
        """
        if difference.old_serial != self.last_serial or self.has_version(difference.new_serial):
            raise ValueError(
                f"{difference.old_serial} to {difference.new_serial} cannot follow {self.last_serial}"
            )
        record = encode_record(difference, self.chain)
        self.trim()
        descriptor = self._files.open_existing(self._path)
        start = self.end
        try:
            try:
                self._files.write(descriptor, record)
                self._files.sync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # else the next append does it
                    self._files.truncate(descriptor, start)
                    self._files.sync(descriptor)
                raise
        finally:
            self._files.close(descriptor)
        header_octets = _RECORD_HEADER.size
        removed_octets = int.from_bytes(record[12:16])
        self._records.append(
            JournalRecord(
                difference.old_serial,
                difference.new_serial,
                start,
                start + header_octets + removed_octets,
                start + len(record) - CHAIN_OCTETS,
                record[-CHAIN_OCTETS:],
            )
        )
        self._places[difference.new_serial] = len(self._records)

    def trim(self) -> None:
        """Cut off, durably, what stands behind the last good record: an append that did not succeed.

        Raises:
            OSError: It is still there.
            CorruptJournal: The file has lost records that were in it.
        """
        octets = self._path.stat().st_size
        if octets < self.end:
            raise CorruptJournal(f"{octets} octets long; {self.end} were written")
        if octets > self.end:
            descriptor = self._files.open_existing(self._path)
            try:
                self._files.truncate(descriptor, self.end)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)

    def drop_before(self, serial: Serial) -> None:
        """Rewrite the journal durably without the records that lead to a version; it becomes the base.

        Raises:
            ValueError: No version here has the serial.
            OSError: See `replace_file`; open the journal anew.
            CorruptJournal: The file has changed under this writer.
        """
        index = self._find_place(serial)
        if index == 0:
            return
        base = self._records[index - 1]
        data = self._path.read_bytes()[: self.end]
        header = JournalHeader(self._header.origin, serial, base.chain)
        kept = scan_records(data[base.end :], header.octets, serial, base.chain)
        if len(kept.records) != len(self._records) - index:
            raise CorruptJournal(kept.reason or f"{len(data)} octets long; {self.end} were written")
        replace_file(self._path, [header.encode(), data[base.end :]], self._files)
        self._header = header
        self._records = kept.records
        self._places = self._find_places()
