"""Cursors of lists: where the next page begins, authenticated and bound to what is listed."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from signerd.api.errors import MalformedRequest

_MAC_OCTETS = 16
_MAX_CURSOR = 512  # characters


def encode_cursor(key: bytes, bound: Sequence[str | None], position: Sequence[str | int]) -> str:
    """Make a cursor.

    Args:
        key: Secret of this server.
        bound: What is listed: organisation, place, filters. The cursor is good for nothing else.
        position: The last item before the next page.
    """
    payload = json.dumps(list(position), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_compute_mac(key, bound, payload) + payload).decode().rstrip("=")


def decode_cursor(key: bytes, bound: Sequence[str | None], text: str) -> list[str | int]:
    """Read a cursor that `encode_cursor` made for the same list.

    Raises:
        MalformedRequest: It is none.
    """
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) <= _MAX_CURSOR else b""
    except (binascii.Error, ValueError):
        octets = b""
    mac, payload = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
    if not hmac.compare_digest(mac, _compute_mac(key, bound, payload)):
        raise MalformedRequest("the cursor is not one of this list")
    position: list[str | int] = json.loads(payload)  # our own: it was authenticated
    return position


def _compute_mac(key: bytes, bound: Sequence[str | None], payload: bytes) -> bytes:
    stated = json.dumps(list(bound)).encode()
    message = len(stated).to_bytes(4, "big") + stated + payload
    return hmac.digest(key, message, hashlib.sha256)[:_MAC_OCTETS]
