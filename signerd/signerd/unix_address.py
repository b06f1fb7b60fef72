"""Unix socket addresses for paths of any length.

A Unix socket address holds at most 107 octets (unix(7)); a state directory may well be deeper. The kernel
resolves the address like any path, so the long part can be taken by an open directory.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MAX_ADDRESS_OCTETS = 107


@contextmanager
def short_address(path: Path) -> Generator[str]:
    """Give an address for `path` that fits, valid inside the `with` block.

    Raises:
        OSError: The directory of `path` cannot be opened.
    """
    if len(os.fsencode(path)) <= MAX_ADDRESS_OCTETS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
