"""The end of all keys of an organisation, or of one of its regions, at once.

Everything below a key-encryption key is lost with it: key versions, keys of services such as zone-signing
keys, data keys of secrets. The audit trail is kept, as it hangs on the root key alone.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select

from signerd_kms import key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.audit import AuditEvent
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyUnknown, ShredChanged
from signerd_kms.key import KeyIdentity
from signerd_kms.schema import keks, keys, wrapping_keys, zone_bindings
from signerd_kms.state import Task


@dataclass(frozen=True, slots=True)
class Shred:
    """What would be, or was, destroyed.

    Attributes:
        organisation: Whose it is.
        region: The only region; None for all.
        keks: Key-encryption keys, in all their generations.
        keys: Identities of keys.
        zones: Apexes, in wire form, that keys among them sign for.
    """

    organisation: str
    region: str | None
    keks: int
    keys: tuple[KeyIdentity, ...]
    zones: tuple[bytes, ...]


class Shredding:
    """Destroys all keys of a place."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def find_shred(self, organisation: str, region: str | None) -> Shred:
        """Say what a shredding would destroy, also while sealed.

        Raises:
            KeyUnknown: There is nothing.
        """
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            found = _find(connection, organisation, region)
        if not found.keks and not found.keys:
            raise KeyUnknown(f"there is no key of organisation {organisation} here")
        return found

    def shred(self, confirmed: Shred, *, by: Attribution) -> None:
        """Destroy what was found before, all of it or nothing; works while sealed, too. It cannot be undone.

        Copies of the database from before, and the seals of that time, still open it all.

        Args:
            confirmed: As `find_shred` gave it and a person confirmed it.
            by: Who asks.

        Raises:
            ShredChanged: There is more or less to destroy by now.
            StoreUnavailable: The database did not commit; nothing is destroyed.
        """
        self._custodian.require(Task.CHANGE_STATUS)
        organisation, region = confirmed.organisation, confirmed.region

        def store(connection: Connection) -> list[tuple[str, int]]:
            found = _find(connection, organisation, region)
            if found != confirmed:
                raise ShredChanged("what there is to destroy has changed since it was shown")
            now = self._store.now()
            destroyed = _list_generations(connection, organisation, region)
            for scope, identity in key_rows.list_due_keys(connection, *_keys_of(organisation, region)):
                key_rows.destroy_key(connection, key_rows.read_key(connection, scope, identity), now)
            for table in (wrapping_keys, keks):
                places = [table.c.organisation == organisation]
                if region is not None:
                    places.append(table.c.region == region)
                connection.execute(delete(table).where(*places))
            details = {"keys": len(found.keys), "keks": found.keks, "zones": len(found.zones)}
            event = AuditEvent(
                now, "kms.shred", True, organisation, region, actor=by.actor, via=by.via, details=details
            )
            self._store.record(connection, event)
            return destroyed

        destroyed = self._store.write(store)
        self._custodian.forget_place(organisation, destroyed, confirmed.keys)
        self._store.overwrite_deleted()


def _find(connection: Connection, organisation: str, region: str | None) -> Shred:
    identities = connection.execute(
        select(keys.c.identity).where(*_keys_of(organisation, region)).order_by(keys.c.identity)
    ).scalars()
    found = tuple(KeyIdentity(identity) for identity in identities)
    bound = connection.execute(
        select(zone_bindings.c.zone)
        .join(
            keys,
            (keys.c.organisation == zone_bindings.c.organisation)
            & (keys.c.identity == zone_bindings.c.identity),
        )
        .where(*_keys_of(organisation, region))
        .distinct()
    ).scalars()
    generations = _list_generations(connection, organisation, region)
    return Shred(organisation, region, len(generations), found, tuple(sorted(bytes(zone) for zone in bound)))


def _keys_of(organisation: str, region: str | None) -> tuple[ColumnElement[bool], ...]:
    own = keys.c.organisation == organisation
    return (own,) if region is None else (own, keys.c.region == region)


def _list_generations(connection: Connection, organisation: str, region: str | None) -> list[tuple[str, int]]:
    query = select(keks.c.region, keks.c.generation).where(keks.c.organisation == organisation)
    if region is not None:
        query = query.where(keks.c.region == region)
    return [(str(row.region), int(row.generation)) for row in connection.execute(query)]
