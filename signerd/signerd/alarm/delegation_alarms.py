"""What is wrong at the parent of a zone, as alarms of the board."""

from collections.abc import Sequence
from typing import Final

from signerd.alarm.alarm import Alarm
from signerd.delegation import delegation_state as delegation

SOURCE: Final = "delegation"
REGISTRAR: Final = "whoever has the zone at its registrar"


def find_delegation_alarms(strays: Sequence[delegation.Alarm]) -> Sequence[Alarm]:
    """Turn DS records that lead nowhere into alarms: those that break the zone have a code of their own."""
    return [
        Alarm("dnssec.delegation_broken" if stray.breaks else "dnssec.ds_stray", str(stray), REGISTRAR)
        for stray in strays
    ]
