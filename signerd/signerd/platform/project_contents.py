"""What a project still holds, in whichever tables."""

from sqlalchemy import Connection, func, select

from signerd_kms.schema import keys
from signerd_secrets.schema import secrets


def count_project_contents(connection: Connection, organisation: str, project: str) -> int:
    """Count a project's keys, those pending deletion too since their time has not come, and its secrets."""
    return sum(
        connection.execute(
            select(func.count()).where(table.c.organisation == organisation, table.c.project == project)
        ).scalar_one()
        for table in (keys, secrets)
    )
