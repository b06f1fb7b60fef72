"""Rows of the instance and of its wrapped root key."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from signerd_kms.root_key import Label
from signerd_kms.schema import derived_keys, root_key_wraps
from signerd_kms.schema import instance as instances
from signerd_kms.wrapping import WrappedKey


@dataclass(frozen=True, slots=True)
class Instance:
    """What everything wrapped is bound to, and the generation of the root key that is in use."""

    identity: str
    root_generation: int


@dataclass(frozen=True, slots=True)
class RootKeyWrap:
    """One wrapped copy of the root key."""

    seal_id: str
    generation: int
    wrapped: WrappedKey
    created_at: int


def read_instance(connection: Connection) -> Instance | None:
    """Read the instance; None before the first start."""
    row = connection.execute(select(instances.c.identity, instances.c.root_generation)).first()
    return None if row is None else Instance(row.identity, row.root_generation)


def set_root_generation(connection: Connection, generation: int) -> None:
    """Say which generation of the root key is in use."""
    connection.execute(update(instances).values(root_generation=generation))


def list_wraps(connection: Connection, generation: int) -> list[RootKeyWrap]:
    """List the wrapped copies of a generation of the root key, by seal."""
    rows = connection.execute(
        select(root_key_wraps)
        .where(root_key_wraps.c.generation == generation)
        .order_by(root_key_wraps.c.seal_id)
    )
    return [
        RootKeyWrap(row.seal_id, row.generation, WrappedKey(row.wrapped, row.key_check), row.created_at)
        for row in rows
    ]


def find_wrap(connection: Connection, seal_id: str, generation: int) -> WrappedKey | None:
    """Find the copy of a generation of the root key that a seal wrapped."""
    for wrap in list_wraps(connection, generation):
        if wrap.seal_id == seal_id:
            return wrap.wrapped
    return None


def insert_wrap(connection: Connection, seal_id: str, generation: int, wrapped: WrappedKey, now: int) -> None:
    """Store what a seal wrapped, in place of what it wrapped of this generation before."""
    connection.execute(
        delete(root_key_wraps).where(
            root_key_wraps.c.seal_id == seal_id, root_key_wraps.c.generation == generation
        )
    )
    connection.execute(
        insert(root_key_wraps).values(
            seal_id=seal_id,
            generation=generation,
            wrapped=wrapped.octets,
            key_check=wrapped.key_check,
            created_at=now,
        )
    )


def delete_wrap(connection: Connection, seal_id: str) -> int:
    """Delete what a seal wrapped, of every generation; gives how many rows that were."""
    return connection.execute(delete(root_key_wraps).where(root_key_wraps.c.seal_id == seal_id)).rowcount


def delete_other_generations(connection: Connection, generation: int) -> None:
    """Delete the wrapped copies of all generations but one."""
    connection.execute(delete(root_key_wraps).where(root_key_wraps.c.generation != generation))


def read_derived(connection: Connection, generation: int) -> Mapping[Label, WrappedKey]:
    """Read what the first generation gave for each purpose, wrapped under this one; empty in the first."""
    rows = connection.execute(select(derived_keys).where(derived_keys.c.root_generation == generation))
    return {Label(row.label): WrappedKey(row.wrapped, row.key_check) for row in rows}


def replace_derived(connection: Connection, generation: int, wraps: Mapping[Label, WrappedKey]) -> None:
    """Store what the first generation gave for each purpose, wrapped under this generation."""
    connection.execute(delete(derived_keys))
    connection.execute(
        insert(derived_keys),
        [
            {
                "label": label.value,
                "root_generation": generation,
                "wrapped": wrapped.octets,
                "key_check": wrapped.key_check,
            }
            for label, wrapped in wraps.items()
        ],
    )
