"""How the data of a zone differs from that before, counted in record sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name, make_sort_key
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone, find_changed_names

MIN_RECORD_SETS: Final = 10  # a zone with no more may lose any part of them: nobody would notice too late
_NAMED: Final = 5
_NOTHING: Final[Mapping[int, RRset]] = {}


@dataclass(frozen=True, slots=True)
class DataChange:
    """A difference; the SOA is left out.

    Attributes:
        added: How many are new.
        changed: How many have other records or another TTL.
        removed: How many are gone.
        examples: Some of them, as people read them.
    """

    added: int
    changed: int
    removed: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        count = self.added + self.changed + self.removed
        more = f" and {count - len(self.examples)} more" if count > len(self.examples) else ""
        return (
            f"{self.added} record sets added, {self.changed} changed, {self.removed} removed: "
            f"{', '.join(self.examples) or 'SOA'}{more}"
        )


def compare_data(before: Zone, after: Zone) -> DataChange:
    """Compare two unsigned zones of one name."""
    examples: list[str] = []
    counts = dict.fromkeys("+~-", 0)

    def note(sign: str, owner: Name, number: int) -> None:
        counts[sign] += 1
        if len(examples) < _NAMED:
            examples.append(f"{sign}{format_name(owner)} {rt.format_type(number)}")

    for owner in sorted(find_changed_names(before, after), key=make_sort_key):
        old, new = before.names.get(owner, _NOTHING), after.names.get(owner, _NOTHING)
        for number in sorted(old.keys() | new.keys()):
            if number != rt.SOA and (was := old.get(number)) != (is_now := new.get(number)):
                note("+" if was is None else "-" if is_now is None else "~", owner, number)
    return DataChange(counts["+"], counts["~"], counts["-"], tuple(examples))


def count_record_sets(zone: Zone) -> int:
    """Count the record sets of an unsigned zone, the SOA left out."""
    return sum(map(len, zone.names.values())) - 1


def explain_mass_deletion(before: int, removed: int, percent: int) -> str | None:
    """Say that a change takes away too large a part of a zone; None if it does not.

    Args:
        before: How many record sets the zone has.
        removed: How many of them would go.
        percent: How many of a hundred may go without question; 100 allows everything.
    """
    if before <= MIN_RECORD_SETS or removed * 100 <= before * percent:
        return None
    return (
        f"{removed} of {before} record sets ({removed * 100 // before} %) would be deleted; "
        f"more than {percent} % needs to be allowed explicitly"
    )
