"""The lock that every responder holds on the directory of published zones which it serves.

Responders share their addresses (SO_REUSEPORT), so the kernel would let those of two servers share one,
too, and give each a part of the queries. The lock tells responders that a dead control process left from
strangers.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_serving_lock(published: Path) -> Generator[None]:
    """Show that a responder serves the directory, until the block ends or the process dies.

    Raises:
        OSError: There is no such directory, or its file system has no locks.
    """
    descriptor = os.open(published, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # a control process that looks for the lock holds it for a moment: wait for that
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_served(published: Path) -> bool:
    """Say if any responder serves the directory; True also if that cannot be found out."""
    try:
        descriptor = os.open(published, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
