"""The zone-signing keys as keys of a service, for the KMS to wrap anew when it rotates."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from signerd.dns.name import fold_case, parse_name
from signerd.dnssec.key import DnsKey
from signerd.signer.zone_key_store import ZSK_PURPOSE
from signerd.store.zone_tables import zone_signing_keys
from signerd_kms.key import Scope
from signerd_kms.service_key import WrappedServiceKey
from signerd_kms.wrapped_rows import StoredServiceKey


class ZoneServiceKeys:
    """The wrapped private parts of all zone-signing keys, also of those that sign no more."""

    name = "zone-signing keys"

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def read_batch(self, connection: Connection, after: str, count: int) -> Sequence[StoredServiceKey]:
        """Read keys whose identities come behind one, in their order."""
        table = zone_signing_keys
        rows = connection.execute(
            select(table)
            .where(table.c.id > after, table.c.wrapped.is_not(None))
            .order_by(table.c.id)
            .limit(count)
        )
        return [
            StoredServiceKey(
                row.id,
                self._scope,
                ZSK_PURPOSE,
                (fold_case(parse_name(row.zone)), DnsKey(row.flags, row.algorithm, row.public_key).rdata),
                WrappedServiceKey.parse(row.wrapped),
            )
            for row in rows
        ]

    def replace(
        self, connection: Connection, identity: str, old: WrappedServiceKey, new: WrappedServiceKey
    ) -> bool:
        """Store a key wrapped anew, unless it is not the old one any more."""
        table = zone_signing_keys
        changed = connection.execute(
            update(table)
            .where(table.c.id == identity, table.c.wrapped == old.octets)
            .values(wrapped=new.octets)
        )
        return changed.rowcount == 1
