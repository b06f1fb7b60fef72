"""How many requests a caller may make: token buckets, thread-safe and bounded in number."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signerd.api.errors import TooManyRequests

MAX_BUCKETS: Final = 20_000  # bounds memory; beyond it the one not used for the longest is forgotten
_LONGEST: Final = 60  # seconds to wait that a client is told at most


@dataclass(frozen=True, slots=True)
class Rate:
    """A budget.

    Attributes:
        per_second: How fast it fills.
        burst: How much it holds.
    """

    per_second: float
    burst: float


class RateLimit:
    """One budget for each of many callers."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        """Do nothing yet.

        Args:
            rate: The same for all.
            clock: Monotonic seconds.
        """
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and since when

    def take(self, caller: str, cost: float = 1.0) -> None:
        """Take from the budget of a caller.

        Raises:
            TooManyRequests: There is not enough left; nothing was taken.
        """
        now = self._clock()
        with self._lock:
            left, since = self._buckets.pop(caller, (self._rate.burst, now))
            left = min(self._rate.burst, left + (now - since) * self._rate.per_second)
            missing = cost - left
            self._buckets[caller] = (left if missing > 0 else left - cost, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if missing > 0:
            raise TooManyRequests(min(_LONGEST, max(1, round(missing / self._rate.per_second + 0.5))))


@dataclass(frozen=True, slots=True)
class Rates:
    """All budgets, for requests a second.

    Attributes:
        address: Of each client address, before anything else is looked at.
        credential: Of each credential.
        organisation: Of each organisation.
        expensive: Of each credential for operations that take long.
    """

    address: Rate = Rate(2000, 4000)
    credential: Rate = Rate(1000, 2000)
    organisation: Rate = Rate(4000, 8000)
    expensive: Rate = Rate(200, 400)


class RateLimits:
    """The limits of the API."""

    def __init__(self, rates: Rates, clock: Callable[[], float]) -> None:
        self._address = RateLimit(rates.address, clock)
        self._credential = RateLimit(rates.credential, clock)
        self._organisation = RateLimit(rates.organisation, clock)
        self._expensive = RateLimit(rates.expensive, clock)

    def admit_address(self, address: str) -> None:
        """Count a request of a client.

        Raises:
            TooManyRequests: Too many.
        """
        self._address.take(address)

    def admit_credential(self, credential: str, *, is_expensive: bool) -> None:
        """Count a request of a credential.

        Raises:
            TooManyRequests: Too many.
        """
        self._credential.take(credential)
        if is_expensive:
            self._expensive.take(credential)

    def admit_organisation(self, organisation: str) -> None:
        """Count a request for an organisation.

        Raises:
            TooManyRequests: Too many.
        """
        self._organisation.take(organisation)

    def admit_items(self, credential: str, organisation: str, count: int) -> None:
        """Count further operations of one request: a batch costs what its items would have cost.

        Raises:
            TooManyRequests: Too many.
        """
        if count > 0:
            self._credential.take(credential, count)
            self._organisation.take(organisation, count)
