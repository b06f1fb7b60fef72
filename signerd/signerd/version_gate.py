"""The gate before the publication of one zone: the validator, and what it let through."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signerd.clock import Clock
from signerd.dns.name import format_name
from signerd.dns.rdatatype import DNSKEY
from signerd.dns.zone import Zone
from signerd.validator.accepted_zone import AcceptedZone
from signerd.validator.change_validation import validate_change, validate_unsigned_change
from signerd.validator.key import matches_ds
from signerd.validator.report import Report
from signerd.validator.unsigned_zone import validate_unsigned
from signerd.validator.zone_validation import validate
from signerd.zones.pipeline import SignedVersion
from signerd.zones.unsigned_versions import is_signed

logger = logging.getLogger(__name__)

_KEPT = 2  # the newest, and the one before: which of them is published, others decide


@dataclass(frozen=True, slots=True)
class Trust:
    """What a version is judged by.

    Attributes:
        ds: RDATA of DS records that the parent may have.
        unpublished: DNSKEY RDATA of keys that may sign and are not in the zone.
    """

    ds: Sequence[bytes] = ()
    unpublished: Sequence[bytes] = ()


class VersionGate:
    """Validates the first version of a zone as a whole, and then what changes.

    What it goes on from is its own record, of this run of the process: after a start the next version is
    judged as a whole, unless `check_published` was quicker.
    """

    def __init__(self, clock: Clock, workers: int, find_trust: Callable[[Zone], Trust]) -> None:
        """Prepare.

        Args:
            clock: Tells the time that signatures are checked at.
            workers: Threads that verify signatures.
            find_trust: Says what the zone, as it is published, is to be judged by. May raise
                SigningImpossible.
        """
        self._clock = clock
        self._workers = workers
        self._find_trust = find_trust
        self._lock = threading.Lock()
        self._accepted: tuple[AcceptedZone, ...] = ()
        self._validated: Zone | None = None  # the version just now found good with nothing taken for known

    def __call__(
        self, version: SignedVersion, previous: Zone | None, progress: Callable[[int, int], None]
    ) -> Sequence[str]:
        """Give the reasons against the version; none accepts it."""
        before = next((accepted for accepted in self._accepted if accepted.zone is previous), None)
        if before is not None and (report := self._judge_change(version, before, progress)) is not None:
            return _list_findings(report)
        zone, ds, unpublished = version.zone, version.ds, version.unpublished
        if version.is_signed:
            now = self._clock.now()
            workers = self._workers
            report = validate(
                zone,
                ds=ds,
                unpublished=unpublished,
                now=now,
                previous=previous,
                workers=workers,
                progress=progress,
            )
        else:
            report = validate_unsigned(zone, previous=previous)
        if report.is_accepted:
            self._keep(AcceptedZone.record(zone, ds, unpublished))
            self._validated = zone if previous is None else None
        return _list_findings(report)

    def _judge_change(
        self, version: SignedVersion, before: AcceptedZone, progress: Callable[[int, int], None]
    ) -> Report | None:
        if version.is_signed:
            now = self._clock.now()
            judged = validate_change(
                version.zone,
                before,
                ds=version.ds,
                unpublished=version.unpublished,
                now=now,
                workers=self._workers,
                progress=progress,
            )
        else:
            judged = validate_unsigned_change(version.zone, before)
        if judged is None:
            return None
        if judged.accepted is not None:
            self._keep(judged.accepted)
        return judged.report

    def _keep(self, accepted: AcceptedZone) -> None:
        with self._lock:
            self._accepted = (accepted, *self._accepted)[:_KEPT]

    def check_published(self, zone: Zone) -> Sequence[str]:
        """Validate the published version as a whole, beside whatever else goes on; forgets it if it is bad.

        Raises:
            SigningImpossible: The keys of the zone cannot be had, so that it is not known what to expect.
        """
        if zone is self._validated:
            self._validated = None  # next time it is looked at again: its signatures grow old
            return ()
        if is_signed(zone):
            trust = self._find_trust(zone)
            # One thread: nobody waits for it, and answering and changes need their turns.
            ds = _leave_out_coming(zone, trust.ds)
            report = validate(zone, ds=ds, unpublished=trust.unpublished, now=self._clock.now())
        else:
            trust, report = Trust(), validate_unsigned(zone)
        if not report.is_accepted:
            with self._lock:
                self._accepted = ()
        elif not self._accepted:
            accepted = AcceptedZone.record(zone, trust.ds, trust.unpublished)
            with self._lock:
                self._accepted = self._accepted or (accepted,)
        logger.debug("zone %s: the published version %d was checked", format_name(zone.origin), zone.serial)
        return _list_findings(report)


def _leave_out_coming(zone: Zone, ds: Sequence[bytes]) -> Sequence[bytes]:
    """Leave out keys that the version has not, if others are left: one that comes is in the next version."""
    apex = zone.origin
    dnskeys = zone.names[apex][DNSKEY].rdatas if DNSKEY in zone.names[apex] else ()
    return [rdata for rdata in ds if any(matches_ds(apex, key, rdata) for key in dnskeys)] or ds


def _list_findings(report: Report) -> Sequence[str]:
    return [str(finding) for finding in report.findings]
