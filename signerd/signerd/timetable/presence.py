"""Whether something that was published may be, or must be, in every cache (RFC 7583, section 3)."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Presence(StrEnum):
    """What caches may hold of a record."""

    HIDDEN = "hidden"  # no cache has it
    RUMOURED = "rumoured"  # it comes: some have it, some do not
    OMNIPRESENT = "omnipresent"  # each cached set that could have it has it
    UNRETENTIVE = "unretentive"  # it goes: some have it, some do not


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a record stands between publication and the last cache.

    Attributes:
        presence: What caches may hold.
        since: When that began, epoch seconds; None if it never was there.
        settles_at: When the presence becomes certain again; None as long as nobody saw the change happen, or
            nothing is under way. A wait without an observed start never ends by itself.
        not_before: It does not settle earlier, whatever is seen.
    """

    presence: Presence = Presence.HIDDEN
    since: int | None = None
    settles_at: int | None = None
    not_before: int = 0

    @property
    def is_wanted(self) -> bool:
        """Whether it shall be published."""
        return self.presence in (Presence.RUMOURED, Presence.OMNIPRESENT)

    @property
    def is_everywhere(self) -> bool:
        """Whether each cached set has it."""
        return self.presence is Presence.OMNIPRESENT

    @property
    def is_gone(self) -> bool:
        """Whether no cache has it."""
        return self.presence is Presence.HIDDEN

    @property
    def is_moving(self) -> bool:
        """Whether caches differ."""
        return self.presence in (Presence.RUMOURED, Presence.UNRETENTIVE)

    def appear(self, now: int, lag: int = 0) -> "Trace":
        """Give the trace once publication was decided.

        Args:
            now: Epoch seconds.
            lag: For how long an earlier decision to the contrary may still come into effect.
        """
        return self if self.is_wanted else Trace(Presence.RUMOURED, now, None, self._find_floor(now, lag))

    def vanish(self, now: int, lag: int = 0) -> "Trace":
        """Give the trace once removal was decided; the arguments are those of `appear`."""
        return Trace(Presence.UNRETENTIVE, now, None, self._find_floor(now, lag)) if self.is_wanted else self

    def _find_floor(self, now: int, lag: int) -> int:
        return now + lag if self.is_moving else 0

    def observe(self, *, is_there: bool, settles_at: int) -> "Trace":
        """Give the trace after a look at what is published.

        Args:
            is_there: Whether it is published everywhere; for one that goes: whether it still is anywhere.
            settles_at: When caches agree, if what is seen was first seen now.
        """
        if not self.is_moving:
            return self
        is_done = is_there is (self.presence is Presence.RUMOURED)
        if not is_done:
            return replace(self, settles_at=None)
        return (
            self
            if self.settles_at is not None
            else replace(self, settles_at=max(settles_at, self.not_before))
        )

    def settle(self, now: int) -> "Trace":
        """Give the trace when time has passed."""
        if self.settles_at is None or self.settles_at > now:
            return self
        is_coming = self.presence is Presence.RUMOURED
        return Trace(Presence.OMNIPRESENT if is_coming else Presence.HIDDEN, self.settles_at)

    def shift(self, seconds: int) -> "Trace":
        """Give the trace when the clock was set forwards by some seconds: waits last as long as before."""
        if not self.is_moving:
            return self
        settles_at = None if self.settles_at is None else self.settles_at + seconds
        return replace(self, settles_at=settles_at, not_before=self.not_before + seconds)


NEVER_THERE: Final = Trace()


@dataclass(frozen=True, slots=True)
class TtlMemory:
    """The TTL of a kind of records, and how long caches may hold some with an earlier, longer one.

    Attributes:
        ttl: As it is published now, seconds.
        horizon: When the last cached record with a longer TTL is gone, epoch seconds.
    """

    ttl: int = 0
    horizon: int = 0

    def observe(self, ttl: int, now: int, propagation: int) -> "TtlMemory":
        """Give the memory after a look at what is published."""
        if ttl == self.ttl:
            return self
        horizon = max(self.horizon, now + propagation + self.ttl) if ttl < self.ttl else self.horizon
        return TtlMemory(ttl, horizon)

    def find_settling(self, now: int, propagation: int) -> int:
        """Say when caches agree on a change that all servers show after `propagation`, epoch seconds."""
        return max(now + propagation + self.ttl, self.horizon)

    def shift(self, seconds: int) -> "TtlMemory":
        """Give the memory when the clock was set forwards by some seconds."""
        return TtlMemory(self.ttl, self.horizon + seconds)


NOTHING_CACHED: Final = TtlMemory()
