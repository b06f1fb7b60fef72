"""What a person has to do, so that the keys of a zone can go on."""

from dataclasses import dataclass

from signerd.timetable.policy import Step
from signerd.timetable.rollover_steps import OPERATOR, PARENT
from signerd.timetable.timetable import Outcome


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that only a person can do.

    Attributes:
        who: Must act.
        what: The reason, a clause without a full stop.
        since: From when it waits, epoch seconds; None if unknown.
        rollover: Number of the rollover that waits; None if it is none of them.
        step: At which that rollover is; None for the first DS record.
    """

    who: str
    what: str
    since: int | None = None
    rollover: int | None = None
    step: Step | None = None


def list_duties(outcome: Outcome) -> tuple[Duty, ...]:
    """Say who must do what, as of a step of the timetable; nothing if time alone must pass."""
    if outcome.problem is not None:
        return (Duty(OPERATOR, f"key changes have stopped: {outcome.problem}"),)
    duties = [
        Duty(wait.who, wait.reason, wait.since, wait.number, wait.step) for wait in outcome.waits if wait.who
    ]
    if outcome.strangers:
        servers = ", ".join(outcome.strangers)
        duties.append(Duty(PARENT, f"the parent has DS records of no key of this zone ({servers})"))
    return tuple(duties)
