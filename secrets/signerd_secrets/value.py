"""Values of secrets: what a client hands in, and how it is kept as octets before encryption."""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from signerd_secrets.errors import InvalidValue

MAX_VALUE: Final = 65_535  # octets
MAX_GENERATED: Final = 1024  # octets
DEFAULT_GENERATED: Final = 32  # octets


class ValueFormat(StrEnum):
    """How a value was handed in and is given back."""

    STRING = "string"
    KEY_VALUE = "keyValue"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SecretValue:
    """A value in the clear. No repr: it would end up in a log. No ==: it is not constant-time.

    Attributes:
        format: Decides what the octets mean.
        octets: The string itself, or the names and values as JSON.
    """

    format: ValueFormat
    octets: bytes

    def render_string(self) -> str:
        """Give a string value as standard base64."""
        assert self.format is ValueFormat.STRING  # noqa: S101
        return base64.b64encode(self.octets).decode()

    def render_key_values(self) -> dict[str, str]:
        """Give the names and values exactly as they were received."""
        assert self.format is ValueFormat.KEY_VALUE  # noqa: S101
        items: object = json.loads(self.octets)
        assert isinstance(items, dict)  # noqa: S101  # authenticated: it is what we stored
        return cast("dict[str, str]", items)


def make_value(
    *,
    secret_string: str | None = None,
    secret_key_values: Mapping[str, str] | None = None,
    generate_octets: int | None = None,
) -> SecretValue:
    """Make a value from exactly one input; an empty string or map counts as absent.

    Args:
        secret_string: Standard base64 of 1 to 65,535 octets.
        secret_key_values: At least one entry, together up to 65,535 octets of UTF-8; kept as received.
        generate_octets: How many random octets to make, 1 to 1,024; 0 means 32.

    Raises:
        InvalidValue: None or several inputs, or one that breaks its rule.
    """
    given = [bool(secret_string), bool(secret_key_values), generate_octets is not None]
    if sum(given) != 1:
        raise InvalidValue(
            "exactly one of secretString, secretKeyValues and generateSecret must be given, and not empty"
        )
    if secret_string:
        return SecretValue(ValueFormat.STRING, _decode(secret_string))
    if secret_key_values:
        return SecretValue(ValueFormat.KEY_VALUE, _encode_key_values(secret_key_values))
    length = generate_octets or DEFAULT_GENERATED
    if not 1 <= length <= MAX_GENERATED:
        raise InvalidValue(f"generateSecret.byteLength is 1 to {MAX_GENERATED}")
    return SecretValue(ValueFormat.STRING, os.urandom(length))


def _decode(text: str) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidValue("secretString is not standard base64 with padding") from error
    if base64.b64encode(octets).decode() != text:  # the decoder lets some other spellings pass
        raise InvalidValue("secretString is not standard base64 with padding")
    if not 1 <= len(octets) <= MAX_VALUE:
        raise InvalidValue(f"secretString is 1 to {MAX_VALUE} octets, decoded")
    return octets


def _encode_key_values(items: Mapping[str, str]) -> bytes:
    try:
        total = sum(len(name.encode()) + len(value.encode()) for name, value in items.items())
    except UnicodeEncodeError as error:
        raise InvalidValue("secretKeyValues holds text that is not Unicode") from error
    if total > MAX_VALUE:
        raise InvalidValue(f"secretKeyValues has at most {MAX_VALUE} octets in its names and values together")
    if "" in items:
        raise InvalidValue("secretKeyValues has an entry without a name")
    return json.dumps(dict(items), ensure_ascii=False, separators=(",", ":")).encode()
