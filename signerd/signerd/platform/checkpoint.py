"""Checkpoints of audit chains: C2SP tlog-checkpoint texts, with two extension lines."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Self

_ORIGIN: Final = "signerd/"


class CheckpointMalformed(Exception):
    """The text is no checkpoint of an audit chain."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is said of a chain at one moment.

    Attributes:
        instance: Identity of the KMS instance.
        chain: Identity of the organisation, or `instance`.
        start: Entries before the tree: 0, or as many as a break that was acknowledged left behind.
        sequence: Of the newest entry.
        root: Merkle tree hash over the records of entries start + 1 to sequence.
        chain_hash: Hash of the chain up to sequence.
    """

    instance: str
    chain: str
    start: int
    sequence: int
    root: bytes
    chain_hash: bytes

    def render(self) -> str:
        """Give the text that is signed."""
        return (
            f"{_ORIGIN}{self.instance}/{self.chain}\n{self.sequence - self.start}\n{_encode(self.root)}\n"
            f"start {self.start}\nchain {_encode(self.chain_hash)}\n"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of an opened note.

        Raises:
            CheckpointMalformed: It says something else.
        """
        lines = text.split("\n")
        try:
            origin, size, root, start, chain_hash, end = lines
            prefix, instance, chain = origin.split("/")
            found = cls(
                instance,
                chain,
                int(start.removeprefix("start ")),
                int(start.removeprefix("start ")) + int(size),
                base64.b64decode(root, validate=True),
                base64.b64decode(chain_hash.removeprefix("chain "), validate=True),
            )
        except (ValueError, binascii.Error) as error:
            raise CheckpointMalformed("the text is no checkpoint of an audit chain") from error
        if end or prefix + "/" != _ORIGIN or found.render() != text:
            raise CheckpointMalformed("the text is no checkpoint of an audit chain")
        return found


def name_key(instance: str) -> str:
    """Give the name of the key that signs the checkpoints of an instance."""
    return _ORIGIN + instance


def _encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
