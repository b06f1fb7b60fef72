"""What the log says of answers with status 500 and above: of a state of the server once, not each time."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from signerd.platform.errors import AuditRefused
from signerd_kms.errors import NotInitialised, Sealed, SelfTestFailed, StoreUnavailable

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 60.0  # a state that comes and goes is told no oftener: clients cannot fill the log
_UNAVAILABLE: Final = 503
_FAULTS: Final = (AuditRefused, SelfTestFailed, StoreUnavailable)
"""States that nobody has wanted; others, such as a sealed KMS, may be just what the operator asked for."""
_OF_ALL_CALLS: Final = frozenset({Sealed.code, NotInitialised.code})
"""Codes of states that all calls meet but those that are open to all; others are of one action only."""


class FailureLog:
    """Tells failures of calls. Safe to use from several threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Do nothing yet.

        Args:
            monotonic: A clock that nobody sets.
        """
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lasting: Mapping[str, str] = {}  # action to the code of the error that it ended with last
        self._told_at: dict[str, float] = {}  # by code
        self._untold_ends: set[str] = set()  # codes of which the begin was told, and not yet the end

    def note_error(self, request_id: str, action: str, status: int, code: str, error: Exception) -> None:
        """Take note of a call that ended with an error; below 500 the fault is the caller's.

        Args:
            request_id: Of the request.
            action: What was asked for.
            status: Of the answer.
            code: Of the error.
            error: The error.
        """
        if status < _UNAVAILABLE:
            if status >= 500:
                logger.error("request %s: %s: %s", request_id, type(error).__name__, error)
            return
        if self._begins(action, code):
            level = logging.ERROR if isinstance(error, _FAULTS) else logging.WARNING
            text = "calls are answered with status %d: %s (%s); this is not said of each"
            logger.log(level, text, status, error, code)
        else:
            logger.debug("request %s: %s: %s", request_id, type(error).__name__, error)

    def note_success(self, action: str, *, is_open_to_all: bool) -> None:
        """Take note of a call that was served: what kept it from that is over.

        Args:
            action: What was asked for.
            is_open_to_all: Whether it is served in any state.
        """
        if not self._lasting:  # read without the lock: it is replaced as a whole
            return
        with self._lock:
            over = {self._lasting.get(action, "")} | (frozenset[str]() if is_open_to_all else _OF_ALL_CALLS)
            self._lasting = {other: code for other, code in self._lasting.items() if code not in over}
            told = sorted(self._untold_ends & over)
            self._untold_ends -= over
        for code in told:
            logger.info("calls are served again (%s is over)", code)

    def _begins(self, action: str, code: str) -> bool:
        """Say if a state is to be told."""
        now = self._monotonic()
        with self._lock:
            is_known = self._lasting.get(action) == code or (
                code in _OF_ALL_CALLS and code in self._lasting.values()
            )
            self._lasting = {**self._lasting, action: code}
            if is_known or now - self._told_at.get(code, -QUIET_SECONDS) < QUIET_SECONDS:
                return False
            self._told_at[code] = now
            self._untold_ends.add(code)
            return True
