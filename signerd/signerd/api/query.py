"""Query parameters, decoded once."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from signerd.api.errors import MalformedRequest

MAX_PARAMETERS: Final = 100  # bounds the work on one request
_LABEL: Final = re.compile(r"matchLabels\[(.+)\]", re.DOTALL)


class Query:
    """The parameters of a request. A parameter without a value counts as absent."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def first(self, name: str) -> str | None:
        """Give the first value of a parameter; None if it is absent."""
        values = self._values.get(name)
        return values[0] if values else None

    def list(self, name: str) -> Sequence[str]:
        """Give all values of a parameter, repeated or joined by commas."""
        return [part for value in self._values.get(name, ()) for part in value.split(",") if part]

    def labels(self) -> Mapping[str, str]:
        """Give the labels that `matchLabels[name]=value` asks for; the first value of each."""
        return {
            match[1]: values[0] for name, values in self._values.items() if (match := _LABEL.fullmatch(name))
        }


def parse_query(octets: bytes) -> Query:
    """Parse what follows the question mark.

    Raises:
        MalformedRequest: It is not ASCII with escapes of UTF-8, or has too many parameters.
    """
    values: dict[str, list[str]] = {}
    if octets:
        try:
            pairs = parse_qsl(
                octets.decode("ascii"), errors="strict", max_num_fields=MAX_PARAMETERS, separator="&"
            )
        except ValueError as error:  # UnicodeDecodeError is one
            raise MalformedRequest("the query cannot be understood") from error
        for name, value in pairs:  # parse_qsl leaves out blank values
            values.setdefault(name, []).append(value)
    return Query(values)
