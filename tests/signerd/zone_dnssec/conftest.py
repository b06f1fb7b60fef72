from collections.abc import Generator
from pathlib import Path

import pytest

from deployment import Deployment, make_deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made
