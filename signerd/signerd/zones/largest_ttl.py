"""The largest TTL of each version of a zone: how long resolvers may keep its data."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from operator import attrgetter, methodcaller

from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_touched_owners

_NO_TYPES: Mapping[int, RRset] = {}

# All of a zone without running Python.
_get_ttl: Callable[[RRset], int] = attrgetter("ttl")
_get_rrsets: Callable[[Mapping[int, RRset]], Iterable[RRset]] = methodcaller("values")


class LargestTtl:
    """Finds it for one version after the other; of one derived from the last, by what is different."""

    def __init__(self) -> None:
        """Know of no version."""
        self._zone: Zone | None = None
        self._counts: Counter[int] = Counter()  # RRsets of that version by TTL

    def find(self, zone: Zone) -> int:
        """Give the largest TTL of a version in seconds."""
        before, self._zone = self._zone, zone
        if zone is not before:
            touched = None if before is None else find_touched_owners(before, zone)
            if before is None or touched is None:
                self._counts = Counter(_list_ttls(zone.names.values()))
            else:
                self._counts.subtract(_list_ttls(_list_types(before, touched.names)))
                self._counts.update(_list_ttls(_list_types(zone, touched.names)))
                self._counts = +self._counts  # what is left to be counted
        return max(self._counts)


def _list_types(zone: Zone, owners: Iterable[Name]) -> list[Mapping[int, RRset]]:
    return [zone.names.get(owner, _NO_TYPES) for owner in owners]


def _list_ttls(types: Iterable[Mapping[int, RRset]]) -> Iterable[int]:
    return map(_get_ttl, chain.from_iterable(map(_get_rrsets, types)))


def find_largest_ttl(zone: Zone) -> int:
    """Give the largest TTL of a zone in seconds."""
    return max(_list_ttls(zone.names.values()))
