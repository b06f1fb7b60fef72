"""Bindings: to whom a policy grants what its rules say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.administrators import require_administrator
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, ObjectUnknown
from signerd.platform.iam_tables import iam_bindings
from signerd.platform.json_column import dump_list, load_list
from signerd.platform.membership import find_membership
from signerd.platform.policy import Place, Policy, get_policy, touch_policy
from signerd.platform.scopes import check_scopes
from signerd.platform.service_account import ServiceAccount, load_service_accounts
from signerd.platform.team import Team, load_teams
from signerd.platform.user import User, load_users

NOUN: Final = "binding"


@dataclass(frozen=True, slots=True)
class BindingDraft:
    """What a binding is to be: exactly one of the three principals.

    Attributes:
        scopes: What requests it counts for, by the scope that their method takes; empty for all.
    """

    description: Description
    user: str | None = None
    team: str | None = None
    service_account: str | None = None
    scopes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """A stored binding with its principal."""

    policy: str
    record: Described
    user: User | None
    team: Team | None
    service_account: ServiceAccount | None
    scopes: Sequence[str]


def list_bindings(
    connection: Connection, organisation: str, policies: Sequence[str]
) -> dict[str, list[Binding]]:
    """List the bindings of policies, by the policy's identity, oldest first."""
    if not policies:
        return {}
    rows = connection.execute(
        select(iam_bindings)
        .where(iam_bindings.c.organisation == organisation, iam_bindings.c.policy.in_(policies))
        .order_by(iam_bindings.c.created_at, iam_bindings.c.identity)
    ).mappings()
    return _group(_read(connection, organisation, list(rows)))


def list_bindings_of_account(connection: Connection, organisation: str, account: str) -> list[Binding]:
    """List the bindings of a service account, in the organisation and in its projects."""
    rows = connection.execute(
        select(iam_bindings)
        .where(iam_bindings.c.organisation == organisation, iam_bindings.c.service_account == account)
        .order_by(iam_bindings.c.created_at, iam_bindings.c.identity)
    ).mappings()
    return _read(connection, organisation, list(rows))


def add_binding(change: Change, place: Place, identity: str, draft: BindingDraft) -> tuple[Policy, Binding]:
    """Bind a policy to a principal.

    Raises:
        ObjectUnknown: The place has no such policy.
        InvalidValue: There is not exactly one principal, it is unknown in the organisation, or a scope is
            unknown.
        NameTaken: The slug is taken within the policy.
    """
    policy = get_policy(change.connection, place, identity)
    _check_principal(change.connection, place.organisation, draft)
    scopes = check_scopes("scopes", draft.scopes)
    made = Described.make("iamb", draft.description, change.now)
    scope = (iam_bindings.c.organisation == place.organisation) & (
        iam_bindings.c.policy == policy.record.identity
    )
    require_free_slug(change.connection, iam_bindings, NOUN, scope, made)
    change.connection.execute(
        insert(iam_bindings).values(
            organisation=place.organisation,
            policy=policy.record.identity,
            user_subject=draft.user,
            team=draft.team,
            service_account=draft.service_account,
            scopes=dump_list(scopes),
            **made.columns(),
        )
    )
    touch_policy(change, policy)
    principal = draft.user or draft.team or draft.service_account or ""
    _record(change, place, "add", policy, {"binding": made.identity, "principal": principal})
    return policy, _find(change.connection, place, policy, made.identity)


def update_binding(
    change: Change, place: Place, identity: str, binding: str, revise: Callable[[Description], Description]
) -> tuple[Policy, Binding]:
    """Change what people say of a binding; whom it is for stays.

    Raises:
        ObjectUnknown: There is no such policy or binding.
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken within the policy.
    """
    policy = get_policy(change.connection, place, identity)
    current = _find(change.connection, place, policy, binding)
    description = revise(current.record.stated)
    if description != current.record.stated:
        new = current.record.change(description, change.now)
        scope = (iam_bindings.c.organisation == place.organisation) & (
            iam_bindings.c.policy == policy.record.identity
        )
        require_free_slug(change.connection, iam_bindings, NOUN, scope, new)
        change.connection.execute(
            update(iam_bindings)
            .where(scope, iam_bindings.c.identity == current.record.identity)
            .values(new.columns())
        )
        touch_policy(change, policy)
        _record(change, place, "update", policy, {"binding": binding})
    return policy, _find(change.connection, place, policy, binding)


def remove_binding(change: Change, place: Place, identity: str, binding: str) -> None:
    """Take a policy from a principal.

    Raises:
        ObjectUnknown: There is no such policy or binding.
        WouldLockOut: Nobody would be left who may do everything.
    """
    policy = get_policy(change.connection, place, identity)
    key = (
        (iam_bindings.c.organisation == place.organisation)
        & (iam_bindings.c.policy == policy.record.identity)
        & (iam_bindings.c.identity == binding)
    )
    if not change.connection.execute(delete(iam_bindings).where(key)).rowcount:
        raise ObjectUnknown(NOUN)
    touch_policy(change, policy)
    require_administrator(change.connection, place.organisation)
    _record(change, place, "remove", policy, {"binding": binding})


def _find(connection: Connection, place: Place, policy: Policy, identity: str) -> Binding:
    found = list_bindings(connection, place.organisation, [policy.record.identity])
    for binding in found.get(policy.record.identity, ()):
        if binding.record.identity == identity:
            return binding
    raise ObjectUnknown(NOUN)


def _check_principal(connection: Connection, organisation: str, draft: BindingDraft) -> None:
    if sum(name is not None for name in (draft.user, draft.team, draft.service_account)) != 1:
        raise InvalidValue(
            "userIdentity, teamIdentity, serviceAccountIdentity", "exactly one of them must be given"
        )
    if draft.user is not None and find_membership(connection, organisation, draft.user) is None:
        raise InvalidValue("userIdentity", "is no member of the organisation")
    if draft.team is not None and not load_teams(connection, organisation, [draft.team]):
        raise InvalidValue("teamIdentity", "is no team of the organisation")
    if draft.service_account is not None and not load_service_accounts(
        connection, organisation, [draft.service_account]
    ):
        raise InvalidValue("serviceAccountIdentity", "is no service account of the organisation")


def _record(change: Change, place: Place, verb: str, policy: Policy, details: dict[str, str]) -> None:
    change.record(
        f"iam.{place.noun}.binding.{verb}",
        place.organisation,
        place.resource_type,
        policy.record.identity,
        project=place.project,
        details=details,
    )


def _group(bindings: Sequence[Binding]) -> dict[str, list[Binding]]:
    grouped: dict[str, list[Binding]] = {}
    for binding in bindings:
        grouped.setdefault(binding.policy, []).append(binding)
    return grouped


def _read(connection: Connection, organisation: str, rows: list[RowMapping]) -> list[Binding]:
    def collect(column: str) -> list[str]:
        return [row[column] for row in rows if row[column] is not None]

    people = load_users(connection, collect("user_subject"))
    groups = load_teams(connection, organisation, collect("team"))
    accounts = load_service_accounts(connection, organisation, collect("service_account"))
    return [
        Binding(
            row["policy"],
            Described.read(row),
            people.get(row["user_subject"]),
            groups.get(row["team"]),
            accounts.get(row["service_account"]),
            load_list(row["scopes"]),
        )
        for row in rows
    ]
