"""Wrapping under a key of 32 octets in software, with an id so that an old and a new key can coexist."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from signerd_kms.errors import RootKeyRefused, UnwrapFailed
from signerd_kms.wrapping import SUITE_XAES_256_GCM, LiveKey, WrappedKey, derive, unwrap, wrap

SEAL_KEY_OCTETS = 32
MAX_SEAL_KEY_TEXT = 256  # base64 of the key is 44 octets; more is read so that messages can say how much

KeySource = Callable[[], AbstractContextManager[LiveKey]]

SUITE_NAMED_KEY = 2  # then the id of the seal's key, then a wrapped key of suite 1
_KEY_ID_OCTETS = 8


def read_seal_key(live: LiveKey, place: str) -> LiveKey:
    """Read a seal's key: 32 octets as they are, or in base64, with or without a line end.

    Args:
        live: What was read; taken over.
        place: Where it was read, for messages.

    Raises:
        RootKeyRefused: It is neither.
    """
    octets = len(live.octets)
    if octets == SEAL_KEY_OCTETS:
        return live
    with live:
        decoded = _decode_base64(live.octets)
    if decoded is not None and len(decoded.octets) == SEAL_KEY_OCTETS:
        return decoded
    raise RootKeyRefused(
        f"{place} has {octets} octets; it must have {SEAL_KEY_OCTETS}, or be the base64 of so many"
    )


def _decode_base64(octets: bytes) -> LiveKey | None:
    text = bytearray(octets)
    while text.endswith((b"\n", b"\r")):
        del text[-1]
    try:
        return LiveKey(base64.b64decode(text, validate=True))
    except binascii.Error:
        return None
    finally:
        text[:] = bytes(len(text))


def compute_key_id(key: LiveKey) -> bytes:
    """Compute the id of a seal's key: 8 octets that tell keys apart and nothing else of them."""
    return derive(key.octets, b"signerd/seal-key-id")[:_KEY_ID_OCTETS]


def wrap_under(key: LiveKey, secret: bytes, associated_data: bytes) -> WrappedKey:
    """Wrap under a seal's key, and note which it was."""
    inner = wrap(key, secret, associated_data)
    return WrappedKey(bytes((SUITE_NAMED_KEY,)) + compute_key_id(key) + inner.octets, inner.key_check)


def unwrap_under(
    sources: Sequence[Callable[[], AbstractContextManager[LiveKey]]],
    wrapped: WrappedKey,
    associated_data: bytes,
) -> LiveKey:
    """Unwrap with the key it was wrapped under.

    Args:
        sources: Give the seal's keys, the current one first.
        wrapped: Of suite 2, or of suite 1 as made before seal keys had ids.
        associated_data: As at wrapping.

    Raises:
        UnwrapFailed: None of the keys is the one, or something was changed.
    """
    key_id, inner = _split(wrapped)
    known: list[str] = []
    for source in sources:
        with source() as key:
            found = compute_key_id(key)
            if key_id is not None and not hmac.compare_digest(found, key_id):
                known.append(found.hex())
                continue
            try:
                return unwrap(key, inner, associated_data, locked=True)
            except UnwrapFailed:
                if key_id is not None:
                    raise
                known.append(found.hex())
    wanted = f"the seal key {key_id.hex()}" if key_id is not None else "a seal key"
    raise UnwrapFailed(f"it was wrapped under {wanted}; the seal has {', '.join(known)}")


def _split(wrapped: WrappedKey) -> tuple[bytes | None, WrappedKey]:
    octets = wrapped.octets
    if octets[:1] == bytes((SUITE_XAES_256_GCM,)):
        return None, wrapped
    if octets[:1] != bytes((SUITE_NAMED_KEY,)):
        raise UnwrapFailed("the root key was not wrapped by a seal of this kind")
    return octets[1 : 1 + _KEY_ID_OCTETS], WrappedKey(octets[1 + _KEY_ID_OCTETS :], wrapped.key_check)
