"""What happens to versions is kept: in order, together, and not for ever."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, select

from pipeline_world import FakeClock
from signerd.custody import CustodyUnavailable
from signerd.dns.name import parse_name
from signerd.event_log import KEPT_EVENTS, EventLog
from signerd.store.engine import open_database
from signerd.store.zone_tables import metadata, zone_events
from signerd.zones.pipeline import Stage

ZONE, OTHER = parse_name("one.test."), parse_name("other.test.")
STAGES = (Stage.LOADED, Stage.CHECKED, Stage.SIGNED, Stage.VALIDATED, Stage.PUBLISHED)


@pytest.fixture
def engine(tmp_path: Path) -> Generator[Engine]:
    made = open_database(tmp_path / "signerd.db")
    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def log(engine: Engine) -> EventLog:
    return EventLog(lambda: engine, FakeClock(), None)


def list_events(engine: Engine, zone: str = "one.test") -> Sequence[tuple[str, int | None]]:
    query = select(zone_events).where(zone_events.c.zone == zone).order_by(zone_events.c.id)
    with engine.connect() as connection:
        return [(row.stage, row.serial) for row in connection.execute(query)]


def test_the_stages_of_a_version_are_stored_by_one_commit_with_the_last(
    engine: Engine, log: EventLog
) -> None:
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    for stage in STAGES[:-1]:
        log.record(ZONE, stage, 7, "")
    assert list_events(engine) == []
    log.record(ZONE, STAGES[-1], 7, "")
    assert list_events(engine) == [(stage.value, 7) for stage in STAGES]
    assert len(commits) == 1


@pytest.mark.parametrize("last", [Stage.REJECTED, Stage.FAILED])
def test_what_came_to_nothing_is_stored_at_once(engine: Engine, log: EventLog, last: Stage) -> None:
    log.record(ZONE, Stage.LOADED, 7, "")
    log.record(ZONE, last, None, "why")
    assert list_events(engine) == [("loaded", 7), (last.value, None)]


def test_what_takes_long_is_stored_before_it_is_done(engine: Engine, log: EventLog) -> None:
    log.record(ZONE, Stage.LOADED, 7, "")
    log.record(OTHER, Stage.LOADED, 3, "")
    log.store()
    log.store()
    assert (list_events(engine), list_events(engine, "other.test")) == ([("loaded", 7)], [("loaded", 3)])


def test_only_the_newest_events_of_a_zone_are_kept(engine: Engine, log: EventLog) -> None:
    log.record(OTHER, Stage.PUBLISHED, 1, "")
    versions = KEPT_EVENTS // len(STAGES) + 50
    for serial in range(versions):
        for stage in STAGES:
            log.record(ZONE, stage, serial, "")
    events = list_events(engine)
    assert KEPT_EVENTS <= len(events) < KEPT_EVENTS + 100
    assert events[-1] == ("published", versions - 1)
    assert list_events(engine, "other.test") == [("published", 1)]


def test_stages_are_told_also_when_they_cannot_be_stored(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Stage] = []

    def find_engine() -> Engine:
        raise CustodyUnavailable("sealed")

    log = EventLog(find_engine, FakeClock(), lambda zone, stage: told.append(stage))
    for stage in STAGES:
        log.record(ZONE, stage, 7, "")
    assert told == list(STAGES)
    assert len([line for line in caplog.messages if "could not be recorded" in line]) == len(STAGES)
