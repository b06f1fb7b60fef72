"""What a project still holds, in whichever tables."""

from sqlalchemy import Connection, func, select

from signerd_kms.schema import keys


def count_project_contents(connection: Connection, organisation: str, project: str) -> int:
    """Count a project's keys, those pending deletion too: their time has not come."""
    query = select(func.count()).where(keys.c.organisation == organisation, keys.c.project == project)
    return connection.execute(query).scalar_one()
