"""The rule that nobody locks an organisation: somebody must stay who may do everything."""

from sqlalchemy import Connection, or_, select

from signerd.platform.errors import WouldLockOut
from signerd.platform.iam_tables import iam_bindings, iam_policies, iam_rules, memberships, team_members
from signerd.platform.json_column import load_list
from signerd.platform.rights import Rule


def require_administrator(connection: Connection, organisation: str) -> None:
    """Check that an owner is left, or a user who may do everything by a role of the organisation.

    Service accounts do not count: their secrets may be lost. Call it after the change, in its transaction.

    Raises:
        WouldLockOut: Nobody is left.
    """
    owner = select(memberships.c.identity).where(
        memberships.c.organisation == organisation, memberships.c.role == "OWNER"
    )
    if connection.execute(owner).first() is not None:
        return
    bound = (
        select(iam_rules.c.resources, iam_rules.c.permissions, iam_rules.c.resource_identities)
        .join(
            iam_policies,
            (iam_policies.c.organisation == iam_rules.c.organisation)
            & (iam_policies.c.identity == iam_rules.c.policy),
        )
        .join(
            iam_bindings,
            (iam_bindings.c.organisation == iam_rules.c.organisation)
            & (iam_bindings.c.policy == iam_rules.c.policy),
        )
        .outerjoin(
            team_members,
            (team_members.c.organisation == iam_bindings.c.organisation)
            & (team_members.c.team == iam_bindings.c.team),
        )
        .where(
            iam_rules.c.organisation == organisation,
            iam_policies.c.project == "",
            iam_bindings.c.scopes == "[]",  # a limited binding may not reach everything
            or_(iam_bindings.c.user_subject.is_not(None), team_members.c.user_subject.is_not(None)),
        )
    )
    for row in connection.execute(bound):
        rule = Rule(
            frozenset(load_list(row.resources)),
            frozenset(load_list(row.permissions)),
            frozenset(load_list(row.resource_identities)),
        )
        if rule.is_unlimited:
            return
    raise WouldLockOut
