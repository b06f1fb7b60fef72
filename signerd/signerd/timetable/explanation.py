"""One sentence about a zone for people: where it stands, what it waits for, who must act."""

from collections.abc import Sequence
from datetime import UTC, datetime

from signerd.timetable.beginnings import find_due, find_staying
from signerd.timetable.facts import Facts
from signerd.timetable.policy import CdsPolicy, TimetablePolicy
from signerd.timetable.rollover_steps import Wait
from signerd.timetable.state import Rollover, TimetableState


def explain(
    state: TimetableState,
    policy: TimetablePolicy,
    facts: Facts,
    waits: Sequence[Wait],
    problem: str | None,
    now: int,
) -> str:
    """Give the sentence, or several: one for each rollover."""
    if problem is not None:
        return f"Key changes have stopped: {problem}. The zone is served and signed as before."
    rollovers = {rollover.number: rollover for rollover in state.rollovers}
    sentences = [
        _explain_wait(_name_rollover(rollovers[wait.number], wait), wait, now)
        for wait in waits
        if wait.number in rollovers
    ]
    for wait in waits:
        if wait.number is None:
            is_alone = not sentences
            sentences.append(_explain_further(state, policy, wait, now, is_alone=is_alone))
    strangers = [server.name for server in facts.parent if server.has_strangers]
    if strangers:
        sentences.append(
            f"The parent has DS records of no key of this zone ({', '.join(strangers)}): remove them there."
        )
    if not sentences:
        sentences.append(_explain_rest(state, policy))
    return " ".join(sentences)


def format_moment(moment: int) -> str:
    """Print a moment for people."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _name_rollover(rollover: Rollover, wait: Wait) -> str:
    kind = rollover.kind.value
    kind = kind.upper() if len(kind) == 3 else kind.capitalize()
    text = f"{kind} rollover {rollover.number}{' (aborted)' if rollover.is_aborted else ''}"
    return f"{text}, step {wait.step}: {wait.reason}"


def _explain_further(
    state: TimetableState, policy: TimetablePolicy, wait: Wait, now: int, *, is_alone: bool
) -> str:
    """Say what the parent has to do outside of rollovers."""
    reason = wait.reason
    if wait.step is not None:
        reason = f"the policy wants no DS record (parent_ds): {reason}"
    elif policy.cds is not CdsPolicy.NEVER:
        reason += " (CDS is published)"
    if is_alone:
        reason = f"signed with {' and '.join(key.name for key in find_staying(state))}; {reason}"
    return _explain_wait(reason[0].upper() + reason[1:], wait, now)


def _explain_wait(text: str, wait: Wait, now: int) -> str:
    if wait.until is not None:
        return f"{text}, until {format_moment(wait.until)}."
    if wait.who:
        age = "" if wait.since is None or wait.since >= now else f" since {format_moment(wait.since)}"
        return f"{text}; {wait.who} must act{age}."
    return f"{text}."


def _explain_rest(state: TimetableState, policy: TimetablePolicy) -> str:
    staying = find_staying(state)
    if not staying:
        return "The zone is not signed."
    names = " and ".join(key.name for key in staying)
    due = find_due(state, policy)
    if not due:
        return f"Signed with {names}; nothing is due."
    kind, moment = min(due.items(), key=lambda item: item[1])
    return f"Signed with {names}; the next {kind.upper()} rollover begins on {format_moment(moment)}."
