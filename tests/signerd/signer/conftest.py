from collections.abc import Iterator
from pathlib import Path

import pytest

from key_world import KeyWorld
from kms_world import make_world


@pytest.fixture
def key_world(tmp_path: Path) -> Iterator[KeyWorld]:
    with make_world(tmp_path) as made:
        yield KeyWorld(made)
