from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio

from signerd.custody import CustodyUnavailable
from signerd.key_care import KeyCare
from signerd_kms.errors import Sealed, StoreUnavailable
from signerd_kms.key import KeyIdentity


@dataclass
class FakeClock:
    seconds: int = 1000

    def now(self) -> int:
        return self.seconds


@dataclass
class FakeKeys:
    """Keeps what it was asked for."""

    calls: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    failure: Exception | None = None

    def purge_due(self, now: int) -> Sequence[KeyIdentity]:
        self.calls.append(("purge", now))
        return [KeyIdentity("kms-gone")]

    def rotate_due(self, now: int) -> Sequence[KeyIdentity]:
        self.calls.append(("rotate", now))
        if self.failure is not None:
            raise self.failure
        return []


def test_a_round_destroys_and_rotates_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    keys = FakeKeys()
    KeyCare(lambda: keys, FakeClock(), 60).look()
    assert keys.calls == [("purge", 1000), ("rotate", 1000)]
    assert "key kms-gone was destroyed" in caplog.text


def test_sealed_keys_are_left_for_later_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    KeyCare(lambda: FakeKeys(failure=Sealed("sealed")), FakeClock(), 60).look()
    assert not [record for record in caplog.records if record.levelname != "INFO"]


def test_a_database_that_fails_is_an_error_in_the_log_and_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    KeyCare(lambda: FakeKeys(failure=StoreUnavailable("disk full")), FakeClock(), 60).look()
    assert "not rotated: disk full" in caplog.text


def test_without_a_kms_nothing_happens() -> None:
    def fail() -> FakeKeys:
        raise CustodyUnavailable("not open")

    KeyCare(fail, FakeClock(), 60).look()


async def test_rounds_go_on_until_cancelled() -> None:
    keys, done = FakeKeys(), trio.Event()

    def open_keys() -> FakeKeys:
        if len(keys.calls) >= 6:
            trio.from_thread.run_sync(done.set)
        return keys

    async with trio.open_nursery() as nursery:
        nursery.start_soon(KeyCare(open_keys, FakeClock(), 0.001).run)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert keys.calls[:4] == [("purge", 1000), ("rotate", 1000)] * 2
