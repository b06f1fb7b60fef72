"""Whether the claims of a verified token are those that a federated identity asks for. Pure."""

from collections.abc import Mapping, Sequence
from typing import cast

from signerd.platform.federated_identity import AudienceMatchMode, ConditionValue, IdentityDraft


def matches_claims(wanted: IdentityDraft, claims: Mapping[str, object]) -> bool:
    """Say if subject, audience and all conditions are met."""
    subject = claims.get("sub")
    return (
        isinstance(subject, str)
        and matches_pattern(wanted.subject, subject)
        and matches_audience(wanted.audience_mode, wanted.audiences, _list_audiences(claims))
        and all(
            name in claims and _meets(condition, claims[name])
            for name, condition in wanted.conditions.items()
        )
    )


def matches_pattern(pattern: str, text: str) -> bool:
    """Say if a text is like a pattern in which `*` stands for any run of characters, an empty one too."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    position = len(first)
    *middle, last = rest
    for part in middle:  # the leftmost place is always as good as a later one, so no search goes back
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(text) - len(last) >= position and text.endswith(last)


def matches_audience(mode: AudienceMatchMode, trusted: Sequence[str], found: Sequence[str]) -> bool:
    """Say if the audiences of a token meet the trusted ones."""
    wanted, present = set(trusted), set(found)
    if mode is AudienceMatchMode.EXACT:
        return wanted == present
    if mode is AudienceMatchMode.ALL:
        return bool(wanted) and wanted <= present
    return not wanted.isdisjoint(present)


def _list_audiences(claims: Mapping[str, object]) -> list[str]:
    value = claims.get("aud")
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _meets(condition: ConditionValue, claim: object) -> bool:
    if isinstance(claim, list):
        return any(_meets(condition, item) for item in cast("list[object]", claim))
    if isinstance(condition, str):
        return isinstance(claim, str) and matches_pattern(condition, claim)
    if isinstance(condition, bool | int):
        return type(claim) is type(condition) and claim == condition
    return any(_meets(item, claim) for item in condition)
