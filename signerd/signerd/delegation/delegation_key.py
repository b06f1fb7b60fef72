"""A DNSKEY as the parent sees it: its tag and its digests.

Computed here, apart from the signer, from the RDATA alone: `signerd ds` needs nothing else.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from signerd.dns.name import Name, fold_case

PROTOCOL: Final = 3  # the only one (RFC 4034, section 2.1.2)
_HEADER_OCTETS: Final = 4


class DigestType(IntEnum):
    """The digests that are exported (RFC 8624, section 3.3: never SHA-1 or GOST)."""

    SHA_256 = 2
    SHA_384 = 4


class BadKey(ValueError):
    """The octets are not the RDATA of a DNSKEY that can be delegated to."""


@dataclass(frozen=True, slots=True)
class DelegationKey:
    """The fields of a DNSKEY (RFC 4034, section 2)."""

    flags: int
    protocol: int
    algorithm: int
    public_key: bytes

    @property
    def rdata(self) -> bytes:
        """The RDATA of the DNSKEY record."""
        return self.flags.to_bytes(2) + bytes((self.protocol, self.algorithm)) + self.public_key

    @property
    def is_secure_entry_point(self) -> bool:
        """Say if the parent is to point to it (RFC 4034, section 2.1.1)."""
        return bool(self.flags & 0x0001)

    @property
    def is_revoked(self) -> bool:
        """Say if it must no longer be trusted (RFC 5011, section 2.1)."""
        return bool(self.flags & 0x0080)

    @property
    def key_tag(self) -> int:
        """The key tag (RFC 4034, appendix B)."""
        rdata = self.rdata
        total = sum(rdata[1::2]) + (sum(rdata[::2]) << 8)
        return (total + (total >> 16)) & 0xFFFF


def read_key(rdata: bytes) -> DelegationKey:
    """Read the RDATA of a DNSKEY.

    Raises:
        BadKey: Too short, of another protocol, or no zone key (RFC 4034, section 2.1.1).
    """
    if len(rdata) <= _HEADER_OCTETS:
        raise BadKey(f"DNSKEY of {len(rdata)} octets")
    flags, protocol, algorithm = int.from_bytes(rdata[:2]), rdata[2], rdata[3]
    if protocol != PROTOCOL or not flags & 0x0100:
        raise BadKey(f"DNSKEY with flags {flags} and protocol {protocol} is no zone key")
    return DelegationKey(flags, protocol, algorithm, rdata[_HEADER_OCTETS:])


def make_digest(zone: Name, key: DelegationKey, digest_type: DigestType) -> bytes:
    """Compute the digest of a DS record (RFC 4034, section 5.1.4; RFC 4509; RFC 6605)."""
    algorithm = hashlib.sha256 if digest_type is DigestType.SHA_256 else hashlib.sha384
    return algorithm(fold_case(zone) + key.rdata).digest()
