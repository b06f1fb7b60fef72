"""The keys that wrap imports, as rows that rewrapping goes through."""

import json
from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection, select, tuple_, update

from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.schema import wrapping_keys
from signerd_kms.wrapped_rows import Use, WrappedRow
from signerd_kms.wrapping import WrappedKey


class WrappingKeyRows:
    """The private halves of wrapping keys."""

    name = "wrapping keys"

    def read_batch(
        self, connection: Connection, hierarchy: KeyHierarchy, after: str, count: int
    ) -> Sequence[WrappedRow]:
        """Read rows behind a position."""
        place = tuple_(wrapping_keys.c.organisation, wrapping_keys.c.region, wrapping_keys.c.generation)
        query = (
            select(wrapping_keys)
            .order_by(wrapping_keys.c.organisation, wrapping_keys.c.region, wrapping_keys.c.generation)
            .limit(count)
        )
        if after:
            query = query.where(place > tuple_(*_decode_position(after)))
        rows: list[WrappedRow] = []
        for row in connection.execute(query).all():
            owner = (str(row.organisation), str(row.region), int(row.generation))

            def encode(kek_generation: int, owner: tuple[str, str, int] = owner) -> bytes:
                return hierarchy.encode_wrapping_key(*owner, kek_generation)

            rows.append(
                WrappedRow(
                    json.dumps(owner),
                    f"wrapping key {row.generation} of {row.organisation} in region {row.region}",
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
        organisation, region, number = _decode_position(row.position)
        return (
            connection.execute(
                update(wrapping_keys)
                .where(
                    wrapping_keys.c.organisation == organisation,
                    wrapping_keys.c.region == region,
                    wrapping_keys.c.generation == number,
                    wrapping_keys.c.wrapped == row.wrapped.octets,
                )
                .values(wrapped=wrapped.octets, key_check=wrapped.key_check, kek_generation=generation)
            ).rowcount
            == 1
        )

    def list_uses(self, connection: Connection) -> set[Use]:
        """List the key-encryption keys that any wrapping key needs."""
        rows = connection.execute(
            select(
                wrapping_keys.c.organisation, wrapping_keys.c.region, wrapping_keys.c.kek_generation
            ).distinct()
        )
        return {(row.organisation, row.region, int(row.kek_generation)) for row in rows}


def _decode_position(position: str) -> tuple[str, str, int]:
    organisation, region, generation = cast("list[object]", json.loads(position))
    return str(organisation), str(region), int(str(generation))
