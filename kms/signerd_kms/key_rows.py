"""Rows of keys and their versions. Every function asks for the organisation: no query crosses them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
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
from signerd_kms.name_form import unify_name
from signerd_kms.schema import export_approvals, key_versions, keys, tombstones, zone_bindings
from signerd_kms.wrapping import WrappedKey

AnyRow = Row[*tuple[object, ...]]
_CHANGING = {  # columns of keys that may change after creation
    "status",
    "rotation_enabled",
    "rotation_period_in_days",
    "latest_version",
    "updated_at",
    "object_version",
    "deletion_scheduled_at",
}


@dataclass(frozen=True, slots=True)
class StoredMaterial:
    """The wrapped secret part of a key version.

    Attributes:
        wrapped: Under the key-encryption key of its organisation and region.
        kek_generation: Which of them.
        fingerprint: The same for the same material in an organisation; None if it is not known.
    """

    wrapped: WrappedKey
    kek_generation: int
    fingerprint: bytes | None = None


def _select_keys(*conditions: ColumnElement[bool]) -> Select[*tuple[object, ...]]:
    """Select keys of a scope, which is given when the statement is executed, with their versions."""
    joined = keys.outerjoin(
        key_versions,
        (keys.c.organisation == key_versions.c.organisation) & (keys.c.identity == key_versions.c.identity),
    )
    query = (
        select(
            keys,
            key_versions.c.version,
            key_versions.c.status.label("version_status"),
            key_versions.c.created_at.label("version_created_at"),
            key_versions.c.public_key,
            key_versions.c.reserved_messages,
        )
        .select_from(joined)
        .where(*_SCOPE, *conditions)
        .order_by(keys.c.created_at, keys.c.identity, key_versions.c.version)
    )
    return cast("Select[*tuple[object, ...]]", query)


# Statements of every use of a key: built once, as building costs more than SQLite takes to answer.
_SCOPE = (
    keys.c.organisation == bindparam("organisation"),
    keys.c.region == bindparam("region"),
    keys.c.project == bindparam("project"),
)
_READ_KEY = _select_keys(keys.c.identity == bindparam("identity"))
_RESOLVE_KEY = _select_keys(
    (keys.c.identity == bindparam("identity")) | (keys.c.slug == bindparam("identity"))
)
_READ_STATUS = select(keys.c.status).where(*_SCOPE, keys.c.identity == bindparam("identity"))
_READ_MATERIAL = select(
    key_versions.c.wrapped, key_versions.c.key_check, key_versions.c.kek_generation
).where(
    key_versions.c.organisation == bindparam("organisation"),
    key_versions.c.identity == bindparam("identity"),
    key_versions.c.version == bindparam("version"),
)
_READ_ZONES = select(zone_bindings.c.zone, zone_bindings.c.signs_data).where(
    zone_bindings.c.organisation == bindparam("organisation"),
    zone_bindings.c.identity == bindparam("identity"),
)


def insert_key(connection: Connection, key: Key, materials: Sequence[StoredMaterial]) -> None:
    """Store a new key with its versions.

    Raises:
        KeyNameTaken: Another key of the scope that is not pending deletion has the name or slug.
    """
    _check_name_free(connection, key)
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
            reserved_messages=version.reserved_messages,
            fingerprint=material.fingerprint,
        )
    )


def read_key(connection: Connection, scope: Scope, identity: KeyIdentity) -> Key:
    """Read a key by identity.

    Raises:
        KeyUnknown: None in this scope, whether or not it exists elsewhere.
    """
    found = _fetch(connection, _READ_KEY, scope, identity=identity)
    if not found:
        raise KeyUnknown(f"no key {identity}")
    return found[0]


def find_key(connection: Connection, scope: Scope, name: str) -> Key | None:
    """Find the key of exactly that name which is not pending deletion."""
    found = _read(
        connection, scope, keys.c.name == unify_name(name), keys.c.status != KeyStatus.PENDING_DELETION
    )
    return found[0] if found else None


def resolve_key(connection: Connection, scope: Scope, reference: str) -> Key:
    """Read a key by identity or slug; the identity wins.

    A slug means the key that is not pending deletion; if all of that slug are, the newest of them.

    Raises:
        KeyUnknown: None in this scope.
    """
    found = _fetch(connection, _RESOLVE_KEY, scope, identity=reference)
    if not found:
        raise KeyUnknown(f"no key {reference}")
    return max(
        found,
        key=lambda key: (
            key.identity == reference,
            key.status is not KeyStatus.PENDING_DELETION,
            key.created_at,
            key.identity,
        ),
    )


def list_due_keys(
    connection: Connection, *conditions: ColumnElement[bool]
) -> list[tuple[Scope, KeyIdentity]]:
    """List keys of all organisations that meet conditions: for background jobs of the KMS only."""
    rows = connection.execute(
        select(keys.c.organisation, keys.c.region, keys.c.project, keys.c.identity)
        .where(*conditions)
        .order_by(keys.c.organisation, keys.c.identity)
    )
    return [
        (Scope(row.organisation, row.region, row.project or None), KeyIdentity(row.identity)) for row in rows
    ]


def find_fingerprint(connection: Connection, organisation: str, fingerprint: bytes) -> KeyIdentity | None:
    """Find a key of the organisation, in any of its scopes, with the same material."""
    row = connection.execute(
        select(key_versions.c.identity)
        .where(key_versions.c.organisation == organisation, key_versions.c.fingerprint == fingerprint)
        .limit(1)
    ).first()
    return None if row is None else KeyIdentity(row.identity)


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
    place = {"organisation": scope.organisation, "identity": identity, "version": version}
    row = connection.execute(_READ_MATERIAL, place).first()
    if row is None or row.wrapped is None:
        raise KeyVersionUnknown(f"key {identity} has no version {version}")
    return StoredMaterial(WrappedKey(row.wrapped, row.key_check), row.kek_generation)


def read_status(connection: Connection, scope: Scope, identity: KeyIdentity) -> KeyStatus:
    """Read what a key may be used for right now.

    Raises:
        KeyUnknown: None in this scope.
    """
    row = connection.execute(_READ_STATUS, {**_bind(scope), "identity": identity}).first()
    if row is None:
        raise KeyUnknown(f"no key {identity}")
    return KeyStatus(row.status)


def read_zones(connection: Connection, key: Key) -> dict[bytes, bool]:
    """Read which zones a key is bound to, and whether it signs all their RRsets.

    Returns:
        By the apexes, in wire form and lower case.
    """
    place = {"organisation": key.scope.organisation, "identity": key.identity}
    return {bytes(row.zone): bool(row.signs_data) for row in connection.execute(_READ_ZONES, place)}


def bind_zone(connection: Connection, key: Key, zone: bytes, now: int, *, signs_data: bool) -> None:
    """Store that a key signs for a zone, in place of what was said of both before."""
    connection.execute(
        delete(zone_bindings).where(
            zone_bindings.c.organisation == key.scope.organisation,
            zone_bindings.c.identity == key.identity,
            zone_bindings.c.zone == zone,
        )
    )
    connection.execute(
        insert(zone_bindings).values(
            organisation=key.scope.organisation,
            identity=key.identity,
            zone=zone,
            signs_data=int(signs_data),
            bound_at=now,
        )
    )


def update_key(connection: Connection, old: Key, new: Key, now: int) -> Key:
    """Store what may change of a key; gives it with its new object version, or as it was if nothing did.

    Raises:
        KeyNameTaken: It would no longer be pending deletion, and its name or slug is in use.
    """
    if new == old:
        return old
    if old.status is KeyStatus.PENDING_DELETION and new.status is not KeyStatus.PENDING_DELETION:
        _check_name_free(connection, new)
    changed = replace(new, updated_at=now, object_version=old.object_version + 1)
    connection.execute(
        update(keys)
        .where(*_in_scope(old.scope), keys.c.identity == old.identity)
        .values({name: value for name, value in _encode(changed).items() if name in _CHANGING})
    )
    return changed


def destroy_key(connection: Connection, key: Key, now: int) -> None:
    """Destroy the material of all versions and forget the key, but for its tombstones."""
    of_key = (key_versions.c.organisation == key.scope.organisation, key_versions.c.identity == key.identity)
    connection.execute(
        insert(tombstones).from_select(
            ["organisation", "identity", "version", "region", "key_check", "destroyed_at"],
            select(
                key_versions.c.organisation,
                key_versions.c.identity,
                key_versions.c.version,
                literal(key.scope.region),
                key_versions.c.key_check,
                literal(now),
            ).where(*of_key),
        )
    )
    connection.execute(update(key_versions).where(*of_key).values(wrapped=None, fingerprint=None))
    connection.execute(delete(key_versions).where(*of_key))
    for table in (zone_bindings, export_approvals):
        of_table = (table.c.organisation == key.scope.organisation, table.c.identity == key.identity)
        connection.execute(delete(table).where(*of_table))
    connection.execute(delete(keys).where(*_in_scope(key.scope), keys.c.identity == key.identity))


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


def _check_name_free(connection: Connection, key: Key) -> None:
    clash = select(keys.c.name).where(
        *_in_scope(key.scope),
        (keys.c.name == key.name) | (keys.c.slug == key.slug),
        keys.c.status != KeyStatus.PENDING_DELETION,
    )
    taken = connection.execute(clash).first()
    if taken is not None:
        raise KeyNameTaken(f"the name {key.name!r} is taken by the key {taken.name!r}")


def _in_scope(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        keys.c.organisation == scope.organisation,
        keys.c.region == scope.region,
        keys.c.project == (scope.project or ""),
    )


def _bind(scope: Scope) -> dict[str, str]:
    return {"organisation": scope.organisation, "region": scope.region, "project": scope.project or ""}


def _read(connection: Connection, scope: Scope, *conditions: ColumnElement[bool]) -> list[Key]:
    return _fetch(connection, _select_keys(*conditions), scope)


def _fetch(
    connection: Connection, query: Select[*tuple[object, ...]], scope: Scope, **values: str
) -> list[Key]:
    """Read keys and their versions in one statement, so that the two agree."""
    rows = connection.execute(query, {**_bind(scope), **values}).all()
    found: dict[str, tuple[Row[*tuple[object, ...]], list[KeyVersion]]] = {}
    for row in rows:
        _, versions = found.setdefault(row.identity, (row, []))
        if row.version is not None:
            versions.append(
                KeyVersion(
                    row.version,
                    row.version_status,
                    row.version_created_at,
                    row.public_key,
                    row.reserved_messages,
                )
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
