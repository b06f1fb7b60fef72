"""What happens in a simulated history from outside. Times are true times, epoch seconds."""

from dataclasses import dataclass
from enum import StrEnum

from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.parent import ParentHabits
from signerd.timetable.policy import Step, TimetablePolicy
from signerd.timetable.state import RolloverKind


class TroubleKind(StrEnum):
    """What may go wrong for a time."""

    SIGNER = "signer"  # the control process is down; what was published is served on
    KMS = "kms"  # no key of the KMS can be used or made
    CLOCK = "clock"  # the wall clock is wrong
    PARENT = "parent"  # a name server of the parent does not answer


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong for a time.

    Attributes:
        kind: What.
        start: When it begins.
        end: When it is over.
        clock_error: Seconds that the wall clock is ahead, for a wrong clock.
    """

    kind: TroubleKind
    start: int
    end: int
    clock_error: int = 0


@dataclass(frozen=True, slots=True)
class StartCommand:
    """The operator starts a rollover."""

    kind: RolloverKind


@dataclass(frozen=True, slots=True)
class AbortCommand:
    """The operator aborts the oldest rollover."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """The operator changes the policy."""

    policy: TimetablePolicy


@dataclass(frozen=True, slots=True)
class TtlChange:
    """The TTLs of the zone change."""

    dnskey_ttl: int
    largest_ttl: int


Deed = StartCommand | AbortCommand | PolicyChange | TtlChange


@dataclass(frozen=True, slots=True)
class Scenario:
    """A zone, its surroundings, and what happens.

    Attributes:
        start: When the zone is served first.
        end: When the simulation ends.
        policy: What the operator wants at first.
        signing: How signatures are timed.
        parent: How the parent behaves.
        troubles: What goes wrong; two of the same kind do not overlap.
        deeds: What operators do, and when.
        approval_delay: How long an operator takes to approve a step, or to accept a clock that is right,
            seconds.
        approved: Steps that the operator approves; others wait on.
        dnskey_ttl: At first, seconds.
        largest_ttl: Of the zone's data at first, seconds.
        secondary_lag: How much later the last name server of the zone has what the first one has.
    """

    start: int
    end: int
    policy: TimetablePolicy
    signing: SigningPolicy
    parent: ParentHabits
    troubles: tuple[Trouble, ...] = ()
    deeds: tuple[tuple[int, Deed], ...] = ()
    approval_delay: int = 86400
    approved: frozenset[Step] = frozenset(Step)
    dnskey_ttl: int = 3600
    largest_ttl: int = 86400
    secondary_lag: int = 3600
