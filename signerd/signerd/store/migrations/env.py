"""Entry point of Alembic: runs the migrations on the connection it is given, inside its transaction."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("migrations are run by signerd.store.migration.upgrade")
context.configure(connection=connection, render_as_batch=True)
context.run_migrations()
