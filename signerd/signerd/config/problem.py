"""What is wrong with a configuration file, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Step = str | int  # a key of a map or an index of a list
OptionPath = tuple[Step, ...]


def format_path(path: OptionPath) -> str:
    """Print where an option stands: `zones[2].name`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct.

    Attributes:
        file: As named by the operator.
        line: From 1; 0 when no line can be blamed.
        path: The option; empty for the file as a whole.
        reason: What is wrong and, where known, what would be right.
    """

    file: str
    line: int
    path: OptionPath
    reason: str

    def __str__(self) -> str:
        """Print as `file:line: path.to.option: reason`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        option = f"{format_path(self.path)}: " if self.path else ""
        return f"{place}: {option}{self.reason}"


class BadConfig(Exception):
    """A configuration cannot be used.

    Attributes:
        problems: All of them, in the order of the lines.
    """

    code = "config.bad"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(map(str, self.problems)))
