"""The operator's word that the clock is right, given when it cannot be remembered."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from pipeline_world import PipelineWorld
from signerd.zones.pipeline import SigningImpossible

DAY = 86_400


def lock(connection: Connection) -> None:
    raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))


def test_a_clock_is_accepted_only_if_that_is_remembered(tmp_path: Path) -> None:
    world = PipelineWorld(tmp_path / "state")
    world.clock.step(10 * DAY)
    event.listen(world.custody.engine, "begin", lock)
    with pytest.raises(SigningImpossible, match="database is locked"):
        world.workshop.accept_clock()
    event.remove(world.custody.engine, "begin", lock)
    with pytest.raises(SigningImpossible, match="the clock jumped"):
        world.workshop.read_signing_time()
    world.workshop.accept_clock()
    assert world.workshop.read_signing_time() == world.clock.now()
    world.close()
