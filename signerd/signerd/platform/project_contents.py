"""What a project still holds, in whichever tables."""

from typing import Final

from sqlalchemy import Connection, Table, func, select

from signerd.dns_zones.tables import dns_zones
from signerd_kms.schema import keys
from signerd_secrets.schema import secrets

TABLES: Final[tuple[Table, ...]] = (keys, secrets, dns_zones)
"""Those whose rows belong to a project: they have the columns `organisation` and `project`."""


def count_project_contents(connection: Connection, organisation: str, project: str) -> int:
    """Count a project's keys, secrets and zones; keys pending deletion too, for they may be wanted back."""
    return sum(
        connection.execute(
            select(func.count())
            .select_from(table)
            .where(table.c.organisation == organisation, table.c.project == project)
        ).scalar_one()
        for table in TABLES
    )
