"""The zones that a responder serves, as one immutable value."""

from collections.abc import Mapping

from signerd.dns.name import ROOT, Name
from signerd.dns.response import Answer
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_records import PreparedDenial


class ZoneSet:
    """Zones by apex. None stands for a zone that is configured but of which there is no data yet.

    Only what it remembers for those who answer fills while it is used.
    """

    __slots__ = ("_zones", "name_denials", "referrals")

    def __init__(self, zones: Mapping[Name, ZoneIndex | None] | None = None) -> None:
        """Copy the mapping."""
        self._zones = dict(zones or {})
        # By cut, octets of the question's name, DO and limit.
        self.referrals: dict[tuple[Name, int, bool, int], Answer] = {}
        # By closest encloser and octets of the question's name.
        self.name_denials: dict[tuple[Name, int], PreparedDenial] = {}

    @property
    def zones(self) -> Mapping[Name, ZoneIndex | None]:
        """All zones; not to be changed."""
        return self._zones

    def replace(self, apex: Name, index: ZoneIndex | None) -> "ZoneSet":
        """Make a set in which one zone is another version or new."""
        return ZoneSet({**self._zones, apex: index})

    def find_apex(self, name: Name) -> Name | None:
        """Give the apex of the zone that a name belongs to: the longest match; None if no zone has it."""
        zones = self._zones
        while name not in zones:
            if name == ROOT:
                return None
            name = Name(name[1 + name[0] :])
        return name

    def find_parent_apex(self, apex: Name) -> Name | None:
        """Give the apex of the nearest zone above another zone's apex."""
        return None if apex == ROOT else self.find_apex(Name(apex[1 + apex[0] :]))
