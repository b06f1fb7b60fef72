"""The cases of the Ferret dataset in `tests/data/ferret`, and answers to them in the same form."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import dns.rcode
import dns.rrset

from answering import Reply

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
    def from_reply(cls, reply: Reply) -> "Response":
        """Read a response of ours."""
        message = reply.message
        return cls(
            dns.rcode.to_text(message.rcode()),
            reply.is_authoritative,
            reply.is_truncated,
            _list_records(message.answer),
            _list_records(message.authority),
            _list_records(message.additional),
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


def _list_records(section: list[dns.rrset.RRset]) -> Records:
    return frozenset(line.lower() for rrset in section for line in rrset.to_text().splitlines())
