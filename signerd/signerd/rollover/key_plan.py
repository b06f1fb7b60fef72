"""Where the keys of a zone stand, for those who show it."""

from dataclasses import dataclass

from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.presence import Presence
from signerd.timetable.timetable import Outcome


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Where the keys of a zone stand, as of the last step of its timetable.

    Attributes:
        zone: Its name, without final dot.
        policy_name: Of the configuration.
        policy: What the operator wants of the keys.
        outcome: Of the last step: state, sentence, waits, problem, when it looks again.
        looked_at: When that step was, epoch seconds.
    """

    zone: str
    policy_name: str
    policy: TimetablePolicy
    outcome: Outcome
    looked_at: int

    @property
    def is_delegated(self) -> bool:
        """Whether the parent was seen to have a DS of the zone, or may still have one that is to go."""
        return any(
            key.ds.is_everywhere
            or key.ds.presence is Presence.UNRETENTIVE
            or (key.ds.is_wanted and key.ds.settles_at is not None)
            for key in self.outcome.state.keys
        )
