"""Which steps a rollover has taken, and which are to come."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from signerd.timetable.policy import Step
from signerd.timetable.presence import NEVER_THERE, Presence
from signerd.timetable.rollover_steps import Wait
from signerd.timetable.state import Rollover, RolloverKind, TimetableState


class StepState(StrEnum):
    """How far a step is."""

    DONE = "done"
    CURRENT = "current"
    TO_COME = "to-come"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """One step of a rollover.

    Attributes:
        step: Which.
        state: How far it is.
        is_approved: The operator let it happen.
    """

    step: Step
    state: StepState
    is_approved: bool


_EXISTING_ALGORITHM: Final = (Step.MAKE, Step.PUBLISH, Step.SIGN)
_NEW_ALGORITHM: Final = (Step.MAKE, Step.SIGN, Step.PUBLISH)
_PARENT: Final = (Step.DELEGATE, Step.CONFIRM)
_LAST: Final = (Step.WITHDRAW, Step.FORGET)


def list_steps(state: TimetableState, rollover: Rollover, wait: Wait | None) -> tuple[StepProgress, ...]:
    """List the steps of a rollover in their order.

    Args:
        state: Of the timetable.
        rollover: One of its rollovers.
        wait: What it waits for; None if that is not known.
    """
    steps = _order_steps(state, rollover)
    undone = [step for step in steps if not _is_done(state, rollover, step)]
    current = wait.step if wait is not None else next(iter(undone), None)

    def find_state(step: Step) -> StepState:
        if step is current:
            return StepState.CURRENT
        return StepState.TO_COME if step in undone else StepState.DONE

    return tuple(StepProgress(step, find_state(step), step in rollover.approved) for step in steps)


def _order_steps(state: TimetableState, rollover: Rollover) -> tuple[Step, ...]:
    incoming, outgoing = state.select(rollover.incoming), state.select(rollover.outgoing)
    is_new = bool({key.algorithm for key in incoming} - {key.algorithm for key in outgoing})
    steps: tuple[Step, ...] = ()
    if incoming:
        # keys of a zone that had none are published with their signatures: one version has both
        steps = _NEW_ALGORITHM if is_new and outgoing else _EXISTING_ALGORITHM
        if not any(key.role.signs_data for key in incoming):
            steps = (Step.MAKE, Step.PUBLISH)
    if rollover.kind is not RolloverKind.ZSK and state.may_have_ds:
        steps += _PARENT
    return (*steps, *(_LAST if outgoing else (Step.FORGET,)))


def _is_done(state: TimetableState, rollover: Rollover, step: Step) -> bool:
    incoming, outgoing = state.select(rollover.incoming), state.select(rollover.outgoing)
    match step:
        case Step.MAKE:
            return all(key.made_at is not None for key in incoming)
        case Step.PUBLISH:
            return all(key.dnskey.is_everywhere for key in incoming)
        case Step.SIGN:
            algorithms = {key.algorithm for key in incoming}
            return (
                all(key.data.is_wanted for key in incoming if key.role.signs_data)
                and all(state.coverage.get(number, NEVER_THERE).is_everywhere for number in algorithms)
                and all(key.data.is_gone for key in outgoing if key.algorithm in algorithms)
            )
        case Step.DELEGATE:  # each server of the parent was seen to have done it
            # none comes if the policy wants none
            coming = [key.ds for key in incoming if key.role.signs_keys and not key.ds.is_gone]
            going = [key.ds for key in outgoing if key.role.signs_keys]
            return all(
                trace.is_wanted and (trace.is_everywhere or trace.settles_at is not None) for trace in coming
            ) and all(
                trace.is_gone or (trace.presence is Presence.UNRETENTIVE and trace.settles_at is not None)
                for trace in going
            )
        case Step.CONFIRM:
            return all(key.ds.is_everywhere or key.ds.is_gone for key in incoming) and all(
                key.ds.is_gone for key in outgoing
            )
        case Step.WITHDRAW:
            return all(key.dnskey.is_gone and key.data.is_gone for key in outgoing)
        case Step.FORGET:
            return False  # a rollover that has forgotten its keys is over
