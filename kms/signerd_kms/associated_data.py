"""Associated data of wrapped keys: a canonical list of fields, so that no two lists give the same octets."""

import struct
from collections.abc import Sequence

MAX_FIELDS = 255  # the count is one octet

ROOT_KEY = "signerd/rk/1"
DERIVED_KEY = "signerd/derived/1"
KEK = "signerd/kek/1"
KEY_VERSION = "signerd/kv/1"
SERVICE_KEY = "signerd/service-key/1"
WRAPPING_KEY = "signerd/wk/1"
FINGERPRINT = "signerd/fingerprint/1"
CIPHERTEXT = "signerd/enc/1"
DATA_KEY = "signerd/dek/1"


def encode_fields(fields: Sequence[bytes | str | int | bool]) -> bytes:
    """Encode a list: u8 count, then a u32 length and the octets of each field, big-endian.

    Args:
        fields: Up to 255. Text becomes UTF-8, a number decimal digits, a bool `true` or `false`.
    """
    assert len(fields) <= MAX_FIELDS  # noqa: S101
    parts = [struct.pack(">B", len(fields))]
    for item in fields:
        octets = _encode_field(item)
        parts.append(struct.pack(">I", len(octets)) + octets)
    return b"".join(parts)


def _encode_field(item: bytes | str | int | bool) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, bool):  # before int, of which bool is a kind
        return b"true" if item else b"false"
    return str(item).encode()
