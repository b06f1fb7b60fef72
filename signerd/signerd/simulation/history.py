"""What was served in a simulated history, and what happened. Times are true times, epoch seconds."""

from dataclasses import dataclass, field
from typing import NamedTuple


class ServedKey(NamedTuple):
    """A key as a resolver sees it."""

    name: str
    algorithm: int


class Signature(NamedTuple):
    """A signature as a resolver sees it."""

    key: ServedKey
    inception: int
    expiration: int


@dataclass(frozen=True, slots=True)
class ServedSet:
    """One version of an RRset on one name server.

    Attributes:
        server: Name of the name server.
        rrset: What it is: `DS`, `DNSKEY`, or owner and type of data.
        start: When it was given first.
        end: When it was given last.
        ttl: Seconds.
        keys: Keys in it, or pointed to by it; empty for data.
        signatures: Over it; empty for DS, which the parent signs.
    """

    server: str
    rrset: str
    start: int
    end: int
    ttl: int
    keys: frozenset[ServedKey]
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        at: When.
        text: For people.
        is_for_person: Whether a person must act.
    """

    at: int
    text: str
    is_for_person: bool = False


@dataclass(slots=True)
class History:
    """Collects what was served and what happened."""

    start: int
    end: int
    served: list[ServedSet] = field(default_factory=list[ServedSet])
    events: list[Event] = field(default_factory=list[Event])
    _open: dict[tuple[str, str], ServedSet] = field(default_factory=dict[tuple[str, str], ServedSet])

    def serve(self, version: ServedSet, overlap: int = 0) -> None:
        """Note that a server gives a new version of an RRset from its start on, until the next one.

        Args:
            version: Its end does not matter.
            overlap: For how long an instance of the server may go on giving the former version.
        """
        place = version.server, version.rrset
        former = self._open.get(place)
        if former is not None:
            if (former.ttl, former.keys, former.signatures) == (
                version.ttl,
                version.keys,
                version.signatures,
            ):
                return
            self._close(former, version.start + overlap)
        self._open[place] = version

    def drop(self, server: str, rrset: str, at: int) -> None:
        """Note that a server gives an RRset no more."""
        former = self._open.pop((server, rrset), None)
        if former is not None:
            self._close(former, at)

    def finish(self) -> None:
        """End the history."""
        for version in self._open.values():
            self._close(version, self.end)
        self._open.clear()

    def look(self, end: int) -> "History":
        """Give what was served until a moment as a finished history; this one goes on."""
        look = History(self.start, end, list(self.served), list(self.events), dict(self._open))
        look.finish()
        return look

    def note(self, at: int, text: str, *, is_for_person: bool = False) -> None:
        """Note an event."""
        self.events.append(Event(at, text, is_for_person))

    def _close(self, version: ServedSet, end: int) -> None:
        if end > version.start:
            self.served.append(
                ServedSet(
                    version.server,
                    version.rrset,
                    version.start,
                    end,
                    version.ttl,
                    version.keys,
                    version.signatures,
                )
            )
