"""Regions of the deployment, which all organisations share, and their zones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, true, update

from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, RegionUnknown
from signerd.platform.tables import region_zones, regions
from signerd_kms.slug import make_slug

NOUN: Final = "region"


@dataclass(frozen=True, slots=True)
class Region:
    """A place of keys and secrets.

    Attributes:
        is_kms_available: Whether keys can be made and used there.
        zones: Parts of it that fail on their own.
    """

    record: Described
    is_kms_available: bool
    zones: tuple[Described, ...] = ()


def list_regions(connection: Connection) -> list[Region]:
    """List all regions."""
    rows = connection.execute(select(regions).order_by(regions.c.created_at, regions.c.identity)).mappings()
    return _join(connection, list(rows))


def get_region(connection: Connection, identity_or_slug: str) -> Region:
    """Find a region by identity or slug, compared exactly.

    Raises:
        RegionUnknown: There is none.
    """
    rows = connection.execute(
        select(regions).where((regions.c.identity == identity_or_slug) | (regions.c.slug == identity_or_slug))
    ).mappings()
    found = _join(connection, list(rows))
    if not found:
        raise RegionUnknown
    return found[0]


@dataclass(frozen=True, slots=True)
class Place:
    """What every regional call asks about a region."""

    identity: str
    is_kms_available: bool


_FIND_PLACE: Final = select(regions.c.identity, regions.c.kms_available).where(
    (regions.c.identity == bindparam("name")) | (regions.c.slug == bindparam("name"))
)


def find_place(connection: Connection, identity_or_slug: str) -> Place:
    """Find a region without its description: in a fraction of the time, since it is asked so often.

    Raises:
        RegionUnknown: There is none.
    """
    row = connection.execute(_FIND_PLACE, {"name": identity_or_slug}).first()
    if row is None:
        raise RegionUnknown
    return Place(row.identity, bool(row.kms_available))


def create_region(
    change: Change,
    slug: str,
    description: Description,
    *,
    is_kms_available: bool = True,
    zones: Sequence[str] = (),
) -> Region:
    """Make a region.

    Args:
        change: The write.
        slug: What it is known by, such as `nl-01`; the name is for people.
        description: What people say of it.
        is_kms_available: Whether keys can be made and used there.
        zones: Slugs of its zones, such as `nl-01a`.

    Raises:
        InvalidValue: The slug is none, or the description breaks a limit.
        NameTaken: The slug is taken.
    """
    for text in (slug, *zones):
        if not text or make_slug(text) != text:
            raise InvalidValue("slug", "needs lower-case letters, digits and single hyphens")
    made = replace(Described.make("reg", description, change.now), slug=slug)
    require_free_slug(change.connection, regions, NOUN, true(), made)
    change.connection.execute(insert(regions).values(kms_available=is_kms_available, **made.columns()))
    for zone in dict.fromkeys(zones):
        part = Described.make("rz", Description(zone), change.now)
        change.connection.execute(insert(region_zones).values(region=made.identity, **part.columns()))
    change.record("region.create", None, NOUN, made.identity, region=made.identity, details={"slug": slug})
    return get_region(change.connection, made.identity)


def update_region(
    change: Change, identity: str, description: Description, *, is_kms_available: bool
) -> Region:
    """Change what people say of a region, and whether keys can be used there. The slug stays.

    Raises:
        RegionUnknown: There is none.
        InvalidValue: The description breaks a limit.
    """
    current = get_region(change.connection, identity)
    if current.record.stated == description and current.is_kms_available is is_kms_available:
        return current
    new = replace(current.record.change(description, change.now), slug=current.record.slug)
    change.connection.execute(
        update(regions)
        .where(regions.c.identity == new.identity)
        .values(kms_available=is_kms_available, **new.columns())
    )
    details = {"kms": "available" if is_kms_available else "not available"}
    change.record("region.update", None, NOUN, new.identity, region=new.identity, details=details)
    return replace(current, record=new, is_kms_available=is_kms_available)


def _join(connection: Connection, rows: list[RowMapping]) -> list[Region]:
    zones: dict[str, list[Described]] = {}
    if rows:
        found = connection.execute(
            select(region_zones)
            .where(region_zones.c.region.in_([row["identity"] for row in rows]))
            .order_by(region_zones.c.created_at, region_zones.c.slug)
        ).mappings()
        for zone in found:
            zones.setdefault(zone["region"], []).append(Described.read(zone))
    return [
        Region(Described.read(row), bool(row["kms_available"]), tuple(zones.get(row["identity"], ())))
        for row in rows
    ]
