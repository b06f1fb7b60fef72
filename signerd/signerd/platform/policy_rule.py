"""Rules of policies as they are stored and shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert

from signerd.platform.change import Change
from signerd.platform.errors import InvalidValue
from signerd.platform.iam_tables import iam_rules
from signerd.platform.json_column import dump_list
from signerd.platform.rights import EVERYTHING, Rule
from signerd_kms.identity import new_identity

MAX_ENTRIES: Final = 256  # of one list of a rule
MAX_NOTE_CHARACTERS: Final = 1024
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_IDENTITY: Final = re.compile(r"[\x21-\x7e]{1,1024}")


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a rule is to grant; the lists as in `signerd.platform.rights.Rule`."""

    resources: Sequence[str]
    permissions: Sequence[str]
    resource_identities: Sequence[str] = ()
    note: str = ""

    @property
    def rule(self) -> Rule:
        """The form in which rights are evaluated."""
        return Rule(
            frozenset(self.resources), frozenset(self.permissions), frozenset(self.resource_identities)
        )


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """A stored rule; the lists keep their order."""

    identity: str
    resources: Sequence[str]
    resource_identities: Sequence[str]
    permissions: Sequence[str]
    note: str

    @property
    def rule(self) -> Rule:
        """The form in which rights are evaluated."""
        return Rule(
            frozenset(self.resources), frozenset(self.permissions), frozenset(self.resource_identities)
        )


def check_rule(draft: RuleDraft) -> None:
    """Check the form of a rule.

    Raises:
        InvalidValue: A list is empty that must not be, or an entry has not the form of one. A star stands for
            everything only as a whole entry, or as the last segment of a path.
    """
    for field, entries in (("resources", draft.resources), ("permissions", draft.permissions)):
        if not entries:
            raise InvalidValue(field, "must not be empty")
        if not all(entry == EVERYTHING or _WORD.fullmatch(entry) for entry in entries):
            raise InvalidValue(field, "an entry is neither a word nor *")
    for entry in draft.resource_identities:
        path = entry.removesuffix("/*") if entry.startswith("/") else entry
        if entry != EVERYTHING and (not _IDENTITY.fullmatch(entry) or "*" in path):
            raise InvalidValue(
                "resourceIdentities", "an entry is neither an identity nor a path, * or path/*"
            )
    for field, entries in (
        ("resources", draft.resources),
        ("permissions", draft.permissions),
        ("resourceIdentities", draft.resource_identities),
    ):
        if len(entries) > MAX_ENTRIES:
            raise InvalidValue(field, f"has more than {MAX_ENTRIES} entries")
    if len(draft.note) > MAX_NOTE_CHARACTERS:
        raise InvalidValue("note", f"is longer than {MAX_NOTE_CHARACTERS} characters")


def insert_rule(change: Change, organisation: str, policy: str, draft: RuleDraft) -> PolicyRule:
    """Store a rule that was checked."""
    identity = new_identity("iamr")
    change.connection.execute(
        insert(iam_rules).values(
            organisation=organisation,
            policy=policy,
            identity=identity,
            resources=dump_list(draft.resources),
            resource_identities=dump_list(draft.resource_identities),
            permissions=dump_list(draft.permissions),
            note=draft.note,
            created_at=change.now,
        )
    )
    return PolicyRule(
        identity,
        tuple(draft.resources),
        tuple(draft.resource_identities),
        tuple(draft.permissions),
        draft.note,
    )
