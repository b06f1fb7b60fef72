"""What the first start makes: one organisation, one region, one administrator token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select

from signerd.platform import api_token
from signerd.platform.tables import organisation_gates, organisations, regions
from signerd_kms.audit import AuditEvent, AuditSink
from signerd_kms.clock import Clock
from signerd_kms.identity import new_identity
from signerd_kms.slug import make_slug

GATES = ("kms", "secrets", "dns", "projects")
ADMIN_TOKEN_LIFETIME_SECONDS = 10 * 365 * 86400  # until it is replaced: nobody may be there to renew it


class BootstrapRefused(Exception):
    """The configured names do not fit what the database holds, or are no names."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The identities a daemon works with."""

    organisation: str
    region: str


def bootstrap(
    engine: Engine,
    *,
    organisation: str,
    region: str,
    region_name: str | None = None,
    gates: Sequence[str] = GATES,
    pepper: api_token.Pepper,
    deliver_token: Callable[[str], None],
    clock: Clock,
    audit: AuditSink,
) -> Platform:
    """Make the organisation, the region and the token in one transaction, or find them.

    Args:
        engine: The database, migrated.
        organisation: Name of the organisation; its slug is what it is known by.
        region: Slug of the region, such as `nl-01`.
        region_name: Its name for people; the slug if None.
        gates: Features that are on.
        pepper: Gives the key of token MACs: `lambda: kms.derive_key(Label.TOKEN_PEPPER)`.
        deliver_token: Stores the administrator token, durably, readable by its owner only. Called at the
            first start before the commit: after a crash in between the next start delivers another.
        clock: The wall clock.
        audit: Where the making is recorded.

    Raises:
        BootstrapRefused: The database has organisations or regions, but not these: a changed name in the
            configuration would silently leave all keys behind.
    """
    slug = make_slug(organisation)
    if not slug or not organisation.isprintable():
        raise BootstrapRefused(
            f"{organisation!r} is no name of an organisation: it needs a letter or a digit"
        )
    if not region or make_slug(region) != region:
        raise BootstrapRefused(
            f"{region!r} is no slug of a region: lower-case letters, digits, single hyphens"
        )
    with engine.begin() as connection:
        found_organisation = _find(connection, "organisation", slug)
        found_region = _find(connection, "region", region)
        if found_organisation is not None and found_region is not None:
            return Platform(found_organisation, found_region)
        now = clock.now()
        if found_region is None:
            found_region = new_identity("reg")
            connection.execute(
                insert(regions).values(
                    identity=found_region,
                    name=region_name or region,
                    slug=region,
                    description="",
                    kms_available=True,
                    created_at=now,
                    updated_at=now,
                    object_version=1,
                )
            )
        if found_organisation is None:
            found_organisation = new_identity("o")
            connection.execute(
                insert(organisations).values(
                    identity=found_organisation,
                    name=organisation,
                    slug=slug,
                    description="",
                    created_at=now,
                    updated_at=now,
                    object_version=1,
                )
            )
            for gate in gates:
                connection.execute(
                    insert(organisation_gates).values(
                        organisation=found_organisation, gate=gate, enabled=True
                    )
                )
            admin_token = api_token.issue_token(
                connection,
                pepper,
                organisation=found_organisation,
                kind="admin",
                name="administrator",
                now=now,
                lifetime_seconds=ADMIN_TOKEN_LIFETIME_SECONDS,
            )
            audit.record(
                connection,
                AuditEvent(
                    now,
                    "organisation.create",
                    True,
                    found_organisation,
                    found_region,
                    resource_type="organisation",
                    resource=found_organisation,
                    details={"name": organisation},
                ),
            )
            deliver_token(admin_token)
    return Platform(found_organisation, found_region)


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
