"""A model parent: it takes up DS requests late, and its name servers one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

from signerd.simulation.history import History, ServedKey, ServedSet
from signerd.timetable.facts import ParentServer


@dataclass(frozen=True, slots=True)
class ParentHabits:
    """How the parent behaves. Times are seconds.

    Attributes:
        delay: From a request until it is carried out, given how many came before it.
        lags: One for each name server: how much later it shows a change.
        propagation: How long instances of a server may go on showing the former state.
        ttl: Of DS records.
    """

    delay: Callable[[int], int]
    lags: tuple[int, ...] = (0, 1800)
    propagation: int = 3600
    ttl: int = 86400


class Parent:
    """The parent and its name servers."""

    def __init__(self, habits: ParentHabits, history: History) -> None:
        self._habits = habits
        self._history = history
        self._wanted = frozenset[ServedKey]()
        self._act_at: int | None = None
        self._requests = 0
        self._shown = [frozenset[ServedKey]() for _ in habits.lags]
        self._coming: list[tuple[int, int, frozenset[ServedKey]]] = []  # moment, server, DS set
        self.is_silent = False

    @property
    def next_event(self) -> int | None:
        """When something changes by itself next, true time."""
        moments = [moment for moment, _, _ in self._coming]
        if self._act_at is not None:
            moments.append(self._act_at)
        return min(moments, default=None)

    def request(self, wanted: frozenset[ServedKey], now: int) -> None:
        """Take a request for a DS set; one that comes before the last one was carried out replaces it."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._act_at is None:
            self._act_at = now + self._habits.delay(self._requests)
            self._requests += 1

    def run(self, now: int) -> None:
        """Do what is due."""
        if self._act_at is not None and self._act_at <= now:
            self._act_at = None
            for server, lag in enumerate(self._habits.lags):
                self._coming.append((now + lag, server, self._wanted))
            names = ", ".join(sorted(key.name for key in self._wanted)) or "no key"
            self._history.note(now, f"the parent takes up DS of {names}")
        due = sorted(change for change in self._coming if change[0] <= now)
        self._coming = [change for change in self._coming if change[0] > now]
        for _, server, keys in due:
            self._shown[server] = keys
            place = f"parent-{server + 1}"
            self._history.serve(
                ServedSet(place, "DS", now, now, self._habits.ttl, keys), self._habits.propagation
            )

    def answer(self) -> tuple[ParentServer, ...]:
        """Say what each name server shows."""
        return tuple(
            ParentServer(
                f"parent-{server + 1}",
                None if self.is_silent and server == 0 else frozenset(key.name for key in keys),
                self._habits.ttl,
            )
            for server, keys in enumerate(self._shown)
        )
