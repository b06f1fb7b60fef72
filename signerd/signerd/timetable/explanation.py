"""One sentence about a zone for people: where it stands, what it waits for, who must act."""

from collections.abc import Sequence
from datetime import UTC, datetime

from signerd.timetable.beginnings import find_due, find_staying
from signerd.timetable.facts import Facts
from signerd.timetable.policy import CdsPolicy, TimetablePolicy
from signerd.timetable.rollover_steps import PARENT, Wait
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
    sentences = [
        _explain_wait(rollover, wait, now)
        for rollover in state.rollovers
        for wait in waits
        if wait.number == rollover.number
    ]
    strangers = [server.name for server in facts.parent if server.has_strangers]
    if strangers:
        sentences.append(
            f"The parent has DS records of no key of this zone ({', '.join(strangers)}): remove them there."
        )
    if not sentences:
        sentences.append(_explain_rest(state, policy, facts))
    return " ".join(sentences)


def format_moment(moment: int) -> str:
    """Print a moment for people."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _explain_wait(rollover: Rollover, wait: Wait, now: int) -> str:
    kind = rollover.kind.value
    kind = kind.upper() if len(kind) == 3 else kind.capitalize()
    text = f"{kind} rollover {rollover.number}{' (aborted)' if rollover.is_aborted else ''}"
    text += f", step {wait.step}: {wait.reason}"
    if wait.until is not None:
        return f"{text}, until {format_moment(wait.until)}."
    if wait.who:
        age = "" if wait.since is None or wait.since >= now else f" since {format_moment(wait.since)}"
        return f"{text}; {wait.who} must act{age}."
    return f"{text}."


def _explain_rest(state: TimetableState, policy: TimetablePolicy, facts: Facts) -> str:
    staying = find_staying(state)
    if not staying:
        return "The zone is not signed."
    names = " and ".join(key.name for key in staying)
    awaited = [key for key in staying if key.ds.is_moving]
    if awaited and awaited[0].ds.settles_at is None:
        ways = "" if policy.cds is CdsPolicy.NEVER else " (CDS is published)"
        silent = ", ".join(server.name for server in facts.parent if server.ds is None)
        doubt = f" Not all servers of the parent answer: {silent}." if silent else ""
        first = f"Signed with {names}; the parent has no DS of {awaited[0].name} yet{ways}"
        return f"{first}: {PARENT} must act.{doubt}"
    due = find_due(state, policy)
    if not due:
        return f"Signed with {names}; nothing is due."
    kind, moment = min(due.items(), key=lambda item: item[1])
    return f"Signed with {names}; the next {kind.upper()} rollover begins on {format_moment(moment)}."
