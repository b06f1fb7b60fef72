"""How often Python looks for reference cycles: seldom where there are large zones, and not at the end.

A zone is hundreds of thousands of tuples and dictionaries without a cycle among them, made in a few seconds.
With Python's defaults half of the time of reading it goes into looking for garbage between them.
"""

import gc

# Containers made, less those freed, until the youngest are looked through; rounds of that until the middle
# generation is, and of that until all are. What waits is some megabytes: tasks and errors make few cycles.
THRESHOLDS = (50_000, 20, 100)


def look_for_cycles_seldom() -> None:
    """Set the collector for this process; once, at its start."""
    gc.set_threshold(*THRESHOLDS)


def look_for_no_more_cycles() -> None:
    """Keep Python from looking through everything at its end, a third of the time of a short command."""
    gc.freeze()
