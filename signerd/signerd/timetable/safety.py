"""Whether a zone validates for a resolver with any cache age.

A resolver may hold a DS set, a DNSKEY set and answers that it fetched at different moments. The conditions
below make sure that any of them fit together, for validators that accept one path and for those that want all
algorithms that are announced (RFC 4035, section 2.2; RFC 6840, section 5.11).
"""

from collections.abc import Sequence

from signerd.timetable.presence import NEVER_THERE
from signerd.timetable.state import TimetableState


def find_dangers(state: TimetableState) -> Sequence[str]:
    """Say why some resolver may fail; nothing if none can.

    As long as no cache can have a DS record, the zone is insecure to all and nothing can fail.
    """
    if not state.may_have_ds:
        return []
    dangers = [
        f"the parent may have the DS record of {key.name}, but its DNSKEY record is not in all caches"
        for key in state.keys
        if not key.ds.is_gone and not key.dnskey.is_everywhere
    ]
    announced = {key.algorithm for key in state.keys if not key.dnskey.is_gone}
    dangers += [
        f"keys of algorithm {number} may be in caches, but not all cached answers have signatures of it"
        for number in sorted(announced)
        if not state.coverage.get(number, NEVER_THERE).is_everywhere
    ]
    # The keys of an algorithm that comes or goes move together, in one DNSKEY RRset: who has one has all.
    settled = {key.algorithm for key in state.keys if key.dnskey.is_everywhere}
    dangers += [
        f"answers signed by {key.name} may be in caches, but its DNSKEY record is not in all of them"
        for key in state.keys
        if key.algorithm in settled and not key.data.is_gone and not key.dnskey.is_everywhere
    ]
    dangers += [
        f"the keys of algorithm {number} move at different times"
        for number in sorted(announced - settled)
        if len(
            {
                key.dnskey
                for key in state.keys
                if key.algorithm == number and not (key.dnskey.is_gone and key.data.is_gone)
            }
        )
        > 1
    ]
    return dangers
