"""One control process at a time on a state directory, or one command that changes it while none runs."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager

from signerd.config.state_directory import StateDirectory


class StateLocked(Exception):
    """Another process works on the state directory."""


@contextmanager
def lock_state(state: StateDirectory) -> Generator[None]:
    """Keep others away: two would publish over each other.

    Raises:
        StateLocked: Another process has it.
        OSError: The lock file cannot be made.
    """
    descriptor = os.open(state.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StateLocked(f"another signerd is running on {state.path}") from error
    else:
        yield
    finally:
        os.close(descriptor)
