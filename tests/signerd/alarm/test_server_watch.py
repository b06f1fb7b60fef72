"""What is looked at, and what the board hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signerd.alarm import server_watch
from signerd.alarm.alarm import Alarm, RaisedAlarm
from signerd.alarm.alarm_board import AlarmBoard
from signerd.alarm.server_watch import ServerWatch, Watched
from signerd.alarm.zone_alarms import ZoneCondition
from signerd_kms.state import State

NOW = 1_800_000_000


@dataclass
class Server:
    """Stands in for a server, on a board of its own."""

    directory: Path
    zones: dict[str, ZoneCondition] = field(default_factory=dict[str, ZoneCondition])
    kms: tuple[State, str | None] = (State.UNSEALED, None)
    keys: Mapping[str, Alarm] | None = None
    expires_at: int = NOW - 1
    expirations: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.board = AlarmBoard(lambda: NOW, 86400)
        watched = Watched(
            lambda: self.zones, self.find_expiration, lambda: self.kms, self.directory, self.find_keys
        )
        self.watch = ServerWatch(watched, self.board, lambda: NOW, 3 * 86400)

    def find_keys(self) -> Mapping[str, Alarm] | None:
        return self.keys

    def find_expiration(self, zone: str) -> int:
        self.expirations.append(zone)
        return self.expires_at

    def look(self) -> list[tuple[str, str]]:
        self.watch.look()
        return sorted((raised.alarm.code, raised.zone) for raised in self.board.list_alarms())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_alarms_come_and_go_with_their_cause(server: Server) -> None:
    server.zones["a.test"] = ZoneCondition(is_published=True, file_error="line 3")
    assert server.look() == [("zone.file_refused", "a.test")]
    server.zones["a.test"] = ZoneCondition(is_published=True)
    assert server.look() == []


def test_whole_zones_are_read_only_where_something_is_late(server: Server) -> None:
    server.zones["a.test"] = ZoneCondition(is_published=True, next_due=NOW + 60)
    assert server.look() == []
    assert not server.expirations
    server.zones["b.test"] = ZoneCondition(is_published=True, next_due=NOW - 60)
    assert server.look() == [("dnssec.expired", "b.test")]
    assert server.expirations == ["b.test"]


def test_a_zone_that_was_not_tried_since_the_start_is_neither_in_order_nor_not(server: Server) -> None:
    server.expires_at = NOW + 86400
    failed = RaisedAlarm("zones", "a.test", Alarm("dnssec.sign_failed", "no"), 1000)
    server.board.restore([failed])
    server.zones["a.test"] = ZoneCondition(is_published=True, is_tried=False)
    server.look()
    server.zones["a.test"] = ZoneCondition(is_published=True, last_error="no")
    server.look()
    assert [raised.since for raised in server.board.list_alarms()] == [1000]


def test_a_key_that_cannot_be_used_is_an_alarm_of_the_zones_that_are_signed_with_it(server: Server) -> None:
    server.zones["a.test"] = ZoneCondition(is_published=True, next_due=NOW + 60)
    server.zones["unsigned.test"] = ZoneCondition(is_published=True)
    disabled = Alarm("dnssec.key_unusable", "disabled")
    server.keys = {"a.test": disabled, "unsigned.test": disabled}
    assert server.look() == [("dnssec.key_unusable", "a.test")]
    server.keys = None  # the database is closed: nothing is known
    for _ in range(server_watch.KEYS_EVERY):
        assert server.look() == [("dnssec.key_unusable", "a.test")]
    server.keys = {}
    for _ in range(server_watch.KEYS_EVERY):
        server.look()
    assert server.look() == []


def test_a_sealed_kms_is_an_alarm_once_there_are_zones(server: Server) -> None:
    server.kms = State.SEALED, "sealed by command"
    assert server.look() == []
    server.zones["a.test"] = ZoneCondition(is_published=True, next_due=1_800_003_600)
    assert server.look() == [("kms.sealed", "")]
    [raised] = server.board.list_alarms()
    assert raised.alarm.text == (
        "the KMS is sealed (sealed by command): nothing can be signed; "
        "the next signatures are due on 2027-01-15 09:00 UTC"
    )
    server.kms = State.UNSEALED, None
    assert server.look() == []


def test_a_disk_that_is_nearly_full_is_an_alarm(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_watch, "LOW_DISK_OCTETS", 1 << 62)
    assert server.look() == [("disk.low", "")]
    monkeypatch.setattr(server_watch, "LOW_DISK_OCTETS", 1)
    assert server.look() == []


def test_a_state_directory_that_is_gone_is_an_alarm(server: Server) -> None:
    server.directory.rmdir()
    assert server.look() == [("disk.failed", "")]
