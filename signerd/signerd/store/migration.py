"""Bring a database to the tables this program knows.

To add or change tables: edit the Table in the package that owns it (a new MetaData goes into the list in
tables.py), then add `migrations/versions/m<next number>_<what>.py` with `revision`, `down_revision` and
`upgrade()`. Released migrations are never edited. The tests compare the outcome with the tables.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

_SCRIPTS = Path(__file__).parent / "migrations"  # plain files beside this one, also in an installed wheel


class DatabaseTooNew(Exception):
    """The database was made by a newer version of the program."""


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, all in one transaction. Nothing to do is not an error.

    Raises:
        DatabaseTooNew: The database has a migration this program does not know.
    """
    with engine.begin() as connection:
        current = read_revision(connection)
        known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
        if current is not None and current not in known:
            raise DatabaseTooNew(
                f"the database has version {current} and this program knows up to {max(known)}: "
                "it was made by a newer version of signerd"
            )
        command.upgrade(_configure(connection), "head")


def read_revision(connection: Connection) -> str | None:
    """Give the number of the newest migration of a database, None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def _configure(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
