"""Where the keys of a zone stand, for those who show it."""

from dataclasses import dataclass

from signerd.timetable.policy import TimetablePolicy
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
