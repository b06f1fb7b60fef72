"""The key timetables of all zones: for those who sign, and for the operator's commands."""

import threading
from collections.abc import Callable, Mapping, Sequence

from signerd.config.policy import Policy
from signerd.dns.name import BadName, Name
from signerd.dns.zone import Zone
from signerd.rollover.api_timetable import ApiZoneTimetable
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.zone_timetable import Change, StepReport, TimetableParts, ZoneTimetable
from signerd.signer.zone_key_store import ZoneKeys
from signerd.timetable.commands import RolloverRefused, abort_rollover, approve_step, start_rollover
from signerd.timetable.policy import Mode, Step
from signerd.timetable.rollover_steps import OPERATOR
from signerd.timetable.state import RolloverKind
from signerd.zones.zone_list import Source, ZoneEntry, parse_zone_name


class RolloverDesk:
    """The key timetables of all zones. Its functions block, and are for any thread."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        parts: TimetableParts,
        find_published: Callable[[Name], Zone | None],
        on_step: Callable[[StepReport], None],
        on_command: Callable[[str, Mapping[str, str | int]], None] = lambda _action, _details: None,
    ) -> None:
        """Do nothing yet.

        Args:
            policies: Of the configuration.
            parts: What the timetables share.
            find_published: Gives the version of a zone that is in service.
            on_step: Told, in any thread, of steps that commands have led to.
            on_command: Records a command that is about to be followed: its name for the audit log, and
                details. What it raises of the database refuses the command.
        """
        self._policies = policies
        self._parts = parts
        self._find_published = find_published
        self._on_step = on_step
        self._on_command = on_command
        self._lock = threading.Lock()
        self._timetables: dict[Name, ZoneTimetable] = {}

    def open(self, entry: ZoneEntry) -> ZoneTimetable:
        """Give the timetable of a zone, as its entry is now."""
        with self._lock:
            timetable = self._timetables.get(entry.name)
            if timetable is None or timetable.entry != entry:
                make = ApiZoneTimetable if entry.source is Source.API else ZoneTimetable
                timetable = make(entry, self._policies[entry.policy], self._parts)
                self._timetables[entry.name] = timetable
            return timetable

    def drop(self, name: Name) -> None:
        """Forget a zone that is served no more; its record and its keys stay."""
        with self._lock:
            self._timetables.pop(name, None)

    def load_keys(self, entry: ZoneEntry, published: Zone | None) -> ZoneKeys:
        """Give the keys of a zone for what is to be published now; see `ZoneTimetable.load_keys`."""
        return self.open(entry).load_keys(published)

    def list_plans(self) -> Sequence[KeyPlan]:
        """Give where the keys of each zone stand, by name."""
        with self._lock:
            timetables = list(self._timetables.values())
        plans = [timetable.plan for timetable in timetables]
        return sorted((plan for plan in plans if plan is not None), key=lambda plan: plan.zone)

    def start(self, zone: str, kind: RolloverKind) -> str:
        """Begin a rollover; the message says what was begun, and its number.

        Raises:
            RolloverRefused: It cannot be begun now.
        """
        timetable = self._find(zone)
        if timetable.entry.source is Source.API and kind not in (RolloverKind.ZSK, RolloverKind.KSK):
            raise RolloverRefused(
                f"zone {timetable.entry.text} is kept over the API: 'signerd dnssec enable --key' names a "
                "key of another algorithm, and 'signerd dnssec disable' has the zone go insecure"
            )
        report = self._change(
            timetable,
            lambda state, policy, now: start_rollover(state, kind, policy, now),
            "rollover.start",
            kind=kind.value,
        )
        number = report.plan.outcome.state.next_number - 1
        begun = next((other for other in report.plan.outcome.state.rollovers if other.number == number), None)
        name = kind if begun is None else begun.kind
        return f"{name} rollover {number} of zone {timetable.entry.text} has begun; {_say(report)}"

    def approve(self, zone: str, number: int, step: Step | None) -> str:
        """Let a step happen that asks for approval; None for the one that waits for it.

        Raises:
            RolloverRefused: There is no such rollover or step.
        """
        timetable = self._find(zone)
        if step is None:
            step = _find_asking(timetable.plan, number)
        wanted = step
        report = self._change(
            timetable,
            lambda state, policy, now: approve_step(state, number, wanted, policy),
            "rollover.approve",
            number=number,
            step=wanted.value,
        )
        return f"the step '{step}' of rollover {number} is approved; {_say(report)}"

    def abort(self, zone: str, number: int) -> str:
        """Turn a rollover back.

        Raises:
            RolloverRefused: There is no such rollover, or it is too late.
        """
        timetable = self._find(zone)
        report = self._change(
            timetable,
            lambda state, policy, now: abort_rollover(state, number),
            "rollover.abort",
            number=number,
        )
        return f"rollover {number} of zone {timetable.entry.text} is turned back; {_say(report)}"

    def _find(self, zone: str) -> ZoneTimetable:
        try:
            name = parse_zone_name(zone)
        except BadName as error:
            raise RolloverRefused(f"{zone!r} is no zone: {error}") from error
        with self._lock:
            timetable = self._timetables.get(name)
        if timetable is None:
            raise RolloverRefused(
                f"this server has no key timetable of a zone {zone}; 'signerd status' lists its zones"
            )
        return timetable

    def _change(
        self, timetable: ZoneTimetable, change: Change, action: str, **details: str | int
    ) -> StepReport:
        def record() -> None:
            self._on_command(action, {"zone": timetable.entry.text, **details})

        report = timetable.change(change, self._find_published(timetable.entry.name), record)
        self._on_step(report)
        return report


def _find_asking(plan: KeyPlan | None, number: int) -> Step:
    waits = () if plan is None else plan.outcome.waits
    for wait in waits:
        if plan is None or wait.number != number or wait.step is None or wait.who != OPERATOR:
            continue
        if plan.policy.find_mode(wait.step) is Mode.ASK:
            return wait.step
        raise RolloverRefused(f"no step of rollover {number} waits for approval: {wait.reason}")
    if any(wait.number == number for wait in waits):
        raise RolloverRefused(
            f"no step of rollover {number} waits for approval; 'signerd rollover status -v' shows its steps"
        )
    raise RolloverRefused(f"no rollover {number} is under way")


def _say(report: StepReport) -> str:
    return report.plan.sentence
