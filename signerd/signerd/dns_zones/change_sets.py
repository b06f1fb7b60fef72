"""What led from one data version of a zone to the next: told to its owner, and to those who publish it."""

import json
from collections.abc import Collection
from typing import Final

from sqlalchemy import delete, insert, select, update

from signerd.dns.name import Name
from signerd.dns_zones.tables import dns_change_sets, dns_zones
from signerd.platform.change import Change

MAX_LISTED_OWNERS: Final = 1000  # of one change; after a larger one the zone is read whole
KEPT_CHANGE_SETS: Final = 1000  # of each zone


def raise_data_version(
    change: Change, zone: str, action: str, summary: str, owners: Collection[Name] = ()
) -> int | None:
    """Have a zone published anew, and note why.

    Args:
        change: The write.
        zone: Identity of the zone.
        action: Such as `dns.record.create`.
        summary: For people.
        owners: Names whose records changed; none if it is something else that did.

    Returns:
        The new data version; None if the zone was deleted.
    """
    connection = change.connection
    one = dns_zones.c.identity == zone
    connection.execute(update(dns_zones).where(one).values(data_version=dns_zones.c.data_version + 1))
    version = connection.execute(select(dns_zones.c.data_version).where(one)).scalar()
    if version is None:
        return None
    listed = None
    if len(owners) <= MAX_LISTED_OWNERS:
        listed = json.dumps(sorted(owner.hex() for owner in owners))
    connection.execute(
        insert(dns_change_sets).values(
            zone=zone,
            data_version=version,
            at=change.now,
            actor=change.by.actor,
            request_id=change.by.request_id,
            action=action,
            summary=summary,
            owners=listed,
        )
    )
    connection.execute(
        delete(dns_change_sets).where(
            dns_change_sets.c.zone == zone, dns_change_sets.c.data_version <= version - KEPT_CHANGE_SETS
        )
    )
    return int(version)
