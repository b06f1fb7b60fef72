"""The operator's commands on key rollovers, as they arrive on the control socket."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import trio

from signerd.config.spelling import suggest
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.plan_report import describe_plan
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.policy import Step
from signerd.timetable.state import RolloverKind
from signerd.zones.zone_list import format_zone_name, parse_zone_name

_STARTABLE = (RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.CSK, RolloverKind.ALGORITHM)


class Rollovers(Protocol):
    """What commands do to the key timetables of zones.

    Zones are named without final dot. What changes something blocks, and raises `RolloverRefused` if it
    cannot be done; its message says what to do.
    """

    def list_plans(self) -> Sequence[KeyPlan]:
        """Give where the keys of each zone stand; callable in any thread."""
        ...

    def start(self, zone: str, kind: RolloverKind) -> str:
        """Begin a rollover; the message says what was begun, and its number."""
        ...

    def approve(self, zone: str, number: int, step: Step | None) -> str:
        """Let a step happen that asks for approval; None for the one that waits for it."""
        ...

    def abort(self, zone: str, number: int) -> str:
        """Turn a rollover back."""
        ...


async def carry_out_rollover_command(
    rollovers: Rollovers | None, request: Mapping[str, object]
) -> dict[str, object]:
    """Carry one command out.

    Raises:
        RolloverRefused: It cannot be done; the message is for the operator.
        BadName: The zone is no domain name.
    """
    if rollovers is None:
        raise RolloverRefused("this server carries no key timetables out")
    match request:
        case {"command": "rollover_status"}:
            zone = request.get("zone")
            name = _read_zone(zone) if isinstance(zone, str) else None
            return await trio.to_thread.run_sync(_describe_plans, rollovers, name)
        case {"command": "rollover_start", "zone": str() as zone, "kind": str() as kind}:
            arguments = _read_zone(zone), _read_kind(kind)
            return {"message": await trio.to_thread.run_sync(rollovers.start, *arguments)}
        case {"command": "rollover_approve", "zone": str() as zone, "number": int() as number}:
            step = _read_step(request.get("step"))
            return {
                "message": await trio.to_thread.run_sync(rollovers.approve, _read_zone(zone), number, step)
            }
        case {"command": "rollover_abort", "zone": str() as zone, "number": int() as number}:
            return {"message": await trio.to_thread.run_sync(rollovers.abort, _read_zone(zone), number)}
        case _:
            raise RolloverRefused(f"{request.get('command')!r} lacks a zone, a kind or a number")


def _describe_plans(rollovers: Rollovers, name: str | None) -> dict[str, object]:
    plans = sorted(rollovers.list_plans(), key=lambda plan: plan.zone)
    wanted = plans if name is None else [plan for plan in plans if plan.zone == name]
    if name is not None and not wanted:
        near = suggest(name, [plan.zone for plan in plans])
        hint = near or ", or no step of it could be taken since the start: see 'signerd alarm list'"
        raise RolloverRefused(f"zone {name} has no key timetable here{hint}")
    return {"zones": [describe_plan(plan) for plan in wanted]}


def _read_zone(text: str) -> str:
    return format_zone_name(parse_zone_name(text))


def _read_kind(text: str) -> RolloverKind:
    if text in _STARTABLE:
        return RolloverKind(text)
    known = ", ".join(_STARTABLE)
    if text in list(RolloverKind):
        raise RolloverRefused(
            f"a change of the kind {text!r} begins by itself when the policy of the zone asks for it; "
            f"{known} can be started"
        )
    raise RolloverRefused(f"{text!r} is no kind of rollover; write one of {known}{suggest(text, _STARTABLE)}")


def _read_step(value: object) -> Step | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in list(Step):
        raise RolloverRefused(f"{value!r} is no step; steps are {', '.join(Step)}")
    return Step(value)
