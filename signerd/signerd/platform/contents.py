"""What a project, an organisation or a region still holds, in whichever tables."""

from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, func, select

from signerd.dns_zones.tables import dns_zones
from signerd_kms.schema import keys
from signerd_secrets.schema import secrets

TABLES: Final[tuple[Table, ...]] = (keys, secrets, dns_zones)
"""Those whose rows belong to a project: they have the columns `organisation` and `project`."""

PLACED: Final[tuple[Table, ...]] = (keys, secrets)
"""Those whose rows are in a region."""


def count_project_contents(connection: Connection, organisation: str, project: str) -> int:
    """Count a project's keys, secrets and zones; keys pending deletion too, for they may be wanted back."""
    return sum(
        _count(connection, table, table.c.organisation == organisation, table.c.project == project)
        for table in TABLES
    )


def count_organisation_contents(connection: Connection, organisation: str) -> int:
    """Count an organisation's keys, secrets and zones, in whichever project; likewise."""
    return sum(_count(connection, table, table.c.organisation == organisation) for table in TABLES)


def count_region_contents(connection: Connection, region: str) -> int:
    """Count the keys and secrets of all organisations in a region; likewise."""
    return sum(_count(connection, table, table.c.region == region) for table in PLACED)


def _count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
