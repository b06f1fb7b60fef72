"""Names of hash functions on the wire."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes

from signerd_kms.errors import InvalidRequest


class HashName(StrEnum):
    """The hash functions for signatures and MACs. SHA-1 is none of them."""

    SHA2_224 = "sha2-224"
    SHA2_256 = "sha2-256"
    SHA2_384 = "sha2-384"
    SHA2_512 = "sha2-512"
    SHA3_224 = "sha3-224"
    SHA3_256 = "sha3-256"
    SHA3_384 = "sha3-384"
    SHA3_512 = "sha3-512"

    @property
    def algorithm(self) -> hashes.HashAlgorithm:
        """The function itself."""
        return _ALGORITHMS[self]

    @property
    def digest_octets(self) -> int:
        """How long its result is."""
        return _ALGORITHMS[self].digest_size

    @property
    def library_name(self) -> str:
        """What hashlib calls it."""
        return self.replace("sha2-", "sha").replace("-", "_")


_ALGORITHMS: Mapping[HashName, hashes.HashAlgorithm] = MappingProxyType(
    {
        HashName.SHA2_224: hashes.SHA224(),
        HashName.SHA2_256: hashes.SHA256(),
        HashName.SHA2_384: hashes.SHA384(),
        HashName.SHA2_512: hashes.SHA512(),
        HashName.SHA3_224: hashes.SHA3_224(),
        HashName.SHA3_256: hashes.SHA3_256(),
        HashName.SHA3_384: hashes.SHA3_384(),
        HashName.SHA3_512: hashes.SHA3_512(),
    }
)
_SPELLINGS = re.compile(r"sha-?(?P<family>[23]-)?(?P<bits>224|256|384|512)", re.ASCII)


def parse_hash_name(text: str) -> HashName:
    """Read the name of a hash function, in any case; `sha256` and `sha-256` mean `sha2-256`.

    Raises:
        InvalidRequest: It is no such name; `sha1` and `none` are not.
    """
    found = _SPELLINGS.fullmatch(text.lower()) if len(text) <= 16 else None
    if found is None:
        raise InvalidRequest(f"unknown hash algorithm; known are {', '.join(HashName)}")
    return HashName(f"sha{found['family'] or '2-'}{found['bits']}")
