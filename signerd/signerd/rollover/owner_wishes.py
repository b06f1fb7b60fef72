"""What the timetable of a zone of the API has to do with those who decide about its DNSSEC."""

from typing import Protocol

from signerd.dnssec.key import DnsKey
from signerd.zone_dnssec.settings import DnssecSetting
from signerd.zones.zone_list import ZoneEntry


class OwnerWishes(Protocol):
    """Knows what owners of zones decided and what parents said. Blocks, and raises what the database does."""

    def find(self, entry: ZoneEntry) -> DnssecSetting | None:
        """Give what was decided about a zone; None if nothing was. Raises CustodyUnavailable."""
        ...

    def note_moments(self, setting: DnssecSetting, ds_not_before: int | None, settles_at: int | None) -> None:
        """Note when the DS may be at the parent, and when old keys or signatures leave the zone."""
        ...

    def hand_out(self, setting: DnssecSetting, key: str) -> None:
        """Have the DS of another KSK, given by its row, handed out from now on."""
        ...

    def note_retired(self, setting: DnssecSetting, key: DnsKey) -> None:
        """Record that a KSK is given up."""
        ...

    def end(self, setting: DnssecSetting) -> None:
        """Note that a zone whose owner turned DNSSEC off is to be unsigned."""
        ...


class NoOwners:
    """For servers of zones of files alone: nobody has decided anything."""

    def find(self, entry: ZoneEntry) -> DnssecSetting | None:
        """Say that nothing was decided."""

    def note_moments(self, setting: DnssecSetting, ds_not_before: int | None, settles_at: int | None) -> None:
        """Do nothing."""

    def hand_out(self, setting: DnssecSetting, key: str) -> None:
        """Do nothing."""

    def note_retired(self, setting: DnssecSetting, key: DnsKey) -> None:
        """Do nothing."""

    def end(self, setting: DnssecSetting) -> None:
        """Do nothing."""
