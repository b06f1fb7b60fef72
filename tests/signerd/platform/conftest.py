from collections.abc import Iterator
from pathlib import Path

import pytest

from kms_world import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made
