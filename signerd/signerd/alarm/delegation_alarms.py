"""DS records at the parent of a zone of the API that lead nowhere, as alarms of the board."""

from collections.abc import Sequence
from typing import Final

from signerd.alarm.alarm import Alarm
from signerd.delegation.delegation_state import DelegationState

SOURCE: Final = "delegation"
REGISTRAR: Final = "whoever has the zone at its registrar"


def find_delegation_alarms(state: DelegationState) -> Sequence[Alarm]:
    """Say what is wrong at the parent; what has to be done there, the timetable of the keys says.

    DS records that lead nowhere and break the zone have a code of their own.

    Args:
        state: How the zone stands.
    """
    return [
        Alarm("dnssec.delegation_broken" if stray.breaks else "dnssec.ds_stray", str(stray), REGISTRAR)
        for stray in state.alarms
    ]
