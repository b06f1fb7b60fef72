"""Identities: opaque random names on the wire, such as `kms-d9537foqog6c73bedc70`."""

import base64
import re
import secrets

IDENTITY_LENGTH = 20  # characters after the prefix, 5 random bits each
_OCTETS = 13  # the fewest that have as many bits
_PREFIX = re.compile(r"[a-z]{1,8}")


def new_identity(prefix: str) -> str:
    """Make an identity of 100 random bits.

    Args:
        prefix: What the thing is: 1 to 8 lower-case letters, such as `kms`.

    Returns:
        The prefix, a hyphen, and 20 characters of lower-case base32hex.
    """
    assert _PREFIX.fullmatch(prefix)  # noqa: S101
    text = base64.b32hexencode(secrets.token_bytes(_OCTETS)).decode()  # RFC 4648, section 7
    return f"{prefix}-{text[:IDENTITY_LENGTH].lower()}"
