"""The reply to `rollover_status`, and the same for people."""

from collections.abc import Iterator

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from signerd.cli.command_errors import CommandFailed
from signerd.cli.status_table import clean_text, format_runway, format_time


class _Part(BaseModel):
    """A part of the reply; what a newer server adds is passed over. Times are seconds since 1970, UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TraceStatus(_Part):
    """What caches may hold of a record."""

    presence: str
    since: float | None = None
    settles_at: float | None = None


class KeyTraces(_Part):
    """A key, and what caches may hold of its records."""

    name: str
    tag: int | None = None
    role: str
    algorithm: int
    made_at: float | None = None
    dnskey: TraceStatus
    data: TraceStatus
    ds: TraceStatus


class DutyStatus(_Part):
    """What a person must do."""

    who: str
    what: str
    since: float | None = None
    rollover: int | None = None


class StepStatus(_Part):
    """A step of a rollover."""

    step: str
    state: str
    mode: str = "auto"
    is_approved: bool = False


class WaitStatus(_Part):
    """What a rollover waits for."""

    reason: str
    who: str = ""
    until: float | None = None
    since: float | None = None


class RolloverStatus(_Part):
    """A rollover under way."""

    number: int
    kind: str
    started_at: float | None = None
    is_aborted: bool = False
    incoming: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    steps: tuple[StepStatus, ...] = ()
    wait: WaitStatus | None = None


class PlanStatus(_Part):
    """The keys of one zone."""

    zone: str
    policy: str | None = None
    sentence: str
    duties: tuple[DutyStatus, ...] = ()
    looked_at: float | None = None
    looks_again_at: float | None = None
    denial: str | None = None
    keys: tuple[KeyTraces, ...] = ()
    rollovers: tuple[RolloverStatus, ...] = ()


class RolloverReport(_Part):
    """The whole."""

    zones: tuple[PlanStatus, ...] = ()


def read_report(reply: dict[str, object]) -> RolloverReport:
    """Read the server's reply.

    Raises:
        CommandFailed: It is not of the form that this version knows.
    """
    try:
        return RolloverReport.model_validate(reply)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CommandFailed(f"the server's reply is not understood: {place}: {first['msg']}") from error


def print_report(report: RolloverReport, now: int, *, is_verbose: bool) -> None:
    """Print a sentence for each zone, and all that is known of its keys if wished."""
    if not report.zones:
        typer.echo("no zone has a key timetable")
    for plan in report.zones:
        again = "" if is_verbose else describe_next_look(plan.looks_again_at)
        typer.echo(clean_text(f"{plan.zone}: {plan.sentence}{again}"))
        if is_verbose:
            for line in _list_details(plan, now):
                typer.echo(clean_text(f"  {line}"))


def describe_next_look(at: float | None) -> str:
    """Say when a zone is looked at again, to be put behind its sentence."""
    return "" if at is None else f" It looks again at {format_time(at)}."


def _list_details(plan: PlanStatus, now: int) -> Iterator[str]:
    looks = [f"{word} {format_time(at)}" for word, at in _list_looks(plan) if at is not None]
    yield "; ".join([f"policy {plan.policy}, {plan.denial}", *looks])
    for duty in plan.duties:
        if duty.rollover is not None:
            continue  # what the rollover waits for stands there
        yield f"{duty.who} must act{_describe_age(duty.since, now)}: {duty.what}"
    for rollover in plan.rollovers:
        yield from _list_rollover(rollover, now)
    for key in plan.keys:
        made = "to be made" if key.made_at is None else f"made {format_time(key.made_at)}"
        tag = "" if key.tag is None else f", tag {key.tag}"
        yield f"key {key.name}: {key.role.upper()}, algorithm {key.algorithm}{tag}, {made}"
        for name, trace in (("dnskey", key.dnskey), ("data", key.data), ("ds", key.ds)):
            if trace.presence != "hidden" or trace.since is not None:
                yield f"  {name + ':':<8}{_describe_trace(trace)}"


def _list_looks(plan: PlanStatus) -> tuple[tuple[str, float | None], ...]:
    return (("looked at", plan.looked_at), ("looks again at", plan.looks_again_at))


def _list_rollover(rollover: RolloverStatus, now: int) -> Iterator[str]:
    kind = rollover.kind.upper() if len(rollover.kind) == 3 else rollover.kind
    begun = "" if rollover.started_at is None else f", started {format_time(rollover.started_at)}"
    aborted = ", aborted" if rollover.is_aborted else ""
    outgoing, incoming = (" and ".join(names) or "no key" for names in (rollover.outgoing, rollover.incoming))
    keys = f"from {outgoing} to {incoming}"
    yield f"rollover {rollover.number}: {kind}, {keys}{begun}{aborted}"
    yield f"  steps: {', '.join(map(_describe_step, rollover.steps))}"
    wait = rollover.wait
    if wait is not None:
        until = "" if wait.until is None else f", until {format_time(wait.until)}"
        who = f"; {wait.who} must act" if wait.who else ""
        yield f"  waits{_describe_age(wait.since, now)}: {wait.reason}{who}{until}"


def _describe_step(step: StepStatus) -> str:
    states = {"done": " (done)", "current": " (now)"}
    mode = "" if step.mode == "auto" else ", approved" if step.is_approved else f", {step.mode}"
    return f"{step.step}{mode}{states.get(step.state, '')}"


def _describe_age(since: float | None, now: int) -> str:
    if since is None or since > now:
        return ""
    age = format_runway(max(1, int(now - since)))
    return f" since {format_time(since)} ({age})"


def _describe_trace(trace: TraceStatus) -> str:
    since = "" if trace.since is None else f" since {format_time(trace.since)}"
    settles = "" if trace.settles_at is None else f", certain at {format_time(trace.settles_at)}"
    return f"{trace.presence}{since}{settles}"
