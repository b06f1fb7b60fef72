"""What the first start makes: one organisation, one region, one administrator with a token.

Every later start finds them, and adds what an older version of the program did not make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from signerd.platform.api_token import ADMINISTRATOR, NewToken, issue_token
from signerd.platform.builtin_policies import provision_policies
from signerd.platform.change import Change, PlatformStore
from signerd.platform.described import Description
from signerd.platform.errors import InvalidValue
from signerd.platform.gate import Gate
from signerd.platform.iam_tables import memberships, projects
from signerd.platform.membership import Role, add_membership
from signerd.platform.organisation import create_organisation
from signerd.platform.region import create_region
from signerd.platform.secret_text import Pepper
from signerd.platform.tables import organisations, regions, tokens
from signerd.platform.user import create_user
from signerd_kms.attribution import NOBODY
from signerd_kms.slug import make_slug

ADMIN_TOKEN_LIFETIME_SECONDS: Final = 10 * 365 * 86400  # until replaced: nobody may be there to renew it
ADMIN_TOKEN_NAME: Final = "administrator"  # noqa: S105


class BootstrapRefused(Exception):
    """The configured names do not fit what the database holds, or are no names."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The identities a daemon works with."""

    organisation: str
    region: str


@dataclass(frozen=True, slots=True)
class FirstNames:
    """What the first start is to make, as the configuration names it.

    Attributes:
        organisation: Name of the organisation; its slug is what it is known by.
        region: Slug of the region, such as `nl-01`.
        region_name: Its name for people; the slug if None.
        administrator: Name of the first user.
        email: Of the first user; empty if not known.
        gates: Features that are on.
    """

    organisation: str
    region: str
    region_name: str | None = None
    administrator: str = "Administrator"
    email: str = ""
    gates: Sequence[Gate] = tuple(Gate)


def bootstrap(
    store: PlatformStore, names: FirstNames, *, pepper: Pepper, deliver_token: Callable[[str], None]
) -> Platform:
    """Make organisation, region, administrator and token in one transaction, or find them.

    Args:
        store: The database, migrated.
        names: What to make or find.
        pepper: Gives the key of token MACs.
        deliver_token: Stores the administrator token, durably, readable by its owner only. Called at the
            first start before the commit: after a crash in between the next start delivers another.

    Raises:
        BootstrapRefused: The database has organisations or regions, but not these: a changed name in the
            configuration would silently leave all keys behind. Or a name breaks a rule.
    """
    slug = make_slug(names.organisation)
    if not slug or not names.organisation.isprintable():
        raise BootstrapRefused(
            f"{names.organisation!r} is no name of an organisation: it needs a letter or a digit"
        )
    if not names.region or make_slug(names.region) != names.region:
        raise BootstrapRefused(
            f"{names.region!r} is no slug of a region: lower-case letters, digits, single hyphens"
        )

    def make(change: Change) -> Platform:
        connection = change.connection
        organisation = _find(connection, "organisation", slug)
        region = _find(connection, "region", names.region)
        if region is None:
            description = Description(names.region_name or names.region)
            region = create_region(change, names.region, description).record.identity
        if organisation is None:
            organisation = create_organisation(change, Description(names.organisation), names.gates).identity
            subject = _make_administrator(change, organisation, names)
            new = NewToken(
                ADMINISTRATOR, ADMIN_TOKEN_NAME, ADMIN_TOKEN_LIFETIME_SECONDS, subject, organisation=None
            )
            deliver_token(issue_token(connection, pepper, new, change.now)[1])
        elif not _has_members(connection, organisation):
            _adopt_tokens(change, organisation, _make_administrator(change, organisation, names))
        _add_missing_policies(change)
        return Platform(organisation, region)

    try:
        return store.change(NOBODY, make)
    except InvalidValue as error:
        raise BootstrapRefused(str(error)) from error


def _make_administrator(change: Change, organisation: str, names: FirstNames) -> str:
    """Make the first user, who runs the deployment and owns the organisation."""
    user = create_user(change, name=names.administrator, email=names.email, is_operator=True)
    add_membership(change, organisation, user.subject, Role.OWNER)
    return user.subject


def _adopt_tokens(change: Change, organisation: str, subject: str) -> None:
    """Give the tokens of a version that knew no users to the administrator."""
    change.connection.execute(
        update(tokens)
        .where(
            tokens.c.organisation == organisation,
            tokens.c.user_subject.is_(None),
            tokens.c.service_account.is_(None),
        )
        .values(user_subject=subject, organisation=None)
    )


def _has_members(connection: Connection, organisation: str) -> bool:
    query = select(memberships.c.identity).where(memberships.c.organisation == organisation)
    return connection.execute(query).first() is not None


def _add_missing_policies(change: Change) -> None:
    """Make the built-in policies that this version has and an earlier one had not."""
    for organisation in list(change.connection.execute(select(organisations.c.identity)).scalars()):
        if provision_policies(change, organisation, None):
            change.record("iam.provision", organisation, "organisation", organisation)
    for row in change.connection.execute(select(projects.c.organisation, projects.c.identity)).all():
        if provision_policies(change, row.organisation, row.identity):
            change.record("iam.provision", row.organisation, "project", row.identity, project=row.identity)


def _find(connection: Connection, kind: str, slug: str) -> str | None:
    table = organisations if kind == "organisation" else regions
    known = {
        row.slug: str(row.identity) for row in connection.execute(select(table.c.slug, table.c.identity))
    }
    if known and slug not in known:
        raise BootstrapRefused(
            f"the configuration names the {kind} {slug!r}, but the database has {', '.join(sorted(known))}; "
            "its keys belong to the one it has"
        )
    return known.get(slug)
