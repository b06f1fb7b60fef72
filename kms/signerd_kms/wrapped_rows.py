"""Rows that are wrapped under key-encryption keys, wherever they are stored: what rewrapping goes through."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from sqlalchemy import Connection, select, tuple_, update

from signerd_kms import key_rows
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.key import Key, KeyIdentity, Scope
from signerd_kms.schema import keks, key_versions, keys
from signerd_kms.service_key import WrappedServiceKey
from signerd_kms.wrapping import WrappedKey

Use = tuple[str, str, int]  # organisation, region, generation of the key-encryption key


@dataclass(frozen=True, slots=True)
class WrappedRow:
    """A wrapped secret and what is needed to wrap it anew.

    Attributes:
        position: Where the row is; rows come in the order of their positions.
        what: Names it in messages.
        organisation: Of the key-encryption key.
        region: Of the key-encryption key.
        kek_generation: Of the key-encryption key that wraps it now.
        wrapped: The secret.
        encode: Gives the associated data for a generation of the key-encryption key.
    """

    position: str
    what: str
    organisation: str
    region: str
    kek_generation: int
    wrapped: WrappedKey
    encode: Callable[[int], bytes]


class WrappedRows(Protocol):
    """A table of wrapped secrets."""

    @property
    def name(self) -> str:
        """Stable: it is stored with the progress."""
        ...

    def read_batch(
        self, connection: Connection, hierarchy: KeyHierarchy, after: str, count: int
    ) -> Sequence[WrappedRow]:
        """Read rows behind a position, the empty text for the first, in order."""
        ...

    def replace(self, connection: Connection, row: WrappedRow, wrapped: WrappedKey, generation: int) -> bool:
        """Store a row wrapped anew, unless it was changed or destroyed since; say if it was stored."""
        ...

    def list_uses(self, connection: Connection) -> set[Use]:
        """List the key-encryption keys that any row needs."""
        ...


class KeyVersionRows:
    """The versions of keys."""

    name = "key versions"

    def read_batch(
        self, connection: Connection, hierarchy: KeyHierarchy, after: str, count: int
    ) -> Sequence[WrappedRow]:
        """Read rows behind a position."""
        place = tuple_(key_versions.c.organisation, key_versions.c.identity, key_versions.c.version)
        query = (
            select(key_versions, keys.c.region, keys.c.project)
            .join(
                keys,
                (keys.c.organisation == key_versions.c.organisation)
                & (keys.c.identity == key_versions.c.identity),
            )
            .where(key_versions.c.wrapped.is_not(None))
            .order_by(key_versions.c.organisation, key_versions.c.identity, key_versions.c.version)
            .limit(count)
        )
        if after:
            query = query.where(place > tuple_(*_decode_position(after)))
        rows: list[WrappedRow] = []
        for row in connection.execute(query).all():
            scope = Scope(row.organisation, row.region, row.project or None)
            key = key_rows.read_key(connection, scope, KeyIdentity(row.identity))
            version = int(row.version)

            def encode(generation: int, key: Key = key, version: int = version) -> bytes:
                return hierarchy.encode_version(key, version, generation)

            rows.append(
                WrappedRow(
                    json.dumps([row.organisation, row.identity, version]),
                    f"{row.identity} version {version}",
                    row.organisation,
                    row.region,
                    int(row.kek_generation),
                    WrappedKey(row.wrapped, row.key_check),
                    encode,
                )
            )
        return rows

    def replace(self, connection: Connection, row: WrappedRow, wrapped: WrappedKey, generation: int) -> bool:
        """Store a row wrapped anew."""
        organisation, identity, version = _decode_position(row.position)
        return (
            connection.execute(
                update(key_versions)
                .where(
                    key_versions.c.organisation == organisation,
                    key_versions.c.identity == identity,
                    key_versions.c.version == version,
                    key_versions.c.wrapped == row.wrapped.octets,
                )
                .values(wrapped=wrapped.octets, key_check=wrapped.key_check, kek_generation=generation)
            ).rowcount
            == 1
        )

    def list_uses(self, connection: Connection) -> set[Use]:
        """List the key-encryption keys that any version needs."""
        rows = connection.execute(
            select(keys.c.organisation, keys.c.region, key_versions.c.kek_generation)
            .join(
                key_versions,
                (keys.c.organisation == key_versions.c.organisation)
                & (keys.c.identity == key_versions.c.identity),
            )
            .where(key_versions.c.wrapped.is_not(None))
            .distinct()
        )
        return {(row.organisation, row.region, int(row.kek_generation)) for row in rows}


@dataclass(frozen=True, slots=True)
class StoredServiceKey:
    """A service key as its service stores it.

    Attributes:
        identity: Of the row and of the key within its purpose; rows come in this order.
        scope: As at wrapping.
        purpose: As at wrapping.
        bound: As at wrapping.
        wrapped: What the KMS made.
    """

    identity: str
    scope: Scope
    purpose: str
    bound: tuple[bytes, ...]
    wrapped: WrappedServiceKey


class ServiceKeyTable(Protocol):
    """A table of a service with keys that the KMS wrapped for it."""

    @property
    def name(self) -> str:
        """Stable: it is stored with the progress."""
        ...

    def read_batch(self, connection: Connection, after: str, count: int) -> Sequence[StoredServiceKey]:
        """Read keys whose identities come behind one, in their order; the empty text stands before all."""
        ...

    def replace(
        self, connection: Connection, identity: str, old: WrappedServiceKey, new: WrappedServiceKey
    ) -> bool:
        """Store a key wrapped anew, unless it is not the old one any more; say if it was stored."""
        ...


class ServiceKeyRows:
    """The keys of one service, as rows to go through."""

    def __init__(self, table: ServiceKeyTable) -> None:
        self._table = table

    @property
    def name(self) -> str:
        """Stable: it is stored with the progress."""
        return self._table.name

    def read_batch(
        self, connection: Connection, hierarchy: KeyHierarchy, after: str, count: int
    ) -> Sequence[WrappedRow]:
        """Read rows behind a position."""
        rows: list[WrappedRow] = []
        for stored in self._table.read_batch(connection, after, count):

            def encode(generation: int, stored: StoredServiceKey = stored) -> bytes:
                return hierarchy.encode_service_key(
                    stored.scope, stored.purpose, stored.identity, generation, stored.bound
                )

            rows.append(
                WrappedRow(
                    stored.identity,
                    f"{stored.purpose} {stored.identity}",
                    stored.scope.organisation,
                    stored.scope.region,
                    stored.wrapped.kek_generation,
                    stored.wrapped.wrapped,
                    encode,
                )
            )
        return rows

    def replace(self, connection: Connection, row: WrappedRow, wrapped: WrappedKey, generation: int) -> bool:
        """Store a row wrapped anew."""
        old = WrappedServiceKey(row.kek_generation, row.wrapped)
        return self._table.replace(connection, row.position, old, WrappedServiceKey(generation, wrapped))

    def list_uses(self, connection: Connection) -> set[Use]:
        """List the key-encryption keys that any key of the service needs."""
        uses: set[Use] = set()
        after = ""
        while batch := self._table.read_batch(connection, after, 1000):
            uses.update(
                (stored.scope.organisation, stored.scope.region, stored.wrapped.kek_generation)
                for stored in batch
            )
            after = batch[-1].identity
        return uses


def list_generations(connection: Connection) -> dict[tuple[str, str], dict[int, int]]:
    """Give for each organisation and region its key-encryption keys: generation to time of making."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    rows = connection.execute(
        select(keks.c.organisation, keks.c.region, keks.c.generation, keks.c.created_at)
    )
    for row in rows:
        found.setdefault((row.organisation, row.region), {})[int(row.generation)] = int(row.created_at)
    return found


def _decode_position(position: str) -> tuple[str, str, int]:
    organisation, identity, version = cast("list[object]", json.loads(position))
    return str(organisation), str(identity), int(str(version))
