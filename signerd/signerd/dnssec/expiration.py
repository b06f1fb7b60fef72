"""When signatures expire: spread over time, the same for the same zone and time, and due in batches.

Each RRset has a fraction of its own, from a hash of its owner and type. Signatures made together expire
spread over `SigningPolicy.spread_seconds`, and as each RRset keeps its own period they drift further apart
with every round. Expirations are rounded down to a grid whose offset follows from the zone's name, so that
what is due is due in batches, and zones that were signed together are not refreshed together.
"""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.policy import SigningPolicy

_MODULUS: Final = 2**32
_HALF: Final = 2**31
_MASK: Final = 0xFFFFFFFF
_MIX: Final = 0x9E3779B1  # odd, so that types have different seeds: 2**32 divided by the golden ratio


class ExpirationSchedule:
    """Gives each RRset of a zone its expiration, for one moment of signing."""

    __slots__ = ("_batch", "_grid", "_latest", "_width")

    def __init__(self, zone: Name, policy: SigningPolicy, now: int) -> None:
        """Prepare for signatures made at one moment.

        Args:
            zone: The apex.
            policy: Its validity and margin decide the spread.
            now: Time of signing, epoch seconds.
        """
        self._batch = policy.batch_seconds
        self._grid = crc32(zone) % self._batch
        self._latest = now + policy.validity_seconds
        self._width = policy.spread_seconds + 1

    def expire(self, owner: Name, rdatatype: int) -> int:
        """Give the expiration of an RRset's new signature, epoch seconds."""
        moment = self._latest - crc32(owner, rdatatype * _MIX & _MASK) % self._width
        return moment - (moment - self._grid) % self._batch


def find_first_expiration(rrsets: Iterable[RRset], now: int) -> int | None:
    """Give the moment when the first signature expires, epoch seconds; None if there is no signature.

    Args:
        rrsets: For example all of a zone.
        now: RRSIG times have 32 bits (RFC 4034, section 3.1.5); they are taken as the nearest to this moment.
    """
    base = now - _HALF
    first = _MODULUS
    convert = int.from_bytes
    for rrset in rrsets:
        for signature in rrset[4]:
            distance = (convert(signature[8:12]) - base) & _MASK
            if distance < first:
                first = distance
    return None if first == _MODULUS else base + first


def find_runway(zone: Zone, now: int) -> int | None:
    """Give the seconds until the first signature expires, negative when one has; None if unsigned."""
    first = find_first_expiration(zone.iterate_rrsets(), now)
    return None if first is None else first - now


def find_next_due(zone: Zone, policy: SigningPolicy, now: int) -> int | None:
    """Give the earliest moment when a signature of a zone is due, epoch seconds; None if unsigned.

    One whose inception is still to come is due now: it was made while the clock was ahead, and no validator
    takes it.
    """
    first = find_first_expiration(zone.iterate_rrsets(), now)
    if first is None:
        return None
    due = first - policy.refresh_margin_seconds
    return min(due, now) if has_inception_to_come(zone.iterate_rrsets(), now) else due


def has_inception_to_come(rrsets: Iterable[RRset], now: int) -> bool:
    """Say if a signature is not valid yet (RFC 4034, section 3.1.5)."""
    # The signatures of a zone share few inceptions, so each one is looked at once.
    inceptions = {signature[12:16] for rrset in rrsets for signature in rrset[4]}
    return any((now - int.from_bytes(inception)) & _MASK >= _HALF for inception in inceptions)
