"""How a zone is signed."""

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_VALIDITY = 2**31 - 1  # beyond it RRSIG times wrap (RFC 4034, section 3.1.5)
_LONGEST_BATCH = 3600
_LEAST_BATCHES = 48


class Denial(StrEnum):
    """How the absence of names and types is proved."""

    NSEC3 = "nsec3"
    NSEC = "nsec"


class ImpossibleSigningPolicy(ValueError):
    """The times of a policy contradict each other."""

    code = "dnssec.impossible_policy"


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """How a zone is signed. Times are seconds.

    Attributes:
        validity_seconds: Longest time from signing to expiration.
        refresh_margin_seconds: A signature is due when no more than this is left of it.
        inception_offset_seconds: Inception lies this far before the time of signing, for validators whose
            clock is slow.
        denial: NSEC3 or NSEC.
        nsec3_iterations: Extra rounds of hashing; 0 (RFC 9276, section 3.1).
        nsec3_salt: At most 255 octets; empty (RFC 9276, section 3.1).
        dnskey_ttl: TTL of DNSKEY, CDS and CDNSKEY.
        publish_cds: Whether CDS and CDNSKEY are published.
    """

    validity_seconds: int = 14 * 86400
    refresh_margin_seconds: int = 7 * 86400
    inception_offset_seconds: int = 3600
    denial: Denial = Denial.NSEC3
    nsec3_iterations: int = 0
    nsec3_salt: bytes = b""
    dnskey_ttl: int = 3600
    publish_cds: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.refresh_margin_seconds < self.validity_seconds:
            raise ImpossibleSigningPolicy(
                f"validity {self.validity_seconds} s is not larger than the refresh margin "
                f"{self.refresh_margin_seconds} s, or that is not positive"
            )
        if self.inception_offset_seconds < 0:
            raise ImpossibleSigningPolicy(f"inception offset {self.inception_offset_seconds} s is negative")
        if self.validity_seconds + self.inception_offset_seconds > _LONGEST_VALIDITY:
            raise ImpossibleSigningPolicy(f"validity {self.validity_seconds} s is too long for RRSIG times")
        if len(self.nsec3_salt) > 255 or not 0 <= self.nsec3_iterations < 65536:
            raise ImpossibleSigningPolicy("NSEC3 takes a salt of 255 octets and 65535 iterations at most")

    @property
    def spread_seconds(self) -> int:
        """Expirations are spread over this much time: half of the time that a signature is in use."""
        return (self.validity_seconds - self.refresh_margin_seconds) // 2

    @property
    def batch_seconds(self) -> int:
        """Expirations of a zone fall on a grid this wide: it is refreshed no oftener."""
        in_use = self.validity_seconds - self.refresh_margin_seconds
        return max(1, min(_LONGEST_BATCH, in_use // _LEAST_BATCHES))
