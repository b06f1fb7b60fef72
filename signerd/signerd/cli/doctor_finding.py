"""What `signerd doctor` says about one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is."""

    GOOD = "good"
    WEAK = "weak"  # could be better; a matter of choice
    BAD = "bad"  # must be changed
    UNSEEN = "not seen"  # cannot be told from here


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        verdict: How it is.
        what: The thing.
        detail: What was found, and what to do unless it is good.
    """

    verdict: Verdict
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.verdict.value:8}  {self.what}: {self.detail}"
