"""Policies: named sets of rules. Of an organisation they are called roles, of a project IAM policies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.administrators import require_administrator
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, ObjectUnknown, ReadOnlyObject
from signerd.platform.iam_tables import iam_bindings, iam_policies, iam_rules
from signerd.platform.json_column import load_list
from signerd.platform.policy_rule import PolicyRule, RuleDraft, check_rule, insert_rule

MAX_CONDITIONALS_CHARACTERS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Place:
    """Where policies belong: an organisation, or one of its projects.

    Attributes:
        organisation: Identity.
        project: Identity; None for the roles of the organisation.
    """

    organisation: str
    project: str | None = None

    @property
    def noun(self) -> str:
        """What a policy is called there."""
        return "role" if self.project is None else "policy"

    @property
    def resource_type(self) -> str:
        """The type that rights and the audit know such a policy by."""
        return "iam_role" if self.project is None else "iam_policy"


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """What a policy is to be.

    Attributes:
        replicate_to_children: Whether it holds in the projects below, too.
        conditionals: JSON text; stored and shown, not enforced.
        rules: To begin with.
    """

    description: Description
    replicate_to_children: bool = False
    conditionals: str = "{}"
    rules: Sequence[RuleDraft] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with its rules, oldest first.

    Attributes:
        is_system: Built in.
        is_read_only: Neither it nor its rules can be changed; bindings can.
    """

    place: Place
    record: Described
    is_system: bool
    is_read_only: bool
    replicate_to_children: bool
    conditionals: str
    rules: tuple[PolicyRule, ...] = field(default=())


def list_policies(connection: Connection, place: Place) -> list[Policy]:
    """List the policies of a place, the built-in ones too."""
    rows = connection.execute(
        select(iam_policies)
        .where(
            iam_policies.c.organisation == place.organisation, iam_policies.c.project == (place.project or "")
        )
        .order_by(iam_policies.c.created_at, iam_policies.c.identity)
    ).mappings()
    return _join(connection, place, list(rows))


def get_policy(connection: Connection, place: Place, identity_or_slug: str) -> Policy:
    """Find a policy of a place by identity or slug.

    Raises:
        ObjectUnknown: The place has none such.
    """
    rows = connection.execute(
        select(iam_policies).where(
            iam_policies.c.organisation == place.organisation,
            iam_policies.c.project == (place.project or ""),
            (iam_policies.c.identity == identity_or_slug) | (iam_policies.c.slug == identity_or_slug),
        )
    ).mappings()
    found = _join(connection, place, list(rows))
    if not found:
        raise ObjectUnknown(place.noun)
    return found[0]


def create_policy(change: Change, place: Place, draft: PolicyDraft) -> Policy:
    """Make a policy.

    Raises:
        InvalidValue: The description, the conditionals or a rule breaks a limit.
        NameTaken: The slug is taken.
    """
    made = Described.make("iamp", draft.description, change.now)
    _require_free(change, place, made)
    _check_conditionals(draft)
    for rule in draft.rules:
        check_rule(rule)
    change.connection.execute(
        insert(iam_policies).values(
            organisation=place.organisation,
            project=place.project or "",
            system=False,
            read_only=False,
            replicate_to_children=draft.replicate_to_children,
            conditionals=draft.conditionals,
            **made.columns(),
        )
    )
    for rule in draft.rules:
        insert_rule(change, place.organisation, made.identity, rule)
    _record(change, place, "create", made.identity, {"name": made.name})
    return get_policy(change.connection, place, made.identity)


def update_policy(change: Change, place: Place, identity: str, draft: PolicyDraft) -> Policy:
    """Change a policy's description, conditionals and whether it holds below; its rules stay.

    Raises:
        ObjectUnknown: The place has none such.
        ReadOnlyObject: It is built in.
        InvalidValue: The description or the conditionals break a limit.
        NameTaken: The slug is taken.
    """
    current = require_changeable(get_policy(change.connection, place, identity))
    _check_conditionals(draft)
    if (current.record.stated, current.replicate_to_children, current.conditionals) == (
        draft.description,
        draft.replicate_to_children,
        draft.conditionals,
    ):
        return current
    new = current.record.change(draft.description, change.now)
    _require_free(change, place, new)
    change.connection.execute(
        update(iam_policies)
        .where(iam_policies.c.organisation == place.organisation, iam_policies.c.identity == new.identity)
        .values(
            replicate_to_children=draft.replicate_to_children,
            conditionals=draft.conditionals,
            **new.columns(),
        )
    )
    _record(change, place, "update", new.identity, {"name": new.name})
    return get_policy(change.connection, place, new.identity)


