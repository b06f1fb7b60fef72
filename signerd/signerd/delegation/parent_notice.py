"""When the parent of a zone is notified that CDS and CDNSKEY changed, and when that is given up."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from signerd.delegation.parent_notifier import NoticeOutcome, NoticeResult
from signerd.dns.name import Name
from signerd.dns.rdatatype import CDNSKEY, CDS
from signerd.dns.zone import Zone

RETRY_SECONDS: Final = (60, 300, 1800, 7200, 21600, 43200)
"""From a failed attempt to the next; after the last the parent is left to find out by itself."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one parent is told, or was.

    Attributes:
        zone: The apex of the child.
        digest: Of the records that it is about.
        changed_at: When they were first published, epoch seconds.
        next_at: When it is notified; None if that is over.
        attempts: How many there were.
        tried_at: When the last one was; None before the first.
        outcome: Of the last one.
    """

    zone: Name
    digest: bytes
    changed_at: int
    next_at: int | None
    attempts: int = 0
    tried_at: int | None = None
    outcome: NoticeOutcome | None = None

    def note(self, outcome: NoticeOutcome, now: int) -> "Notice":
        """Give the notice after an attempt."""
        is_over = outcome.is_final or self.attempts >= len(RETRY_SECONDS)
        next_at = None if is_over else now + RETRY_SECONDS[self.attempts]
        return replace(self, next_at=next_at, attempts=self.attempts + 1, tried_at=now, outcome=outcome)

    @property
    def problem(self) -> str | None:
        """Why the parent does not know of the change; None if it does, may yet, or wants no notices."""
        if self.next_at is not None or self.outcome is None:
            return None
        if self.outcome.result in (NoticeResult.TAKEN, NoticeResult.NO_ENDPOINT):
            return None
        return f"its parent took no notice of its CDS: {self.outcome.endpoint} {self.outcome.detail}"


def digest_child_ds(zone: Zone) -> bytes | None:
    """Give a digest of CDS and CDNSKEY at the apex, signatures left out; None if there are none."""
    apex = zone.names[zone.origin]
    found = [apex[number] for number in (CDS, CDNSKEY) if number in apex]
    if not found:
        return None
    digest = hashlib.sha256()
    for rrset in found:
        digest.update(rrset.type.to_bytes(2) + len(rrset.rdatas).to_bytes(2))
        for rdata in sorted(rrset.rdatas):
            digest.update(len(rdata).to_bytes(2) + rdata)
    return digest.digest()


def find_change(known: Notice | None, zone: Zone, now: int, delay_seconds: int) -> Notice | None:
    """Give the notice that a version of a zone calls for.

    Args:
        known: The last one of the zone.
        zone: The version, which is in service.
        now: Epoch seconds.
        delay_seconds: For all name servers of the zone to get the version (RFC 9859, section 4.2).

    Returns:
        The known one if it is about the same records; None if the zone has none, so that their return is a
        change.
    """
    digest = digest_child_ds(zone)
    if digest is None:
        return None
    if known is not None and known.digest == digest:
        return known
    return Notice(zone.origin, digest, now, now + delay_seconds)
