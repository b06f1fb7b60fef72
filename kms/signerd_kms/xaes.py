"""XAES-256-GCM: AES-256-GCM with a nonce of 24 octets (C2SP, XAES-256-GCM).

A key for each nonce is derived with the counter-mode KDF of NIST SP 800-108 on CMAC-AES-256, so random nonces
are safe without a message count.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC

from signerd_kms.errors import UnwrapFailed
from signerd_kms.memory import wipe

KEY_OCTETS = 32
NONCE_OCTETS = 24
TAG_OCTETS = 16


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Encrypt under a fresh random nonce.

    Returns:
        Nonce (24 octets), ciphertext, tag (16 octets).
    """
    nonce = os.urandom(NONCE_OCTETS)
    return nonce + encrypt(key, nonce, plaintext, associated_data)


def open_sealed(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    """Undo `seal`; the octets returned are a fresh object which the caller may wipe.

    Raises:
        UnwrapFailed: Key, associated data or any octet is not what was sealed.
    """
    if len(sealed) < NONCE_OCTETS + TAG_OCTETS:
        raise UnwrapFailed("a wrapped key is too short")
    return decrypt(key, sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], associated_data)


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Encrypt under a given nonce, for check vectors; everything else uses `seal`."""
    derived = _derive(key, nonce)
    try:
        return AESGCM(derived).encrypt(nonce[12:], plaintext, associated_data)
    finally:
        wipe(derived)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """Undo `encrypt`.

    Raises:
        UnwrapFailed: The tag does not match.
    """
    derived = _derive(key, nonce)
    try:
        return AESGCM(derived).decrypt(nonce[12:], ciphertext, associated_data)
    except InvalidTag as error:
        raise UnwrapFailed(
            "a wrapped key does not open: it, its policy or its wrapping key was changed"
        ) from error
    finally:
        wipe(derived)


def _derive(key: bytes, nonce: bytes) -> bytes:
    assert len(key) == KEY_OCTETS  # noqa: S101
    assert len(nonce) == NONCE_OCTETS  # noqa: S101
    halves: list[bytes] = []
    for counter in (1, 2):
        mac = CMAC(AES256(key))
        mac.update(bytes((0, counter)) + b"X\x00" + nonce[:12])
        halves.append(mac.finalize())
    derived = halves[0] + halves[1]
    for half in halves:
        wipe(half)
    return derived
