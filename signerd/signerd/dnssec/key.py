"""Zone keys: DNSKEY records, and what signs with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, runtime_checkable

from signerd.dnssec.algorithm import encode_public_key

FLAG_ZONE: Final = 0x0100  # RFC 4034, section 2.1.1
FLAG_SEP: Final = 0x0001  # RFC 4034, section 2.1.1: set in KSKs and CSKs
FLAG_REVOKED: Final = 0x0080  # RFC 5011, section 2.1
ZSK_FLAGS: Final = FLAG_ZONE
KSK_FLAGS: Final = FLAG_ZONE | FLAG_SEP
_PROTOCOL = 3  # RFC 4034, section 2.1.2


@dataclass(frozen=True, slots=True)
class DnsKey:
    """A DNSKEY record.

    Attributes:
        flags: 256 for a ZSK, 257 for a KSK or CSK.
        algorithm: IANA number.
        public_key: The public key field, in the algorithm's form.
    """

    flags: int
    algorithm: int
    public_key: bytes

    @classmethod
    def from_spki(cls, spki: bytes, flags: int) -> Self:
        """Make a DNSKEY of a SubjectPublicKeyInfo (DER).

        Raises:
            UnsupportedKey: No algorithm here fits the key.
        """
        algorithm, public_key = encode_public_key(spki)
        return cls(flags, algorithm, public_key)

    @classmethod
    def from_rdata(cls, rdata: bytes) -> Self:
        """Read DNSKEY or CDNSKEY RDATA, at least 4 octets."""
        return cls(int.from_bytes(rdata[:2]), rdata[3], rdata[4:])

    @property
    def rdata(self) -> bytes:
        """DNSKEY RDATA (RFC 4034, section 2.1)."""
        return self.flags.to_bytes(2) + bytes((_PROTOCOL, self.algorithm)) + self.public_key

    @property
    def key_tag(self) -> int:
        """The key tag, 0 to 65535 (RFC 4034, appendix B)."""
        return compute_key_tag(self.rdata)

    @property
    def revoked_key_tag(self) -> int:
        """The key tag that the key has once its REVOKE flag is set (RFC 5011, section 2.1)."""
        return DnsKey(self.flags | FLAG_REVOKED, self.algorithm, self.public_key).key_tag

    @property
    def is_ksk(self) -> bool:
        """Say if the SEP flag is set."""
        return bool(self.flags & FLAG_SEP)


class SigningKey(Protocol):
    """A private key that signs for a zone; where it lives is its own affair."""

    @property
    def dnskey(self) -> DnsKey:
        """The public half."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """Sign; the result is in DNSSEC form (PKCS#1 v1.5, or r | s)."""
        ...


@runtime_checkable
class BatchSigningKey(SigningKey, Protocol):
    """A private key that does better when it is asked for many signatures at a time."""

    def sign_many(self, messages: Sequence[bytes], /) -> list[bytes]:
        """Sign each of them."""
        ...


def compute_key_tag(rdata: bytes) -> int:
    """Compute the key tag of DNSKEY RDATA, for all algorithms but 1 (RFC 4034, appendix B)."""
    total = 256 * sum(rdata[::2]) + sum(rdata[1::2])
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def clashes(key: DnsKey, other: DnsKey) -> bool:
    """Say if two keys have a key tag in common, now or once one of them is revoked.

    RFC 4034, section 8.1, allows it, but validators limit how many keys of one tag they try.
    """
    return not {key.key_tag, key.revoked_key_tag}.isdisjoint({other.key_tag, other.revoked_key_tag})
