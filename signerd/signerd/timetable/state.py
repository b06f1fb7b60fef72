"""The state of a timetable: keys, rollovers, and what caches may hold. Kept by the caller between steps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from signerd.timetable.policy import Step
from signerd.timetable.presence import NEVER_THERE, NOTHING_CACHED, Trace, TtlMemory


class KeyRole(StrEnum):
    """What a key signs."""

    KSK = "ksk"  # the DNSKEY, CDS and CDNSKEY RRsets
    ZSK = "zsk"  # everything else
    CSK = "csk"  # all

    @property
    def signs_keys(self) -> bool:
        """Whether the parent points to such a key."""
        return self is not KeyRole.ZSK

    @property
    def signs_data(self) -> bool:
        """Whether such a key signs what is no key."""
        return self is not KeyRole.KSK


class RolloverKind(StrEnum):
    """What changes."""

    ZSK = "zsk"  # pre-publication (RFC 6781, section 4.1.1.1)
    KSK = "ksk"  # double KSK (RFC 7583, section 3.3.1)
    CSK = "csk"  # pre-publication and double KSK at once
    ALGORITHM = "algorithm"  # conservative (RFC 6781, section 4.1.4)
    SCHEME = "scheme"  # from one key to two or back, same algorithm
    SECURE = "secure"  # the first keys
    INSECURE = "insecure"  # the last ones go (RFC 8078, section 4)


@dataclass(frozen=True, slots=True)
class TimetableKey:
    """A key of a zone.

    Attributes:
        name: Given by the timetable; whoever makes the key remembers it.
        role: What it signs.
        algorithm: DNSSEC algorithm number.
        made_at: Epoch seconds; None as long as it does not exist.
        dnskey: Its DNSKEY record. A key that signs keys does so as long as it is published.
        data: Its signatures over data.
        ds: Its DS record at the parent.
    """

    name: str
    role: KeyRole
    algorithm: int
    made_at: int | None = None
    dnskey: Trace = NEVER_THERE
    data: Trace = NEVER_THERE
    ds: Trace = NEVER_THERE

    def update(self, *, dnskey: Trace, data: Trace, ds: Trace) -> "TimetableKey":
        """Give the key with other traces; itself if they are the same."""
        if dnskey is self.dnskey and data is self.data and ds is self.ds:
            return self
        return replace(self, dnskey=dnskey, data=data, ds=ds)


@dataclass(frozen=True, slots=True)
class Rollover:
    """A change of keys under way.

    Attributes:
        number: For commands; no two rollovers of a zone have the same.
        kind: What changes.
        incoming: Names of the keys that stay.
        outgoing: Names of the keys that go.
        started_at: Epoch seconds.
        is_aborted: Incoming and outgoing changed sides.
        approved: Steps that the operator let happen.
    """

    number: int
    kind: RolloverKind
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    started_at: int
    is_aborted: bool = False
    approved: frozenset[Step] = frozenset()


@dataclass(frozen=True, slots=True)
class Moment:
    """A reading of the clocks.

    Attributes:
        wall: Epoch seconds.
        monotonic: Seconds of a clock that nobody sets.
        boot: Tells the runs of the monotonic clock apart.
    """

    wall: int
    monotonic: float
    boot: str


_NO_COVERAGE: Final[Mapping[int, Trace]] = {}


@dataclass(frozen=True, slots=True)
class TimetableState:
    """All that a timetable remembers of a zone; plain values, so that it can be stored between steps.

    Attributes:
        keys: Oldest first.
        coverage: Algorithm to whether each RRset has a signature of it.
        rollovers: Under way, oldest first.
        next_number: For the next rollover and its keys.
        denial: How absence shall be proved.
        dnskey_ttl: Of the DNSKEY RRset.
        largest_ttl: Of all data.
        ds_ttl: Of the DS RRset at the parent.
        moment: Of the last step.
    """

    keys: tuple[TimetableKey, ...] = ()
    coverage: Mapping[int, Trace] = field(default_factory=lambda: _NO_COVERAGE)
    rollovers: tuple[Rollover, ...] = ()
    next_number: int = 1
    denial: str = "nsec3"
    dnskey_ttl: TtlMemory = NOTHING_CACHED
    largest_ttl: TtlMemory = NOTHING_CACHED
    ds_ttl: TtlMemory = NOTHING_CACHED
    moment: Moment | None = None

    def select(self, names: Iterable[str]) -> tuple[TimetableKey, ...]:
        """Give the keys of some names."""
        wanted = frozenset(names)
        return tuple(key for key in self.keys if key.name in wanted)

    def change_keys(
        self, names: Iterable[str], change: Callable[[TimetableKey], TimetableKey]
    ) -> "TimetableState":
        """Give the state with some keys changed."""
        wanted = frozenset(names)
        return replace(self, keys=tuple(change(key) if key.name in wanted else key for key in self.keys))

    def change_coverage(
        self, algorithms: Iterable[int], change: Callable[[Trace], Trace]
    ) -> "TimetableState":
        """Give the state with the coverage by some algorithms changed."""
        changed = {number: change(self.coverage.get(number, NEVER_THERE)) for number in algorithms}
        return replace(self, coverage={**self.coverage, **changed})

    def change_traces(self, change: Callable[[Trace], Trace]) -> "TimetableState":
        """Give the state with each trace changed."""
        return replace(
            self,
            keys=tuple(
                key.update(dnskey=change(key.dnskey), data=change(key.data), ds=change(key.ds))
                for key in self.keys
            ),
            coverage={number: change(trace) for number, trace in self.coverage.items()},
        )

    @property
    def may_have_ds(self) -> bool:
        """Whether a cache may hold a DS record of the zone, or the parent was asked for one."""
        return any(not key.ds.is_gone for key in self.keys)

    @property
    def outgoing(self) -> frozenset[str]:
        """Names of the keys that go."""
        return frozenset(name for rollover in self.rollovers for name in rollover.outgoing)

    @property
    def incoming(self) -> frozenset[str]:
        """Names of the keys that rollovers bring."""
        return frozenset(name for rollover in self.rollovers for name in rollover.incoming)
