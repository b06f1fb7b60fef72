"""What follows from what the parent says: whether a zone is delegated securely, and what is to be done."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from signerd.delegation.parent_view import ParentView


class Intent(StrEnum):
    """What the zone's owner wants."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"


class Stray(StrEnum):
    """Why a DS record at the parent leads nowhere."""

    UNKNOWN = "unknown"  # it points to no key that the zone has or had
    RETIRED = "retired"  # it points to a key that the zone has no more


@dataclass(frozen=True, slots=True)
class Alarm:
    """A DS record that leads nowhere.

    Attributes:
        ds: Its RDATA.
        reason: Why.
        breaks: Whether a server gives no DS record but such: resolvers that validate get no answers.
    """

    ds: bytes
    reason: Stray
    breaks: bool

    def __str__(self) -> str:
        tag, algorithm, digest = int.from_bytes(self.ds[:2]), self.ds[2], self.ds[3]
        what = "to a retired key" if self.reason is Stray.RETIRED else "to no key of the zone"
        effect = "; validating resolvers get no answers" if self.breaks else ""
        return f"the parent's DS {tag} {algorithm} {digest} points {what}{effect}"


@dataclass(frozen=True, slots=True)
class ZoneDsSets:
    """DS records of the keys of a zone, one tuple for each key.

    Attributes:
        current: Of the key whose DS was handed out; empty when there is none.
        outgoing: Of keys that are still in the zone until the parent points to them no more.
        retired: Of keys that were in the zone.
    """

    current: tuple[bytes, ...] = ()
    outgoing: tuple[bytes, ...] = ()
    retired: tuple[bytes, ...] = ()

    @property
    def published(self) -> frozenset[bytes]:
        """Of all keys that are in the zone."""
        return frozenset((*self.current, *self.outgoing))


@dataclass(frozen=True, slots=True)
class DelegationState:
    """What follows from what the parent says.

    Attributes:
        is_delegated: Every server that answered has a DS record of the current key.
        to_add: DS records that the parent shall take; any one of them is enough.
        to_remove: DS records that the parent shall drop.
        alarms: DS records that lead nowhere.
    """

    is_delegated: bool
    to_add: tuple[bytes, ...]
    to_remove: tuple[bytes, ...]
    alarms: tuple[Alarm, ...]


def judge(
    view: ParentView, keys: ZoneDsSets, intent: Intent, *, was_delegated: bool = False
) -> DelegationState:
    """Decide what the answers of the parent mean.

    Args:
        view: What the parent said.
        keys: The keys of the zone.
        intent: What its owner wants.
        was_delegated: What holds on if no server answered.
    """
    counted = view.counted
    current = frozenset(keys.current)
    if counted and current:
        is_delegated = all(not current.isdisjoint(answer.ds or ()) for answer in counted)
    else:
        is_delegated = was_delegated and bool(current) and not counted
    present = view.ds_anywhere
    alarms = tuple(_find_alarms(view, keys))
    if intent is Intent.UNSIGNED:
        to_add: Iterable[bytes] = ()
        to_remove: Iterable[bytes] = present
    else:
        to_add = () if is_delegated else keys.current
        # before every server points to the current key, the outgoing one carries the zone
        keep = current if is_delegated else keys.published
        to_remove = present - keep
    return DelegationState(is_delegated, tuple(sorted(to_add)), tuple(sorted(to_remove)), alarms)


def _find_alarms(view: ParentView, keys: ZoneDsSets) -> Sequence[Alarm]:
    good, retired = keys.published, frozenset(keys.retired)
    return [
        Alarm(
            rdata,
            Stray.RETIRED if rdata in retired else Stray.UNKNOWN,
            any(rdata in (answer.ds or ()) and good.isdisjoint(answer.ds or ()) for answer in view.counted),
        )
        for rdata in sorted(view.ds_anywhere - good)
    ]


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """How often the parent is asked, seconds.

    Attributes:
        interval: When nothing is under way.
        waiting_interval: When a DS record is awaited, or its going.
        jitter: Part of the interval, 0 to 1, that a probe may come earlier or later.
    """

    interval: float = 3600.0
    waiting_interval: float = 60.0
    jitter: float = 0.1

    def find_next(
        self, state: DelegationState, now: int, chance: float, moments: Collection[int | None] = ()
    ) -> int:
        """Say when to ask next, epoch seconds.

        Args:
            state: After the last probe.
            now: Epoch seconds.
            chance: From 0 up to 1, at random, so that zones do not ask all at once.
            moments: When something else is due that the parent has to do with; those unknown are None.
        """
        is_waiting = bool(state.to_add or state.to_remove or state.alarms)
        interval = self.waiting_interval if is_waiting else self.interval
        following = now + max(1, round(interval * (1 + self.jitter * (2 * chance - 1))))
        # what is due is done on the word of a probe, not of an old one
        ends = [end for end in moments if end is not None and end > now]
        return min([following, *ends])
