"""Large master files for imports over the API, which takes a bounded number of records at a time."""

from dataclasses import dataclass, field
from typing import Final

from signerd.cli.command_errors import CommandFailed
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name
from signerd.dns_zones.record import DEFAULT_TTL
from signerd.zones.master_file import read_records
from signerd.zones.notice import Severity
from signerd.zones.rdata_printer import format_rdata
from signerd.zones.record_collection import Place

PIECE_RECORDS: Final = 10_000  # as many as the API takes
PIECE_OCTETS: Final = 4 << 20  # half of what the API takes: JSON escapes some characters
MOST_RECORDS: Final = 1_000_000  # of one zone


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a master file that holds whole record sets.

    Attributes:
        text: Absolute names, and nothing but records.
        records: How many.
    """

    text: str
    records: int


@dataclass(slots=True)
class _RecordSets:
    sets: dict[tuple[Name, int], list[str]] = field(default_factory=dict[tuple[Name, int], list[str]])
    ttls: dict[tuple[Name, int], int] = field(default_factory=dict[tuple[Name, int], int])
    count: int = 0

    def add(self, owner: Name, rdatatype: int, ttl: int, rdata: bytes, place: Place) -> None:
        del place
        self.count += 1
        key = owner, rdatatype
        first = self.ttls.setdefault(key, ttl)  # the TTL of a record set is that of its first record
        self.sets.setdefault(key, []).append(
            f"{format_name(owner)} {first} IN {rt.format_type(rdatatype)} {format_rdata(rdatatype, rdata)}\n"
        )


def is_large(octets: bytes) -> bool:
    """Say if a file may hold more than the API takes at a time; some that say so do not."""
    return len(octets) > PIECE_OCTETS or octets.count(b"\n") >= PIECE_RECORDS


def split_file(octets: bytes, apex: Name) -> list[Piece]:
    """Read a master file and give its records in pieces.

    Args:
        octets: The file.
        apex: Of the zone.

    Raises:
        CommandFailed: It has an error; the message names the line.
    """
    if b"\0" in octets:
        raise CommandFailed("the file holds NUL octets")
    gathered = _RecordSets()
    notices = read_records(
        octets.decode("latin-1"), apex, gathered, max_records=MOST_RECORDS, default_ttl=DEFAULT_TTL
    )
    errors = [notice for notice in notices if notice.severity is Severity.ERROR]
    if errors:
        raise CommandFailed(f"line {errors[0].line}: {errors[0].reason}")
    pieces: list[Piece] = []
    lines: list[str] = []
    size = 0
    for record_set in gathered.sets.values():
        octets_more = sum(map(len, record_set))
        if lines and (len(lines) + len(record_set) > PIECE_RECORDS or size + octets_more > PIECE_OCTETS):
            pieces.append(Piece("".join(lines), len(lines)))
            lines, size = [], 0
        lines += record_set
        size += octets_more
    if lines:
        pieces.append(Piece("".join(lines), len(lines)))
    return pieces
