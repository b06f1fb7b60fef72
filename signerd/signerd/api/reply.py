"""What a handler answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JsonValue = Mapping[str, "JsonValue"] | Sequence["JsonValue"] | str | int | float | bool | None
NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Reply:
    """A response in the making.

    Attributes:
        status: Of success; errors are raised.
        body: Any JSON; None sends no body at all.
        headers: Beside Content-Type and those that every response has.
        is_recorded: Whether the handler has committed the audit entry of the request with this status, by
            `Call.record`.
    """

    status: int = 200
    body: JsonValue | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    is_recorded: bool = False


def encode_json(value: JsonValue) -> bytes:
    """Encode as UTF-8 without spaces."""
    return json.dumps(
        value, default=dict, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()
