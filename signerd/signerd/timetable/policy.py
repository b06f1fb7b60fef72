"""What the operator wants of the keys of a zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DAY: Final = 86400


class Mode(StrEnum):
    """Who lets a step of a rollover happen."""

    AUTO = "auto"
    ASK = "ask"  # it waits for the operator's approval
    HOLD = "hold"  # it does not happen until the policy changes


class Step(StrEnum):
    """The steps of a rollover. Which of them a rollover has, and in what order, depends on its kind."""

    MAKE = "make"
    PUBLISH = "publish"  # the new DNSKEY, beside the old one
    SIGN = "sign"  # with the new key
    DELEGATE = "delegate"  # ask the parent for the new DS in place of the old one
    CONFIRM = "confirm"  # all servers of the parent have it, and the old DS left the caches
    WITHDRAW = "withdraw"  # the old DNSKEY
    FORGET = "forget"  # the old key


class CdsPolicy(StrEnum):
    """When CDS and CDNSKEY are published (RFC 7344)."""

    NEVER = "never"
    ALWAYS = "always"
    ROLLOVER = "rollover"  # as long as the parent has something to do


class DenialKind(StrEnum):
    """How absence is proved."""

    NSEC3 = "nsec3"
    NSEC = "nsec"


_ALL_AUTO: Final[Mapping[Step, Mode]] = {}


@dataclass(frozen=True, slots=True)
class TimetablePolicy:
    """What the operator wants of the keys of a zone. Times are seconds.

    Attributes:
        algorithm: DNSSEC algorithm number of all keys.
        is_csk: One key does all work, instead of a KSK and a ZSK.
        is_signed: Whether the zone shall be signed; if not, it goes insecure in safe steps.
        has_parent: Whether the parent is asked for a DS record.
        is_ds_unwanted: The parent shall have no DS record: what it has or was asked for is to go. Where no
            parent is found, nor was ever seen with a DS record, this is taken at its word.
        zsk_period: Age at which a ZSK is replaced; None: only on command.
        ksk_period: The same for a KSK or CSK.
        modes: Who lets a step happen; a step that is not named here is `auto`.
        cds: When CDS and CDNSKEY are published.
        denial: NSEC3 or NSEC.
        propagation: Longest time from publication until all name servers of the zone serve it
            (RFC 7583, Dprp).
        parent_propagation: The same at the parent, counted from when all of its servers showed a change.
        parent_lag: Longest time from when the parent carries out a request until all of its servers show it.
            If a request is taken back, what it asked for may still come to light for as long.
        parent_interval: How often the parent is asked while something is awaited of it.
        signature_life: Longest time from when a key has stopped signing until the last of its signatures is
            replaced; None if unknown. It only tells people how long that wait may be.
    """

    algorithm: int = 13
    is_csk: bool = False
    is_signed: bool = True
    has_parent: bool = True
    is_ds_unwanted: bool = False
    zsk_period: int | None = 90 * DAY
    ksk_period: int | None = None
    modes: Mapping[Step, Mode] = field(default_factory=lambda: _ALL_AUTO)
    cds: CdsPolicy = CdsPolicy.ALWAYS
    denial: DenialKind = DenialKind.NSEC3
    propagation: int = 3600
    parent_propagation: int = 3600
    parent_lag: int = 7 * DAY
    parent_interval: int = 3600
    signature_life: int | None = None

    def find_mode(self, step: Step) -> Mode:
        """Say who lets a step happen."""
        return self.modes.get(step, Mode.AUTO)
