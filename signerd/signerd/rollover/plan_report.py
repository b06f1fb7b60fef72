"""Where the keys of zones stand, as JSON for machines; `ROLLOVERS.md` says what each member means."""

from signerd.rollover.key_plan import KeyPlan
from signerd.timetable.duties import Duty
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.presence import Trace
from signerd.timetable.rollover_progress import StepProgress, list_steps
from signerd.timetable.rollover_steps import Wait
from signerd.timetable.state import Rollover, TimetableKey, TimetableState

Json = dict[str, object]


def describe_plan(plan: KeyPlan) -> Json:
    """Describe the keys of a zone with all that is known of them."""
    outcome, state = plan.outcome, plan.outcome.state
    waits = {wait.number: wait for wait in outcome.waits}
    return {
        "zone": plan.zone,
        "policy": plan.policy_name,
        "sentence": plan.sentence,
        "problem": plan.problem,
        "duties": [_describe_duty(duty) for duty in plan.list_duties()],
        "looked_at": plan.looked_at,
        "looks_again_at": plan.looks_again_at,
        "clock_step": outcome.clock_step,
        "denial": state.denial,
        "keys": [_describe_key(key, plan.tags.get(key.name)) for key in state.keys],
        "coverage": [
            {"algorithm": number} | _describe_trace(trace) for number, trace in sorted(state.coverage.items())
        ],
        "rollovers": [
            _describe_rollover(state, rollover, waits.get(rollover.number), plan)
            for rollover in state.rollovers
        ],
    }


def summarise_plan(plan: KeyPlan) -> Json:
    """Describe the keys of a zone in short, for the status of everything."""
    outcome = plan.outcome
    return {
        "sentence": plan.sentence,
        "problem": plan.problem,
        "is_changing": bool(outcome.state.rollovers),
        "needs_person": bool(plan.list_duties()),
        "looks_again_at": plan.looks_again_at,
    }


def _describe_duty(duty: Duty) -> Json:
    return {
        "who": duty.who,
        "what": duty.what,
        "since": duty.since,
        "rollover": duty.rollover,
        "step": None if duty.step is None else duty.step.value,
    }


def _describe_key(key: TimetableKey, tag: int | None) -> Json:
    return {
        "name": key.name,
        "tag": tag,
        "role": key.role.value,
        "algorithm": key.algorithm,
        "made_at": key.made_at,
        "dnskey": _describe_trace(key.dnskey),
        "data": _describe_trace(key.data),
        "ds": _describe_trace(key.ds),
    }


def _describe_trace(trace: Trace) -> Json:
    return {"presence": trace.presence.value, "since": trace.since, "settles_at": trace.settles_at}


def _describe_rollover(state: TimetableState, rollover: Rollover, wait: Wait | None, plan: KeyPlan) -> Json:
    return {
        "number": rollover.number,
        "kind": rollover.kind.value,
        "started_at": rollover.started_at,
        "is_aborted": rollover.is_aborted,
        "incoming": list(rollover.incoming),
        "outgoing": list(rollover.outgoing),
        "steps": [_describe_step(step, plan.policy) for step in list_steps(state, rollover, wait)],
        "wait": None if wait is None else _describe_wait(wait, plan),
    }


def _describe_step(progress: StepProgress, policy: TimetablePolicy) -> Json:
    return {
        "step": progress.step.value,
        "state": progress.state.value,
        "mode": policy.find_mode(progress.step).value,
        "is_approved": progress.is_approved,
    }


def _describe_wait(wait: Wait, plan: KeyPlan) -> Json:
    return {
        "step": None if wait.step is None else wait.step.value,
        "reason": plan.spell_keys(wait.reason),
        "who": wait.who,
        "until": wait.until,
        "since": wait.since,
    }
