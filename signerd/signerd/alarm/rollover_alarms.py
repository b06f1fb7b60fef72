"""What the key timetable of a zone needs of a person, as alarms of the board, and what it did, as events."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from signerd.alarm.alarm import Alarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.rollover.key_plan import KeyPlan
from signerd.timetable.duties import Duty, list_duties
from signerd.timetable.rollover_steps import OPERATOR, PARENT
from signerd.timetable.state import Rollover

SOURCE: Final = "rollover"
FIRST_DS_SECONDS: Final = 86400  # a new zone is no alarm: its operator has just been told the DS
_CLOCK_SECONDS: Final = 600  # steps of the zones' timetables that tell of one step of the clock


def find_rollover_alarms(plan: KeyPlan, now: int) -> Sequence[Alarm]:
    """Say who must act on the keys of a zone.

    Args:
        plan: Where they stand.
        now: Epoch seconds.
    """
    outcome = plan.outcome
    if outcome.problem is not None:
        text = f"key changes have stopped: {plan.problem}; the zone is served and signed as before"
        return [Alarm("rollover.stopped", text, OPERATOR)]
    kinds = {rollover.number: rollover.kind.value for rollover in outcome.state.rollovers}
    alarms = [
        alarm
        for duty in list_duties(replace(outcome, strangers=()))
        if (alarm := _turn_duty(duty, kinds, now)) is not None
    ]
    alarms = [replace(alarm, text=plan.spell_keys(alarm.text)) for alarm in alarms]
    if outcome.strangers:
        servers = ", ".join(outcome.strangers)
        text = f"the parent has DS records of no key of this zone ({servers})"
        alarms.append(Alarm("dnssec.ds_stray", text, PARENT))
    return alarms


def _turn_duty(duty: Duty, kinds: dict[int, str], now: int) -> Alarm | None:
    if duty.step is None:  # the first DS record
        if duty.since is None or now - duty.since < FIRST_DS_SECONDS:
            return None
        return Alarm("dnssec.ds_missing", duty.what, duty.who, duty.since)
    code = "rollover.operator_must_act" if duty.who == OPERATOR else "rollover.parent_must_act"
    if duty.rollover is None:
        text = f"the policy wants no DS record at the parent: {duty.what}"
    else:
        text = f"{kinds.get(duty.rollover, '')} rollover {duty.rollover}, step {duty.step}: {duty.what}"
    return Alarm(code, text, duty.who, duty.since)


class RolloverListener:
    """Hears of each step of each timetable; in the event loop, so it does not block."""

    def __init__(self, board: AlarmBoard, now: Callable[[], int]) -> None:
        """Do nothing yet.

        Args:
            board: Is told.
            now: The wall clock, epoch seconds.
        """
        self._board = board
        self._now = now
        self._known: dict[str, dict[int, Rollover]] = {}
        self._clock_told_at: int | None = None

    def __call__(self, plan: KeyPlan) -> None:
        """Take in a step."""
        zone, outcome, now = plan.zone, plan.outcome, self._now()
        rollovers = {rollover.number: rollover for rollover in outcome.state.rollovers}
        before = self._known.get(zone)
        self._known[zone] = rollovers
        if before is not None:  # of the first step since the start it is not known what is new
            self._tell_changes(zone, before, rollovers)
        if outcome.clock_step:
            self._tell_clock(outcome.clock_step, now)
        self._board.update(SOURCE, zone, find_rollover_alarms(plan, now))

    def _tell_changes(self, zone: str, before: dict[int, Rollover], after: dict[int, Rollover]) -> None:
        for number, rollover in after.items():
            name = f"{rollover.kind.value} rollover {number}"
            if number not in before:
                new, old = " and ".join(rollover.incoming), " and ".join(rollover.outgoing)
                parts = [f" from {old}" if old else "", f" to {new}" if new else ""]
                self._board.note_event("rollover.begun", zone, f"{name} has begun:{''.join(parts)}")
            elif rollover.is_aborted and not before[number].is_aborted:
                self._board.note_event("rollover.aborted", zone, f"{name} is turned back")
        for number, rollover in before.items():
            if number not in after:
                ending = "has been turned back" if rollover.is_aborted else "is finished"
                self._board.note_event(
                    "rollover.finished", zone, f"{rollover.kind.value} rollover {number} {ending}"
                )

    def _tell_clock(self, seconds: int, now: int) -> None:
        told = self._clock_told_at
        if told is not None and abs(now - told) < _CLOCK_SECONDS:  # each zone notices the same
            return
        self._clock_told_at = now
        direction = "forwards" if seconds > 0 else "backwards"
        text = f"the clock was set {direction} by {abs(seconds)} s; waits of rollovers last as long as before"
        self._board.note_event("clock.stepped", "", text)
