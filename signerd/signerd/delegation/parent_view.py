"""What the parent says of a zone: the answers of all its name servers to the question for the DS set."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

NO_SIGHTINGS: Final[Mapping[bytes, "Sighting"]] = {}


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one name server of the parent said.

    Attributes:
        server: Its address and port, as people write them.
        at: When, epoch seconds.
        ds: RDATA of the DS records; None if it gave no answer that counts.
        ttl: Of the DS set, seconds; 0 if there is none.
        error: Why the answer does not count; None if it does.
        is_ignored: Whether somebody declared the server dead, and it gave no answer: nobody waits for it.
    """

    server: str
    at: int
    ds: frozenset[bytes] | None
    ttl: int = 0
    error: str | None = None
    is_ignored: bool = False


def mark_ignored(answers: Iterable[ServerAnswer], ignored: Collection[str]) -> tuple[ServerAnswer, ...]:
    """Note in answers which of the silent servers nobody waits for; what a server does say always counts.

    Args:
        answers: Of a probe.
        ignored: Servers, as in the answers.
    """
    return tuple(
        replace(answer, is_ignored=answer.ds is None and answer.server in ignored) for answer in answers
    )


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a DS record was at the parent.

    Attributes:
        ttl: The longest that it was seen with, seconds.
        seen_at: When a server gave it last.
        gone_at: When all servers were first found to be without it; None as long as one may have it. A
            resolver may have asked right before.
    """

    ttl: int
    seen_at: int
    gone_at: int | None = None


@dataclass(frozen=True, slots=True)
class ParentView:
    """What is known of the parent.

    Attributes:
        answers: Of the last probe, one for each server.
        sightings: Every DS record that was ever seen, and when.
        problem: Why the servers of the parent could not be found; None if they were.
    """

    answers: tuple[ServerAnswer, ...] = ()
    sightings: Mapping[bytes, Sighting] = field(default_factory=lambda: NO_SIGHTINGS)
    problem: str | None = None

    @property
    def counted(self) -> Sequence[ServerAnswer]:
        """The answers that count."""
        return [answer for answer in self.answers if answer.ds is not None]

    @property
    def is_complete(self) -> bool:
        """Whether all servers of the parent answered, those apart that are ignored."""
        return bool(self.counted) and all(
            answer.ds is not None or answer.is_ignored for answer in self.answers
        )

    @property
    def ds_anywhere(self) -> frozenset[bytes]:
        """DS records that at least one server has."""
        return frozenset[bytes]().union(*(answer.ds or () for answer in self.answers))

    def take_in(self, answers: Sequence[ServerAnswer], now: int) -> "ParentView":
        """Give the view after a probe of all servers.

        A DS record counts as gone once every server has answered without it; a server that does not answer
        may still have it.

        Args:
            answers: One for each server.
            now: Epoch seconds.
        """
        view = ParentView(tuple(answers), self.sightings)
        sightings = dict(self.sightings)
        present = view.ds_anywhere
        for rdata in present:
            ttls = [answer.ttl for answer in view.counted if answer.ds and rdata in answer.ds]
            earlier = sightings.get(rdata)
            # one that came back within its TTL may be in caches with the longer TTL of before
            sightings[rdata] = Sighting(max([*ttls, *([earlier.ttl] if earlier else [])]), now)
        if view.is_complete:
            for rdata, sighting in self.sightings.items():
                if rdata not in present and sighting.gone_at is None:
                    sightings[rdata] = Sighting(sighting.ttl, sighting.seen_at, now)
        return ParentView(tuple(answers), sightings)

    def fail(self, problem: str) -> "ParentView":
        """Give the view after a probe that found no server: nothing is known of now, nothing is forgotten."""
        return ParentView((), self.sightings, problem)
