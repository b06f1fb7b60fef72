from collections.abc import Iterator
from pathlib import Path

import pytest

from kms_world import World, make_world
from signerd_kms.kms import Kms


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made


@pytest.fixture
def kms(world: World) -> Kms:
    return world.open()
