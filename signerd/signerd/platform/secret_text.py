"""Random texts that people and programs show to be let in, and how they are stored: as MACs alone.

The check at the end (CRC-32 in base62) lets scanners recognise a leaked one, and refuses a mistyped one
before the database is asked.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Callable
from typing import Final

from signerd_kms.wrapping import LiveKey

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase  # base62
ID_LENGTH: Final = 16
SECRET_LENGTH: Final = 27  # 160 random bits
CRC_LENGTH: Final = 6  # base62 of 32 bits

Pepper = Callable[[], LiveKey]
"""Gives the key of MACs, from the KMS's root key; whoever calls closes it."""


def new_text(length: int) -> str:
    """Draw random characters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def compute_mac(pepper: Pepper, text: str) -> bytes:
    """Compute what is stored of a text."""
    with pepper() as key:
        return hmac.digest(key.octets, text.encode(), hashlib.sha256)


def append_crc(body: str) -> str:
    """Add the check to a text."""
    return f"{body}_{compute_crc(body)}"


def has_crc(text: str) -> bool:
    """Say if a text ends in its check."""
    body, _, crc = text.rpartition("_")
    return hmac.compare_digest(crc.encode(), compute_crc(body).encode())


def compute_crc(body: str) -> str:
    """Compute the check of a text."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CRC_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