def delete_policy(change: Change, place: Place, identity: str) -> None:
    """Delete a policy with its rules and bindings.

    Raises:
        ObjectUnknown: The place has none such.
        ReadOnlyObject: It is built in.
        WouldLockOut: Nobody would be left who may do everything.
    """
    policy = require_changeable(get_policy(change.connection, place, identity))
    remove_policies(change, place.organisation, [policy.record.identity])
    require_administrator(change.connection, place.organisation)
    _record(change, place, "delete", policy.record.identity, {"name": policy.record.name})


def remove_policies(change: Change, organisation: str, identities: Sequence[str]) -> None:
    """Remove policies of any kind with their rules and bindings; the caller has checked and records it."""
    for table in (iam_bindings, iam_rules):
        change.connection.execute(
            delete(table).where(table.c.organisation == organisation, table.c.policy.in_(identities))
        )
    change.connection.execute(
        delete(iam_policies).where(
            iam_policies.c.organisation == organisation, iam_policies.c.identity.in_(identities)
        )
    )


def add_rule(change: Change, place: Place, identity: str, draft: RuleDraft) -> PolicyRule:
    """Add a rule to a policy.

    Raises:
        ObjectUnknown: The place has no such policy.
        ReadOnlyObject: It is built in.
        InvalidValue: The rule breaks a limit.
    """
    policy = require_changeable(get_policy(change.connection, place, identity))
    check_rule(draft)
    rule = insert_rule(change, place.organisation, policy.record.identity, draft)
    touch_policy(change, policy)
    _record(change, place, "rule.add", policy.record.identity, {"rule": rule.identity})
    return rule


def remove_rule(change: Change, place: Place, identity: str, rule: str) -> None:
    """Take a rule out of a policy.

    Raises:
        ObjectUnknown: There is no such policy or rule.
        ReadOnlyObject: It is built in.
        WouldLockOut: Nobody would be left who may do everything.
    """
    policy = get_policy(change.connection, place, identity)
    if not any(known.identity == rule for known in policy.rules):
        raise ObjectUnknown("rule")
    require_changeable(policy)
    change.connection.execute(
        delete(iam_rules).where(
            iam_rules.c.organisation == place.organisation,
            iam_rules.c.policy == policy.record.identity,
            iam_rules.c.identity == rule,
        )
    )
    touch_policy(change, policy)
    require_administrator(change.connection, place.organisation)
    _record(change, place, "rule.remove", policy.record.identity, {"rule": rule})


def require_changeable(policy: Policy) -> Policy:
    """Check that a policy is not built in.

    Raises:
        ReadOnlyObject: It is.
    """
    if policy.is_read_only:
        raise ReadOnlyObject(
            f"the {policy.place.noun} {policy.record.name} is built in and cannot be changed"
        )
    return policy


def touch_policy(change: Change, policy: Policy) -> None:
    """Raise the version of a policy after a part of it was changed; built-in ones keep theirs."""
    if not policy.is_read_only:
        new = policy.record.touch(change.now)
        change.connection.execute(
            update(iam_policies)
            .where(
                iam_policies.c.organisation == policy.place.organisation,
                iam_policies.c.identity == new.identity,
            )
            .values(updated_at=new.updated_at, object_version=new.object_version)
        )


def _check_conditionals(draft: PolicyDraft) -> None:
    if len(draft.conditionals) > MAX_CONDITIONALS_CHARACTERS:
        raise InvalidValue("conditionals", f"are longer than {MAX_CONDITIONALS_CHARACTERS} characters")


def _require_free(change: Change, place: Place, record: Described) -> None:
    scope = (iam_policies.c.organisation == place.organisation) & (
        iam_policies.c.project == (place.project or "")
    )
    require_free_slug(change.connection, iam_policies, place.noun, scope, record)


def _record(change: Change, place: Place, verb: str, identity: str, details: dict[str, str]) -> None:
    change.record(
        f"iam.{place.noun}.{verb}",
        place.organisation,
        place.resource_type,
        identity,
        project=place.project,
        details=details,
    )


def _join(connection: Connection, place: Place, rows: list[RowMapping]) -> list[Policy]:
    """Add the rules to policies."""
    if not rows:
        return []
    rules: dict[str, list[PolicyRule]] = {}
    for row in connection.execute(
        select(iam_rules)
        .where(
            iam_rules.c.organisation == place.organisation,
            iam_rules.c.policy.in_([row["identity"] for row in rows]),
        )
        .order_by(iam_rules.c.created_at, iam_rules.c.identity)
    ):
        rule = PolicyRule(
            row.identity,
            load_list(row.resources),
            load_list(row.resource_identities),
            load_list(row.permissions),
            row.note,
        )
        rules.setdefault(row.policy, []).append(rule)
    return [
        Policy(
            place,
            Described.read(row),
            bool(row["system"]),
            bool(row["read_only"]),
            bool(row["replicate_to_children"]),
            row["conditionals"],
            tuple(rules.get(row["identity"], ())),
        )
        for row in rows
    ]
