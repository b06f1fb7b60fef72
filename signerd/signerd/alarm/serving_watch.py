"""Looks whether what is published is also answered for: a zone that no responder has is an alarm."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from signerd.alarm.alarm import Alarm
from signerd.alarm.alarm_board import AlarmBoard

SERVING: Final = "serving"
PATIENCE_SECONDS: Final = 60.0  # responders come back by themselves, and large zones take a while to load


@dataclass(frozen=True, slots=True)
class Serving:
    """Who answers for what.

    Attributes:
        published: Zones with a published version, by name without final dot.
        unserved: Those of them that no responder has loaded.
        running: Responders that run and are heard of.
        wanted: Responders that there shall be.
    """

    published: Collection[str]
    unserved: Collection[str]
    running: int
    wanted: int


class ServingWatch:
    """Looks, and tells the board what has been so for a while."""

    def __init__(
        self, find_serving: Callable[[], Serving], board: AlarmBoard, monotonic: Callable[[], float]
    ) -> None:
        """Do nothing yet.

        Args:
            find_serving: Says who answers for what.
            board: Is told.
            monotonic: A clock that nobody sets, seconds.
        """
        self._find_serving = find_serving
        self._board = board
        self._monotonic = monotonic
        self._unserved: dict[str, float] = {}
        self._lacking_since: float | None = None

    def look(self) -> None:
        """Look once; for a worker thread."""
        serving, now = self._find_serving(), self._monotonic()
        self._unserved = {zone: self._unserved.get(zone, now) for zone in serving.unserved}
        for zone in serving.published:
            since = self._unserved.get(zone)
            if since is None:
                self._board.update(SERVING, zone, ())
            elif (
                now - since >= PATIENCE_SECONDS
            ):  # before that it is not known: it may go on from before a restart
                text = "no responder has loaded it: it is published, and not answered for"
                self._board.update(SERVING, zone, [Alarm("zone.not_served", text, "the operator")])
        if serving.running >= serving.wanted:
            self._lacking_since = None
        elif self._lacking_since is None:
            self._lacking_since = now
        since = self._lacking_since
        if since is None:
            self._board.update(SERVING, "", ())
        elif now - since >= PATIENCE_SECONDS:
            text = f"{serving.running} of {serving.wanted} responders run"
            self._board.update(SERVING, "", [Alarm("responder.down", text, "the operator")])
