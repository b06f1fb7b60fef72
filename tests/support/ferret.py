"""The cases of the Ferret dataset in `tests/data/ferret`, and answers to them in the same form."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from answering import to_name
from plain_response import PlainResponse, Record, split_labels
from signerd.dns.zone import Zone
from signerd.zones.checks import check_zone
from signerd.zones.master_file import load_master_file
from signerd.zones.notice import Severity

CASES = Path(__file__).parent.parent / "data" / "ferret" / "cases.jsonl.gz"
SERVERS = frozenset({"bind", "nsd", "knot", "powerdns"})

Records = frozenset[str]  # "owner TTL IN TYPE RDATA", in lower case


class _Expected(TypedDict):
    servers: list[str]
    response: list[str]


class _Line(TypedDict):
    case: int
    zone: str
    qname: str
    qtype: str
    expected: list[_Expected]


@dataclass(frozen=True, slots=True)
class Response:
    """What all answers have in common, whoever gives them."""

    rcode: str
    is_authoritative: bool
    is_truncated: bool
    answer: Records
    authority: Records
    additional: Records

    @classmethod
    def from_lines(cls, lines: list[str]) -> "Response":
        """Read a response of the dataset."""
        header: dict[str, str] = {}
        sections: dict[str, set[str]] = {}
        section = ""
        for line in lines:
            if line.startswith(";"):
                section = line[1:]
                sections[section] = set()
            elif section:
                sections[section].add(line.lower())
            else:
                key, _, value = line.partition(" ")
                header[key] = value
        flags = header["flags"].split()
        answer, authority, additional = (
            frozenset(sections[name]) for name in ("ANSWER", "AUTHORITY", "ADDITIONAL")
        )
        return cls(header["rcode"], "AA" in flags, "TC" in flags, answer, authority, additional)

    @classmethod
    def from_plain(cls, plain: PlainResponse) -> "Response":
        """Take over a response of ours."""
        return cls(
            dns.rcode.to_text(dns.rcode.Rcode(plain.rcode)),
            plain.is_authoritative,
            plain.is_truncated,
            *(frozenset(map(_format_record, s)) for s in (plain.answer, plain.authority, plain.additional)),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A zone, a question, and what four servers answered: one response, or several with who gave them."""

    number: int
    zone: str
    name: str
    type: str
    responses: dict[frozenset[str], Response]

    @property
    def apex(self) -> str:
        """The owner of the zone's SOA, in lower case."""
        words = (line.split() for line in self.zone.splitlines())
        return next(owner.lower() for owner, _, _, rdatatype, *_ in words if rdatatype == "SOA")


def iterate_cases() -> Iterator[Case]:
    """Give all cases, in the order of the file."""
    with gzip.open(CASES, "rt", encoding="utf-8") as file:
        for text in file:
            line: _Line = json.loads(text)
            responses = {
                frozenset(expected["servers"]): Response.from_lines(expected["response"])
                for expected in line["expected"]
            }
            yield Case(line["case"], line["zone"], line["qname"].lower(), line["qtype"], responses)


class BadZone(Exception):
    """A zone of the dataset is one that the server refuses."""


def load_zone(case: Case, directory: Path) -> Zone:
    """Load and check the zone of a case the way the server does.

    Raises:
        BadZone: There are errors; none of these zones is one that a server should refuse.
    """
    file = directory / "case.zone"
    file.write_text(case.zone)
    loaded = load_master_file(file, to_name(case.apex), directory=directory)
    notices = loaded.notices
    if loaded.zone is not None:
        notices += check_zone(loaded.zone, loaded.positions.find)
    errors = [str(notice) for notice in notices if notice.severity is Severity.ERROR]
    if loaded.zone is None or errors:
        raise BadZone(case.number, errors)
    return loaded.zone


def _format_record(record: Record) -> str:
    owner = b".".join([*split_labels(record.owner), b""]).decode("ascii")  # no escapes in this dataset
    return f"{owner} {record.ttl} in {_format_data(record.type, record.rdata)}"


@lru_cache(4096)  # most zones have the same SOA, addresses and text
def _format_data(rdatatype: int, rdata: bytes) -> str:
    known = dns.rdatatype.RdataType.make(rdatatype)
    text = dns.rdata.from_wire(dns.rdataclass.IN, known, rdata, 0, len(rdata)).to_text()
    return f"{dns.rdatatype.to_text(known)} {text}".lower()
