"""The outer form of ciphertexts, signatures and MACs: `thalassa:v<version>:<base64>`."""

import base64
import binascii
import re
from dataclasses import dataclass

PREFIX = "thalassa:v"  # fixed by the wire contract
MAX_VERSION = 1 << 31
_FORM = re.compile(r"thalassa:v([1-9][0-9]{0,9}):([A-Za-z0-9+/]*={0,2})", re.ASCII)


class MalformedText(Exception):
    """A text is not of the form; what the caller tells the client is for the caller to say."""


@dataclass(frozen=True, slots=True)
class VersionedOctets:
    """Octets and the key version that made them.

    Attributes:
        version: From 1.
        octets: Never empty.
    """

    version: int
    octets: bytes

    @property
    def text(self) -> str:
        """The form on the wire."""
        return f"{PREFIX}{self.version}:{base64.b64encode(self.octets).decode()}"


def parse_versioned(text: str, *, max_octets: int) -> VersionedOctets:
    """Read the form on the wire. There is one text for each value: nothing else is accepted.

    Args:
        text: What a client sent.
        max_octets: Longest content; longer ones are refused before they are decoded.

    Raises:
        MalformedText: The text is not of the form.
    """
    if len(text) > len(PREFIX) + 12 + (max_octets + 2) // 3 * 4:
        raise MalformedText
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) > MAX_VERSION:
        raise MalformedText
    octets = decode_base64(found[2])
    if not 1 <= len(octets) <= max_octets:
        raise MalformedText
    return VersionedOctets(int(found[1]), octets)


def decode_base64(text: str) -> bytes:
    """Decode standard base64 with padding, in its canonical form only.

    Raises:
        MalformedText: Another alphabet, white space, missing padding, or bits that say nothing are set.
    """
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedText from error
    if base64.b64encode(octets).decode() != text:  # `aGVsbG9=` decodes like `aGVsbG8=`
        raise MalformedText
    return octets
