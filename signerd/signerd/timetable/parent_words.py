"""What can be said of a parent that has not shown what is awaited, and who must act."""

from signerd.timetable.facts import Facts
from signerd.timetable.policy import TimetablePolicy


def explain_silence(facts: Facts, policy: TimetablePolicy) -> str | None:
    """Say why it is not known what all servers of the parent have, a clause; None if all answered."""
    if not facts.parent:
        if facts.is_parentless and not policy.is_ds_unwanted:
            return (
                "no name server of the parent is found, and none ever had a DS record; name the servers in "
                "'dnssec.parents', or set 'parent_ds: false' in the policy if there is no DS record and "
                "shall be none"
            )
        return "no name server of the parent is known"
    silent = [server.name for server in facts.parent if server.ds is None]
    if len(silent) == len(facts.parent):
        return f"no server of the parent answers: {', '.join(silent)}"
    return f"not all servers of the parent answer: {', '.join(silent)}" if silent else None


def explain_first_ds(name: str, facts: Facts, policy: TimetablePolicy) -> str:
    """Say how it stands with the first DS record, that of a key, a clause."""
    silence = explain_silence(facts, policy)
    if silence is not None and all(server.ds is None for server in facts.parent):
        return f"it is not known whether the parent has the DS record of {name}: {silence}"
    if silence is not None and facts.is_ds_seen(name):
        return f"the parent has the DS record of {name}, but {silence}"
    lacking = [server.name for server in facts.parent if server.ds is not None and name not in server.ds]
    if facts.is_ds_seen(name):
        return f"servers of the parent lack the DS record of {name}: {', '.join(lacking)}"
    text = f"the parent has no DS record of {name} yet"
    return text if silence is None else f"{text}, and {silence}"
