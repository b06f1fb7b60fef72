"""Values that a column keeps as JSON text: maps and lists of strings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import cast


def dump_texts(texts: Mapping[str, str]) -> str:
    """Encode a map of strings, such as labels."""
    return json.dumps(dict(texts), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def load_texts(column: str) -> Mapping[str, str]:
    """Decode what `dump_texts` made."""
    return cast("dict[str, str]", json.loads(column))


def dump_list(texts: Iterable[str]) -> str:
    """Encode strings; their order is kept."""
    return json.dumps(list(texts), ensure_ascii=False, separators=(",", ":"))


def load_list(column: str) -> Sequence[str]:
    """Decode what `dump_list` made."""
    return tuple(cast("list[str]", json.loads(column)))
