"""A KMS in a state directory of its own, with a clock and an audit sink that tests can look into."""

import itertools
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine

from fresh_database import make_database
from signerd.store.engine import BUSY_TIMEOUT_SECONDS
from signerd_kms.audit import AuditEvent
from signerd_kms.key import Scope
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal


class FakeClock:
    def __init__(self) -> None:
        self._ticks = itertools.count(1_800_000_000)

    def now(self) -> int:
        return next(self._ticks)


@dataclass
class MemorySink:
    """Keeps events of committed and other transactions alike; fails when told to."""

    events: list[AuditEvent] = field(default_factory=list[AuditEvent], repr=False)  # there may be many
    failure: Exception | None = None
    before: Callable[[AuditEvent], None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, connection: Connection, event: AuditEvent) -> None:
        assert connection.in_transaction()
        if self.before is not None:
            self.before(event)
        if self.failure is not None:
            raise self.failure
        with self.lock:
            self.events.append(event)

    def actions(self) -> list[str]:
        return [event.action for event in self.events]


@dataclass
class World:
    """A state directory and what is needed to open the KMS in it, again and again."""

    directory: Path
    engine: Engine
    sink: MemorySink
    clock: FakeClock
    scope: Scope

    @property
    def root_key(self) -> Path:
        return self.directory / "root.key"

    @property
    def seal(self) -> FileSeal:
        return FileSeal(self.root_key)

    def open(self) -> Kms:
        return Kms.open(self.engine, self.seal, self.clock, self.sink)


@contextmanager
def make_world(directory: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Generator[World]:
    """Make the tables in a fresh directory."""
    engine = make_database(directory / "signerd.db", busy_timeout_seconds=busy_timeout_seconds)
    try:
        yield World(directory, engine, MemorySink(), FakeClock(), Scope("o-one", "reg-one"))
    finally:
        engine.dispose()
