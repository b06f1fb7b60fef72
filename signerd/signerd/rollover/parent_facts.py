"""What the answers of the parent mean to a timetable: which of the zone's keys each server has a DS of."""

from collections.abc import Collection, Iterable, Mapping

from signerd.delegation.parent_view import ParentView
from signerd.timetable.facts import ParentServer


def read_parent(
    view: ParentView, ds_sets: Mapping[str, Collection[bytes]], *, counts_any: bool = False
) -> tuple[ParentServer, ...]:
    """Translate what the parent said.

    Args:
        view: The last answers; none as long as its servers are not known.
        ds_sets: Name of each key that the parent may point to, and its DS records.
        counts_any: Whether any DS record counts as one of each key: for a zone that is to be unsigned all of
            them do the same harm.
    """
    names = {rdata: name for name, rdatas in ds_sets.items() for rdata in rdatas}
    # A digest of a type that is not made here proves nothing, and is no reason for an alarm.
    own = {rdata[:3] for rdata in names}
    return tuple(
        ParentServer(
            answer.server,
            None
            if answer.ds is None
            else frozenset(ds_sets)
            if counts_any and answer.ds
            else frozenset(names[rdata] for rdata in answer.ds if rdata in names),
            answer.ttl,
            any(rdata not in names and rdata[:3] not in own for rdata in answer.ds or ()),
        )
        for answer in view.answers
        if not answer.is_ignored  # the operator says that this server is dead
    )


def is_parentless(view: ParentView, ds_records: Iterable[bytes]) -> bool:
    """Say if the parent was looked for and not found, and no server may have a DS record of the zone's keys.

    Args:
        view: What the parent said.
        ds_records: Of all keys that the parent may point to.
    """
    sightings = [view.sightings[rdata] for rdata in ds_records if rdata in view.sightings]
    return view.problem is not None and all(sighting.gone_at is not None for sighting in sightings)
