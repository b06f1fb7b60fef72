"""How often the parent of a zone is asked."""

from dataclasses import dataclass
from typing import Final

from signerd.timetable.rollover_steps import PARENT
from signerd.timetable.timetable import Outcome

_PART_OF_AGE: Final = 0.1  # of a wait for a first DS record, which may never be meant to come


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """How often the parent is asked, seconds.

    Attributes:
        interval: When nothing is under way.
        waiting_interval: When a rollover waits for the parent.
        jitter: Part of the interval, 0 to 1, that a probe may come earlier or later.
    """

    interval: float = 3600.0
    waiting_interval: float = 60.0
    jitter: float = 0.1

    def find_next(
        self, outcome: Outcome, probed_at: int | None, now: int, chance: float, *, is_found: bool
    ) -> int:
        """Say when to ask next, epoch seconds.

        Args:
            outcome: Of the last step of the timetable.
            probed_at: When it was asked last; None if it never was.
            now: Epoch seconds.
            chance: From 0 up to 1, at random, so that zones do not ask all at once.
            is_found: Whether its servers were found last time.
        """
        if probed_at is None or probed_at > now:
            return now
        interval = self._find_interval(outcome, now, is_found=is_found)
        return probed_at + max(1, round(interval * (1 + self.jitter * (2 * chance - 1))))

    def _find_interval(self, outcome: Outcome, now: int, *, is_found: bool) -> float:
        if any(wait.number is not None and wait.who == PARENT for wait in outcome.waits):
            return self.waiting_interval
        if any(trace.settles_at is not None for trace in (key.ds for key in outcome.state.keys)):
            return self.waiting_interval  # what is about to be done rests on what the parent shows
        begun = [key.ds.since for key in outcome.state.keys if key.ds.is_moving and key.ds.since is not None]
        if not begun or not is_found:
            return self.interval
        return min(self.interval, max(self.waiting_interval, _PART_OF_AGE * (now - min(begun))))
