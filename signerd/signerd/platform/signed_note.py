"""Signed notes (C2SP signed-note) with Ed25519."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"  # signature type of the specification
_MARK: Final = "\u2014 "  # em dash and space begin each signature line
_KEY_ID_OCTETS: Final = 4


class NoteRefused(Exception):
    """The note is malformed, or none of the known keys has signed it."""


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A named public key.

    Attributes:
        name: No spaces, no plus sign.
        public_key: 32 octets.
    """

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """What tells a signature line which key made it, 4 octets."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[
            :_KEY_ID_OCTETS
        ]

    def __str__(self) -> str:
        """Give the text form: `<name>+<hex key id>+<base64 of type and key>`."""
        key = base64.b64encode(_ED25519 + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            NoteRefused: It is none.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            octets = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise NoteRefused("the public key is no base64") from error
        if not name or len(octets) != 33 or octets[:1] != _ED25519:
            raise NoteRefused("the public key is no Ed25519 key of a signed note")
        verifier = cls(name, octets[1:])
        if verifier.key_id.hex() != key_id:
            raise NoteRefused("the key id of the public key does not fit it")
        return verifier


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class NoteSigner:
    """A named private key. No repr: it would end up in a log."""

    name: str
    key: Ed25519PrivateKey

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Self:
        """Make the key from its 32 octets."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def verifier(self) -> NoteVerifier:
        """The public half."""
        return NoteVerifier(self.name, self.key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Make a note of a text whose last line is ended."""
        assert text.endswith("\n")  # noqa: S101  # the format has no other texts
        signature = base64.b64encode(self.verifier.key_id + self.key.sign(text.encode())).decode()
        return f"{text}\n{_MARK}{self.name} {signature}\n"


def open_note(note: str, verifiers: Iterable[NoteVerifier]) -> str:
    """Give the text of a note that one of the keys has signed.

    Raises:
        NoteRefused: It is malformed, or none has.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteRefused("the note is malformed")
    text += "\n"
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    for line in signatures[:-1].split("\n"):
        name, _, encoded = line.removeprefix(_MARK).partition(" ")
        if not line.startswith(_MARK):
            raise NoteRefused("the note is malformed")
        try:
            octets = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise NoteRefused("the note is malformed") from error
        verifier = known.get((name, octets[:_KEY_ID_OCTETS]))
        if verifier is None:
            continue  # a signature by another, such as a witness
        try:
            Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(
                octets[_KEY_ID_OCTETS:], text.encode()
            )
        except InvalidSignature as error:
            raise NoteRefused("the signature of the note is wrong") from error
        return text
    raise NoteRefused("the note is not signed by a known key")
