import os

import pytest
from hypothesis import settings

# In CI the same examples each time: a change is judged by what it changed. Elsewhere new ones are sought.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("seek", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "seek")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that none of them is what one process does alone in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
