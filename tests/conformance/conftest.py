from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from deployment import Deployment, make_deployment
from platform_api import Api, PlatformApi, serve_deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


@pytest.fixture
async def platform(deployment: Deployment) -> AsyncGenerator[PlatformApi]:
    async with serve_deployment(deployment) as served:
        yield served


@pytest.fixture
def admin(platform: PlatformApi) -> Api:
    return platform.admin
