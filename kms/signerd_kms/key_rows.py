"""Rows of keys and their versions. Every function asks for the organisation: no query crosses them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from signerd_kms.errors import KeyNameTaken, KeyUnknown, KeyVersionUnknown
from signerd_kms.key import (
    Key,
    KeyIdentity,
    KeyStatus,
    KeyType,
    KeyVersion,
    Operation,
    Scope,
    encode_operations,
)
from signerd_kms.schema import key_versions, keys
from signerd_kms.wrapping import WrappedKey

AnyRow = Row[*tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class StoredMaterial:
    """The wrapped private part of a key version."""

    wrapped: WrappedKey
    kek_generation: int


def insert_key(connection: Connection, key: Key, materials: Sequence[StoredMaterial]) -> None:
    """Store a new key with its versions.

    Raises:
        KeyNameTaken: Another key of the scope that is not pending deletion has the name or slug.
    """
    clash = select(keys.c.name).where(
        *_in_scope(key.scope),
        (keys.c.name == key.name) | (keys.c.slug == key.slug),
        keys.c.status != KeyStatus.PENDING_DELETION,
    )
    taken = connection.execute(clash).first()
    if taken is not None:
        raise KeyNameTaken(f"the name {key.name!r} is taken by the key {taken.name!r}")
    try:
        connection.execute(insert(keys).values(_encode(key)))
    except IntegrityError as error:  # another writer of a database that lets several write at once
        raise KeyNameTaken(f"the name {key.name!r} is taken") from error
    for version, material in zip(key.versions, materials, strict=True):
        insert_version(connection, key.scope, key.identity, version, material)


def insert_version(
    connection: Connection, scope: Scope, identity: KeyIdentity, version: KeyVersion, material: StoredMaterial
) -> None:
    """Store one version of a key."""
    connection.execute(
        insert(key_versions).values(
            organisation=scope.organisation,
            identity=identity,
            version=version.version,
            status=version.status,
            kek_generation=material.kek_generation,
            wrapped=material.wrapped.octets,
            key_check=material.wrapped.key_check,
            public_key=version.public_key,
            created_at=version.created_at,
        )
    )


def read_key(connection: Connection, scope: Scope, identity: KeyIdentity) -> Key:
    """Read a key by identity.

    Raises:
        KeyUnknown: None in this scope, whether or not it exists elsewhere.
    """
    found = _read(connection, scope, keys.c.identity == identity)
    if not found:
        raise KeyUnknown(f"no key {identity}")
    return found[0]


def find_key(connection: Connection, scope: Scope, name: str) -> Key | None:
    """Find the key of exactly that name which is not pending deletion."""
    found = _read(connection, scope, keys.c.name == name, keys.c.status != KeyStatus.PENDING_DELETION)
    return found[0] if found else None


def list_keys(connection: Connection, scope: Scope) -> list[Key]:
    """List the keys of a scope, oldest first, then by identity."""
    return _read(connection, scope)


def read_material(
    connection: Connection, scope: Scope, identity: KeyIdentity, version: int
) -> StoredMaterial:
    """Read the wrapped material of a version of a key that is known to be in the scope.

    Raises:
        KeyVersionUnknown: There is no such version, or it was destroyed.
    """
    row = connection.execute(
        select(key_versions.c.wrapped, key_versions.c.key_check, key_versions.c.kek_generation).where(
            key_versions.c.organisation == scope.organisation,
            key_versions.c.identity == identity,
            key_versions.c.version == version,
        )
    ).first()
    if row is None or row.wrapped is None:
        raise KeyVersionUnknown(f"key {identity} has no version {version}")
    return StoredMaterial(WrappedKey(row.wrapped, row.key_check), row.kek_generation)


def read_status(connection: Connection, scope: Scope, identity: KeyIdentity) -> KeyStatus:
    """Read what a key may be used for right now.

    Raises:
        KeyUnknown: None in this scope.
    """
    row = connection.execute(
        select(keys.c.status).where(*_in_scope(scope), keys.c.identity == identity)
    ).first()
    if row is None:
        raise KeyUnknown(f"no key {identity}")
    return KeyStatus(row.status)


def update_status(connection: Connection, key: Key, status: KeyStatus, now: int) -> Key:
    """Change the status of a key."""
    changed = replace(key, status=status, updated_at=now, object_version=key.object_version + 1)
    connection.execute(
        update(keys)
        .where(*_in_scope(key.scope), keys.c.identity == key.identity)
        .values(status=status.value, updated_at=now, object_version=changed.object_version)
    )
    return changed


def count_keys(
    connection: Connection, organisation: str, project: str | None
) -> dict[str, dict[KeyStatus, int]]:
    """Count the keys of an organisation, or of one of its projects, by region and status."""
    counts: dict[str, dict[KeyStatus, int]] = {}
    for row in connection.execute(
        select(keys.c.region, keys.c.status, func.count().label("number"))
        .where(keys.c.organisation == organisation, keys.c.project == (project or ""))
        .group_by(keys.c.region, keys.c.status)
    ):
        counts.setdefault(row.region, {})[KeyStatus(row.status)] = row.number
    return counts


def _in_scope(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        keys.c.organisation == scope.organisation,
        keys.c.region == scope.region,
        keys.c.project == (scope.project or ""),
    )


def _read(connection: Connection, scope: Scope, *conditions: ColumnElement[bool]) -> list[Key]:
    """Read keys and their versions in one statement, so that the two agree."""
    joined = keys.outerjoin(
        key_versions,
        (keys.c.organisation == key_versions.c.organisation) & (keys.c.identity == key_versions.c.identity),
    )
    rows = connection.execute(
        select(
            keys,
            key_versions.c.version,
            key_versions.c.status.label("version_status"),
            key_versions.c.created_at.label("version_created_at"),
            key_versions.c.public_key,
        )
        .select_from(joined)
        .where(*_in_scope(scope), *conditions)
        .order_by(keys.c.created_at, keys.c.identity, key_versions.c.version)
    ).all()
    found: dict[str, tuple[Row[*tuple[object, ...]], list[KeyVersion]]] = {}
    for row in rows:
        _, versions = found.setdefault(row.identity, (cast("AnyRow", row), []))
        if row.version is not None:
            versions.append(
                KeyVersion(row.version, row.version_status, row.version_created_at, row.public_key)
            )
    return [_decode(row, scope, tuple(versions)) for row, versions in found.values()]


def _encode(key: Key) -> dict[str, object]:
    return {
        "organisation": key.scope.organisation,
        "identity": key.identity,
        "region": key.scope.region,
        "project": key.scope.project or "",
        "name": key.name,
        "slug": key.slug,
        "description": key.description,
        "labels": _encode_texts(key.labels),
        "annotations": _encode_texts(key.annotations),
        "key_type": key.key_type.value,
        "status": key.status.value,
        "operations": encode_operations(key.operations),
        "export_allowed": key.export_allowed,
        "imported": key.imported,
        "rotation_allowed": key.rotation_allowed,
        "rotation_enabled": key.rotation_enabled,
        "rotation_period_in_days": key.rotation_period_in_days,
        "latest_version": key.latest_version,
        "min_decryption_version": key.min_decryption_version,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "object_version": key.object_version,
        "deletion_scheduled_at": key.deletion_scheduled_at,
    }


def _decode(row: AnyRow, scope: Scope, versions: tuple[KeyVersion, ...]) -> Key:
    return Key(
        identity=KeyIdentity(row.identity),
        scope=scope,
        name=row.name,
        slug=row.slug,
        description=row.description,
        labels=json.loads(row.labels),
        annotations=json.loads(row.annotations),
        key_type=KeyType(row.key_type),
        status=KeyStatus(row.status),
        operations=frozenset(Operation(name) for name in row.operations.split(",") if name),
        export_allowed=row.export_allowed,
        imported=row.imported,
        rotation_allowed=row.rotation_allowed,
        rotation_enabled=row.rotation_enabled,
        rotation_period_in_days=row.rotation_period_in_days,
        latest_version=row.latest_version,
        min_decryption_version=row.min_decryption_version,
        versions=versions,
        created_at=row.created_at,
        updated_at=row.updated_at,
        object_version=row.object_version,
        deletion_scheduled_at=row.deletion_scheduled_at,
    )


def _encode_texts(texts: Mapping[str, str]) -> str:
    return json.dumps(dict(texts), ensure_ascii=False, separators=(",", ":"))
