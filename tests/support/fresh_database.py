"""A database whose tables are made, without the work of making them again for each test."""

import functools
import tempfile
from pathlib import Path

from sqlalchemy import Engine

from signerd.store.engine import BUSY_TIMEOUT_SECONDS, open_database
from signerd.store.migration import upgrade


def make_database(path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """Make a database as `upgrade` leaves a new one, and open it.

    The migrations run once in a process; each database is a copy of what they left.
    """
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(_run_migrations())
    return open_database(path, busy_timeout_seconds=busy_timeout_seconds)


@functools.cache
def _run_migrations() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "signerd.db"
        engine = open_database(path)
        upgrade(engine)
        engine.dispose()  # the last connection leaves everything in the one file
        return path.read_bytes()
