"""What the validator has to say about a zone version."""

from dataclasses import dataclass

from signerd.dns.name import Name, format_name
from signerd.dns.rdatatype import format_type

MAX_FINDINGS = 100  # protects memory and logs: one bad key makes a finding of every signature


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to reject a zone version.

    Attributes:
        owner: Owner name of the RRset at fault, hashed for NSEC3.
        type: Its type; for a fault of a signature, the type that the signature covers.
        reason: What is wrong, with the values found and expected.
    """

    owner: Name
    type: int
    reason: str

    def __str__(self) -> str:
        return f"{format_name(self.owner)} {format_type(self.type)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a validation.

    Attributes:
        findings: Every fault found, at most `MAX_FINDINGS`; then the validation stopped early.
    """

    findings: tuple[Finding, ...]

    @property
    def is_accepted(self) -> bool:
        """Say if the version may be published."""
        return not self.findings

    def __str__(self) -> str:
        if self.is_accepted:
            return "accepted"
        more = ", stopped there" if len(self.findings) >= MAX_FINDINGS else ""
        return "\n".join([f"rejected with {len(self.findings)} findings{more}", *map(str, self.findings)])


class EnoughFindings(Exception):
    """`MAX_FINDINGS` are collected; ends the validation from any depth."""


class FindingCollector:
    """Collects findings until there are enough."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(self, owner: Name, rdatatype: int, reason: str) -> None:
        """Keep a finding.

        Raises:
            EnoughFindings: This was the last one to keep.
        """
        self._findings.append(Finding(owner, rdatatype, reason))
        if len(self._findings) >= MAX_FINDINGS:
            raise EnoughFindings

    def make_report(self) -> Report:
        """Close the collection."""
        return Report(tuple(self._findings))
