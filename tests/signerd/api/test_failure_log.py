"""What the log says of answers with status 500 and above."""

import logging

import pytest

from signerd.api.errors import PartNotAvailable
from signerd.api.failure_log import QUIET_SECONDS, FailureLog
from signerd_kms.errors import KmsError, Sealed, StoreUnavailable, UnwrapFailed


class Told:
    """A failure log with a clock to set; what it has said."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self.log = FailureLog(lambda: self.now)
        self.caplog = caplog
        caplog.set_level(logging.INFO, "signerd.api.failure_log")

    def fail(self, action: str, error: KmsError | PartNotAvailable, status: int = 503) -> None:
        self.log.note_error("r-1", action, status, error.code, error)

    def serve(self, action: str, *, is_open_to_all: bool = False) -> None:
        self.log.note_success(action, is_open_to_all=is_open_to_all)

    def take(self) -> list[tuple[str, str]]:
        said = [(record.levelname, record.getMessage()) for record in self.caplog.records]
        self.caplog.clear()
        return said


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_a_sealed_kms_is_told_once_when_it_begins_and_once_when_it_ends(told: Told) -> None:
    for action in ("a", "b", "a", "c"):
        told.fail(action, Sealed("the KMS is sealed"))
        told.now += 1000
    assert told.take() == [
        (
            "WARNING",
            "calls are answered with status 503: the KMS is sealed (kms.sealed); this is not said of each",
        )
    ]
    told.serve("open", is_open_to_all=True)
    assert told.take() == []
    told.serve("d")
    told.serve("a")
    assert told.take() == [("INFO", "calls are served again (kms.sealed is over)")]
    told.fail("d", Sealed("the KMS is sealed"))
    assert [level for level, _ in told.take()] == ["WARNING"]


def test_what_one_call_meets_is_not_over_because_another_is_served(told: Told) -> None:
    told.fail("write", StoreUnavailable("the disk is full"))
    assert [level for level, _ in told.take()] == ["ERROR"]
    told.serve("read")
    assert told.take() == []
    told.serve("write")
    assert told.take() == [("INFO", f"calls are served again ({StoreUnavailable.code} is over)")]


def test_a_state_that_comes_and_goes_with_each_call_does_not_fill_the_log(told: Told) -> None:
    for _ in range(10):
        told.fail("a", PartNotAvailable("the KMS is not available in this region"))
        told.serve("a")
    assert [level for level, _ in told.take()] == ["WARNING", "INFO"]
    told.now += QUIET_SECONDS
    told.fail("a", PartNotAvailable("the KMS is not available in this region"))
    assert [level for level, _ in told.take()] == ["WARNING"]


def test_faults_of_the_server_are_told_each_and_those_of_callers_never(told: Told) -> None:
    for _ in range(2):
        told.fail("a", UnwrapFailed("it does not open"), 500)
        told.fail("a", KmsError("wrong"), 400)
    assert told.take() == [("ERROR", "request r-1: UnwrapFailed: it does not open")] * 2
