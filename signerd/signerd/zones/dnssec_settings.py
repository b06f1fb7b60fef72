"""Which zones are signed."""

from typing import Protocol

from signerd.zones.zone_list import Source, ZoneEntry


class DnssecSettings(Protocol):
    """Knows what was decided for each zone. Asked in worker threads before each version, so it may block."""

    def is_signed(self, entry: ZoneEntry) -> bool:
        """Say if the versions of a zone are to be signed.

        Raises:
            SigningImpossible: That cannot be found out now; nothing is published until it can.
        """
        ...


class SignFiles:
    """Zones of files are signed by their policy; those of the API are not until somebody turns it on."""

    def is_signed(self, entry: ZoneEntry) -> bool:
        """Say if the zone is one of a file."""
        return entry.source is Source.FILE


class SigningLog(Protocol):
    """Takes note of how the signing of a zone of the API goes.

    Called in worker threads. Nothing that fails in here keeps a zone from being signed.
    """

    def note_signed(self, entry: ZoneEntry, at: int) -> None:
        """Note that a version was signed at a time, epoch seconds."""
        ...

    def note_failed(self, entry: ZoneEntry, reason: str, signatures_until: int | None) -> None:
        """Note that none could be signed, and when the first signature in service expires."""
        ...


class NoSigningLog:
    """For zones of files: the state of the zone says it all."""

    def note_signed(self, entry: ZoneEntry, at: int) -> None:
        """Do nothing."""

    def note_failed(self, entry: ZoneEntry, reason: str, signatures_until: int | None) -> None:
        """Do nothing."""
