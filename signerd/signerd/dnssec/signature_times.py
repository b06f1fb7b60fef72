"""When the signatures of a zone expire, kept from one version to the next without going through them all."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

from signerd.dns.rrset import RRset

_HALF: Final = 2**31
_MASK: Final = 0xFFFFFFFF


class SignatureTimes:
    """How many signatures expire when. Few moments, since expirations fall on a grid."""

    __slots__ = ("_expirations", "_latest_inception")

    def __init__(self, expirations: Counter[bytes], latest_inception: int | None) -> None:
        """Take the parts; `count` makes them."""
        self._expirations = expirations
        # Perhaps of a signature that went: should the clock be set back, the zone is then looked at whole.
        self._latest_inception = latest_inception

    @classmethod
    def count(cls, rrsets: Iterable[RRset]) -> Self:
        """Count the signatures of RRsets."""
        times = cls(Counter(), None)
        times.add(rrsets)
        return times

    def branch(self) -> Self:
        """Give a copy, to be changed for the next version."""
        return type(self)(self._expirations.copy(), self._latest_inception)

    def add(self, rrsets: Iterable[RRset]) -> None:
        """Count the signatures of more RRsets."""
        signatures = [signature for rrset in rrsets for signature in rrset[4]]
        self._expirations.update([signature[8:12] for signature in signatures])
        for moment in {signature[12:16] for signature in signatures}:
            inception, latest = int.from_bytes(moment), self._latest_inception
            if latest is None or (inception - latest) & _MASK < _HALF:
                self._latest_inception = inception

    def forget(self, rrsets: Iterable[RRset]) -> None:
        """Take away the signatures of RRsets that were counted."""
        for rrset in rrsets:
            for signature in rrset[4]:
                expiration = signature[8:12]
                if self._expirations[expiration] == 1:
                    del self._expirations[expiration]
                else:
                    self._expirations[expiration] -= 1

    def find_next_due(self, margin: int, now: int) -> int | None:
        """Give the earliest moment when a signature is due, or an earlier one (`expiration.find_next_due`).

        Args:
            margin: So many seconds before its expiration a signature is due.
            now: RRSIG times have 32 bits (RFC 4034, section 3.1.5); taken as the nearest to this moment.
        """
        if not self._expirations:
            return None
        base = now - _HALF
        first = min((int.from_bytes(moment) - base) & _MASK for moment in self._expirations)
        due = base + first - margin
        latest = self._latest_inception
        is_to_come = latest is not None and (now - latest) & _MASK >= _HALF
        return min(due, now) if is_to_come else due  # made while the clock was ahead: no validator takes it
