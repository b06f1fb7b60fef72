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
