"""Decides for each version of a zone whether it is signed, and takes note of how that goes."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from signerd.clock import Clock
from signerd.dns.name import Name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec.expiration import find_first_expiration
from signerd.zones.dnssec_settings import SigningLog
from signerd.zones.pipeline import SignedVersion, SigningImpossible, ZoneSigner
from signerd.zones.unsigned_versions import UnsignedVersions, is_signed
from signerd.zones.zone_list import Source, ZoneEntry


class ChosenSigner:
    """Signs the versions of one zone or leaves them unsigned, as is decided at the time."""

    def __init__(
        self,
        entry: ZoneEntry,
        is_to_be_signed: Callable[[ZoneEntry, Zone | None], bool],
        signer: ZoneSigner,
        is_api_zone: Callable[[Name], bool],
        log: SigningLog,
        clock: Clock,
    ) -> None:
        self._is_api_zone = is_api_zone
        self._entry = entry
        self._is_to_be_signed = is_to_be_signed
        self._signer = signer
        self._log = log
        self._clock = clock
        self._unsigned = UnsignedVersions()

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        """Say when the published version must be replaced; None for now."""
        with self._noting_failure(published):
            return self._choose(published).find_due(published, unsigned)

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        """Make a version."""
        with self._noting_failure(previous):
            version = self._choose(previous).sign(unsigned, previous, serial, progress)
        if version.problem is not None:
            self._note_failure(version.problem, version.zone)
        elif version.is_signed and self._entry.source is Source.API:
            self._log.note_signed(self._entry, self._clock.now())
        return version

    @contextmanager
    def _noting_failure(self, published: Zone | None) -> Generator[None]:
        try:
            yield
        except SigningImpossible as error:
            self._note_failure(str(error), published)
            raise

    def _note_failure(self, reason: str, published: Zone | None) -> None:
        if self._entry.source is not Source.API:
            return
        until = None
        if published is not None:
            until = find_first_expiration(published.iterate_rrsets(), self._clock.now())
        self._log.note_failed(self._entry, reason, until)

    def _choose(self, published: Zone | None) -> ZoneSigner:
        if self._entry.is_lost and self._is_api_zone(self._entry.name):
            raise SigningImpossible(f"zone {self._entry.text} is kept over the API and about to be taken in")
        if self._entry.is_lost and published is not None:  # nobody is left to ask: it stays what it is
            return self._signer if is_signed(published) else self._unsigned
        return self._signer if self._is_to_be_signed(self._entry, published) else self._unsigned
