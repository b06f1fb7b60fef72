"""What is told of a zone after its parent was asked, to whoever keeps alarms."""

from dataclasses import dataclass

from signerd.delegation.delegation_state import DelegationState, Intent


@dataclass(frozen=True, slots=True)
class DelegationNews:
    """How a zone stands at its parent.

    Attributes:
        state: What follows from the answers.
        intent: What the zone's owner wants.
        is_key_change: Whether another KSK is still in the zone until the parent points to it no more.
        ds_not_before: From when the DS of the current key may be at the parent, epoch seconds; None if that
            is not known yet.
    """

    state: DelegationState
    intent: Intent
    is_key_change: bool
    ds_not_before: int | None
