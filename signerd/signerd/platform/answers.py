"""Answers from the platform's tables, kept in memory for as long as nothing in the tables has changed.

Every change raises one number in its own transaction, whichever process makes it; a reader reads that number
in the same state of the database as all else. So an answer is never older than what the reader sees.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Final, TypeVar, cast

from sqlalchemy import Connection, insert, select, update

from signerd.platform.tables import platform_generation

MAX_ANSWERS: Final = 10_000  # bounds memory; beyond it all are forgotten, which costs one query each

_READ: Final = select(platform_generation.c.value)
_RAISE: Final = update(platform_generation).values(value=platform_generation.c.value + 1)
_BEGIN: Final = insert(platform_generation).values(only=1, value=1)

T = TypeVar("T")


class _Seen(threading.local):
    """What a thread read last."""

    connection: Connection | None = None
    generation: int | None = None


class Answers:
    """Answers of one generation of the platform's tables. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._generation = 0
        self._known: dict[Hashable, object] = {}

    def recall(self, connection: Connection, question: Hashable, find_answer: Callable[[Connection], T]) -> T:
        """Give an answer, from memory if nothing has changed since it was found.

        Args:
            connection: Reads one state for as long as it is open.
            question: All that the answer depends on beside the tables; never a secret. Its first part names
                what is asked, so that no two questions are the same.
            find_answer: Finds it; what it gives must never be changed. What it raises is not remembered.
        """
        generation = self._read_generation(connection)
        if generation is None:
            return find_answer(connection)
        with self._lock:
            if generation == self._generation and question in self._known:
                return cast("T", self._known[question])
        answer = find_answer(connection)
        with self._lock:
            if generation > self._generation or len(self._known) >= MAX_ANSWERS:
                self._generation = max(generation, self._generation)
                self._known = {}
            if generation == self._generation:  # else others see a newer state already
                self._known[question] = answer
        return answer

    def _read_generation(self, connection: Connection) -> int | None:
        """Read it once for each state; None if there is none."""
        seen = self._seen
        if seen.connection is not connection:
            found: int | None = connection.execute(_READ).scalar()
            seen.connection, seen.generation = connection, found
        return seen.generation


def raise_generation(connection: Connection) -> None:
    """Let no answer of before hold after the commit."""
    if connection.execute(_RAISE).rowcount == 0:
        connection.execute(_BEGIN)
