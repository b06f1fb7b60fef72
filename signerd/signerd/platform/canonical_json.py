"""One text form for a JSON object, so that it can be hashed."""

import json
from collections.abc import Mapping

Value = str | int | bool | None | Mapping[str, "Value"]


def encode_canonical(value: Mapping[str, Value]) -> bytes:
    """Encode as UTF-8 with sorted keys and no spaces. There are no floats in the type, nor lists."""
    return json.dumps(
        value, default=dict, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()
