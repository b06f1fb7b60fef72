"""Moments by zone, of which the next is found without a look at all of them."""

import heapq
from collections.abc import Iterator
from typing import Final

from signerd.dns.name import Name

_MOST_STALE: Final = 64  # entries beyond twice as many as there are zones, until they are cleared


class Alarms:
    """At most one moment for each zone, epoch seconds."""

    def __init__(self) -> None:
        """Begin without any."""
        self._moments: dict[Name, int] = {}
        self._heap: list[tuple[int, Name]] = []  # also of moments that were changed meanwhile

    def __contains__(self, name: object) -> bool:
        """Say if a zone has a moment."""
        return name in self._moments

    def __iter__(self) -> Iterator[Name]:
        """Go through the zones that have one."""
        return iter(self._moments)

    def find(self, name: Name) -> int | None:
        """Give the moment of a zone; None if it has none."""
        return self._moments.get(name)

    def set(self, name: Name, at: int) -> None:
        """Give a zone a moment, in place of the one that it has."""
        if self._moments.get(name) == at:
            return
        self._moments[name] = at
        heapq.heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._moments) + _MOST_STALE:
            self._heap = [(moment, other) for other, moment in self._moments.items()]
            heapq.heapify(self._heap)

    def discard(self, name: Name) -> None:
        """Let a zone have none."""
        self._moments.pop(name, None)

    def take_due(self, now: int) -> list[Name]:
        """Give the zones whose moment has come, the earliest first; they have none from then on."""
        due: list[Name] = []
        while (at := self.find_next()) is not None and at <= now:
            _, name = heapq.heappop(self._heap)
            del self._moments[name]
            due.append(name)
        return due

    def find_next(self) -> int | None:
        """Give the earliest moment; None if there is none."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def count_kept(self) -> int:
        """Say how many entries are held: bounded by the number of zones."""
        return len(self._heap)
