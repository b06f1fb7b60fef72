import os
import re
from pathlib import Path

from signerd_kms.memory import lock


def read_flags(address: int) -> list[str]:
    """Give what the kernel knows of the pages at an address."""
    found, is_inside = "", False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if (bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)) is not None:
            is_inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif line.startswith("VmFlags:") and is_inside:
            found = line
    return found.split()[1:]


def test_locked_octets_are_neither_swapped_nor_dumped() -> None:
    secret = os.urandom(5000)
    assert lock(secret)
    for address in (id(secret) + 32, id(secret) + 32 + len(secret) - 1):
        flags = read_flags(address)
        assert "lo" in flags
        assert "dd" in flags
