"""What reading or checking a zone has to tell its operator."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a notice matters: an error rejects the zone version, a warning asks for attention."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Notice:
    """One remark about a zone, with the place in the zone file that it is about.

    Attributes:
        severity: An error rejects the version of the zone.
        file: The file as it was opened; None if the remark is about no file.
        line: Counted from 1; None if the remark is about no line.
        reason: What is the matter, with the names and values it is about.
    """

    severity: Severity
    file: str | None
    line: int | None
    reason: str

    def __str__(self) -> str:
        place = (
            ""
            if self.file is None
            else f"{self.file}: "
            if self.line is None
            else f"{self.file}:{self.line}: "
        )
        return f"{place}{self.severity}: {self.reason}"


class NoticeList:
    """Collects notices and keeps each severity within a bound, so that a broken file cannot flood a log."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._kept: list[Notice] = []
        self._counts = dict.fromkeys(Severity, 0)

    def add(self, severity: Severity, file: str | None, line: int | None, reason: str) -> None:
        """Keep a notice, or only count it when there are already too many of its severity."""
        self._counts[severity] += 1
        if self._counts[severity] <= self._limit:
            self._kept.append(Notice(severity, file, line, reason))

    @property
    def has_errors(self) -> bool:
        """Say if any error was added."""
        return self._counts[Severity.ERROR] > 0

    @property
    def is_full_of_errors(self) -> bool:
        """Say if as many errors were added as are kept, so that reading on serves no one."""
        return self._counts[Severity.ERROR] >= self._limit

    def finish(self) -> tuple[Notice, ...]:
        """Give the notices in the order in which they were added, with a line on those left out."""
        left_out = [
            Notice(Severity.NOTICE, None, None, f"{count - self._limit} more notices of severity {severity}")
            for severity, count in self._counts.items()
            if count > self._limit
        ]
        return (*self._kept, *left_out)
