"""Decides whether the wall clock may be believed: signatures made at a wrong time make a zone bogus."""

from dataclasses import dataclass

PROGRAM_EPOCH = 1_767_225_600  # 2026-01-01: this program did not exist before, so neither can the time
MAX_ABSENCE_SECONDS = 30 * 86400
"""How far ahead of its last known time the clock may be at a start. A server that was away for longer has
no signatures left in any case, so somebody is there who can say `signerd clock accept`."""


class ClockSuspect(Exception):
    """The clock went backwards or jumped; nothing is signed until it is right again or accepted."""

    code = "signer.clock_suspect"


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """What the clock may do, in seconds.

    Attributes:
        max_jump: How far the wall clock may move against the monotonic clock while the program runs.
        backward_tolerance: How far it may be behind the latest time ever seen.
    """

    max_jump: int
    backward_tolerance: int


class ClockWatch:
    """Compares the wall clock with what is known of it. Not for use by two threads at a time."""

    def __init__(self, bounds: ClockBounds, mark: int | None) -> None:
        """Begin.

        Args:
            bounds: What the clock may do.
            mark: The latest time at which the clock was believed, from an earlier run; None for the first.
        """
        self._bounds = bounds
        self._mark = mark
        self._start: tuple[int, float] | None = None

    @property
    def mark(self) -> int | None:
        """The latest time at which the clock was believed; to be kept for the next run."""
        return self._mark

    def check(self, wall: int, monotonic: float) -> None:
        """Believe the clock, or raise.

        Args:
            wall: Epoch seconds.
            monotonic: Seconds of a clock that nobody sets.

        Raises:
            ClockSuspect: With the reason, for the operator.
        """
        if wall < PROGRAM_EPOCH:
            raise ClockSuspect(f"the clock says {wall}, a time before this program was written")
        if self._mark is not None and wall < self._mark - self._bounds.backward_tolerance:
            raise ClockSuspect(
                f"the clock went backwards: it is {self._mark - wall} s behind the latest time seen"
            )
        if self._start is None:
            if self._mark is not None and wall - self._mark > MAX_ABSENCE_SECONDS:
                days = (wall - self._mark) // 86400
                raise ClockSuspect(
                    f"the clock is {days} days ahead of the latest time seen; "
                    "if that is right, say 'signerd clock accept'"
                )
            self._start = wall, monotonic
        jump = round(wall - self._start[0] - (monotonic - self._start[1]))
        if abs(jump) > self._bounds.max_jump:
            raise ClockSuspect(
                f"the clock jumped by {jump:+d} s while the server ran; "
                "if it is right now, say 'signerd clock accept'"
            )
        if self._mark is None or wall > self._mark:
            self._mark = wall

    def accept(self, wall: int, monotonic: float) -> None:
        """Take the clock as it is for right; said by an operator."""
        self._start = wall, monotonic
        self._mark = wall
