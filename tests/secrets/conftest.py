from collections.abc import Iterator
from pathlib import Path

import pytest

from secrets_world import SecretsWorld, make_secrets_world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[SecretsWorld]:
    with make_secrets_world(tmp_path) as made:
        yield made
