"""Looks at what is served of a zone, and not oftener at all of it than a large zone can bear."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from signerd.clock import Clock
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey
from signerd.signer.served_keys import ServedKeys, observe_apex, observe_zone

_MOST_NOTED: Final = 64  # versions whose largest TTLs are remembered one by one
_REST: Final = 50.0  # times as long as a look at the whole zone took: it costs less than 2 % of one core


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a zone version.

    Attributes:
        served: What was seen.
        is_exact: Whether all of this version was looked at; otherwise, who signs the data is known from an
            earlier version.
    """

    served: ServedKeys
    is_exact: bool


class ServedWatch:
    """Remembers what was seen of one zone. `look` is not for two threads at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: ServedKeys | None = None
        self._serial: int | None = None
        self._names: Mapping[DnsKey, str] = {}
        self._lock = threading.Lock()  # of what is noted: no change of the zone waits for a look at all of it
        self._noted: list[tuple[int, int]] = []  # serial and largest TTL of versions, oldest first
        self._rested_at = 0.0

    def note_ttl(self, serial: int, ttl: int) -> None:
        """Take note of the largest TTL of a version that is about to be served; for any thread."""
        with self._lock:
            self._noted.append((serial, ttl))
            if len(self._noted) > _MOST_NOTED:
                half = _MOST_NOTED // 2
                merged = self._noted[half - 1][0], max(ttl for _, ttl in self._noted[:half])
                self._noted[:half] = [merged]

    @property
    def noted_ttl(self) -> int:
        """The largest TTL of versions that were not looked at since they were noted, seconds."""
        with self._lock:
            return max((ttl for _, ttl in self._noted), default=0)

    @property
    def rest_seconds(self) -> float:
        """How long it is until the whole zone may be looked at again."""
        return max(0.0, self._rested_at - self._clock.monotonic())

    def look(self, zone: Zone | None, names: Mapping[DnsKey, str], *, must_be_exact: bool) -> Look:
        """Look at the version in service.

        Args:
            zone: The version; None if there is none.
            names: Of all keys that the timetable knows.
            must_be_exact: Whether what was seen of an earlier version is not enough.
        """
        if zone is None:
            return Look(observe_nothing(), is_exact=True)
        apex = observe_apex(zone, names)
        last = self._last
        if last is not None and names == self._names and apex.published == last.published:
            if self._serial == zone.serial:
                return Look(self._describe(last), is_exact=True)
            if not must_be_exact and self.rest_seconds > 0:
                seen = replace(last, denial=apex.denial, dnskey_ttl=apex.dnskey_ttl, announced=apex.announced)
                return Look(self._describe(seen), is_exact=False)
        begun = self._clock.monotonic()
        served = observe_zone(zone, names)
        ended = self._clock.monotonic()
        self._rested_at = ended + _REST * (ended - begun)
        self._last, self._serial, self._names = served, zone.serial, dict(names)
        look = Look(self._describe(served), is_exact=True)
        with self._lock:
            serials = [serial for serial, _ in self._noted]
            if zone.serial in serials:  # those after it are still to be served
                del self._noted[: serials.index(zone.serial) + 1]
        return look

    def _describe(self, served: ServedKeys) -> ServedKeys:
        """Take in versions in between: caches hold their records all the same."""
        return replace(served, largest_ttl=max(served.largest_ttl, self.noted_ttl))


def observe_nothing() -> ServedKeys:
    """Give what is seen of a zone that is not served."""
    return ServedKeys(frozenset(), frozenset(), frozenset(), None, 0, 0)
