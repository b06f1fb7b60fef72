"""A change of a zone's data as its keeper hands it over: some owners, each with all it has now."""

from collections.abc import Mapping

from signerd.dns.name import Name, format_name, is_subdomain
from signerd.dns.rdatatype import SOA
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

ZoneEdit = Mapping[Name, Mapping[int, RRset]]
"""Owner to type to RRset: all data that the owner has from now on; none if it has no data any more.

Edits of one zone are put together by taking the later of what both say of an owner, and an edit that is
applied twice does no harm.
"""


class BadEdit(ValueError):
    """An edit that no zone can have."""

    code = "zones.bad_edit"


def check_edit(origin: Name, edit: ZoneEdit) -> None:
    """Check that a zone can be edited so.

    Raises:
        BadEdit: It takes the SOA away, or has an owner that is not in the zone or an RRset that is another's.
    """
    for owner, types in edit.items():
        if not is_subdomain(owner, origin):
            raise BadEdit(f"{format_name(owner)} is not in zone {format_name(origin)}")
        if any(rrset.owner != owner or rrset.type != number for number, rrset in types.items()):
            raise BadEdit(f"an RRset at {format_name(owner)} is not its own")
    if SOA not in edit.get(origin, {SOA: None}):
        raise BadEdit(f"zone {format_name(origin)} would have no SOA")


def apply_edit(zone: Zone, edit: ZoneEdit) -> Zone:
    """Give the zone with some owners changed, as `check_edit` allows; all else is shared with it."""
    return zone.derive(edit)
