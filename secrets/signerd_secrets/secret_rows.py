"""Rows of secrets and their versions. Every function asks for the scope: nothing is found outside it."""

import json
from collections.abc import Iterator, Mapping
from typing import Protocol, cast

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from signerd_kms.key import KeyIdentity, Scope
from signerd_secrets.access_policy import AccessPolicy, parse_policy
from signerd_secrets.errors import SecretExists, SecretUnknown
from signerd_secrets.path import SecretPath
from signerd_secrets.schema import secret_versions, secrets
from signerd_secrets.secret import Secret, SecretIdentity, SecretVersion, VersionStatus
from signerd_secrets.value import ValueFormat


class SecretRow(Protocol):
    """The columns of `SELECT_SECRET`."""

    identity: str
    path: str
    kms_key: str
    description: str
    labels: str
    annotations: str
    access_policy: str | None
    current_version: int | None
    object_version: int
    created_at: int
    updated_at: int
    last_accessed_at: int | None


_CURRENT = (
    select(func.max(secret_versions.c.version))
    .where(
        secret_versions.c.organisation == secrets.c.organisation,
        secret_versions.c.secret == secrets.c.identity,
        secret_versions.c.status == VersionStatus.ACTIVE.value,
    )
    .scalar_subquery()
)
SELECT_SECRET = select(secrets, _CURRENT.label("current_version"))


def in_scope(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions that keep a statement inside a scope."""
    return (
        secrets.c.organisation == scope.organisation,
        secrets.c.region == scope.region,
        secrets.c.project == (scope.project or ""),
    )


def read_secret(connection: Connection, scope: Scope, path: SecretPath) -> Secret:
    """Read a secret without its versions.

    Raises:
        SecretUnknown: None at that path in the scope.
    """
    row = connection.execute(SELECT_SECRET.where(*in_scope(scope), secrets.c.path == path)).first()
    if row is None:
        raise SecretUnknown("no such secret")
    return decode(cast("SecretRow", row), scope)


def list_bound_paths(connection: Connection, scope: Scope, key: KeyIdentity) -> Iterator[SecretPath]:
    """Give the paths of all secrets that are bound to a key, in order."""
    statement = select(secrets.c.path).where(*in_scope(scope), secrets.c.kms_key == key)
    for path in connection.execute(statement.order_by(secrets.c.path)).scalars():
        yield SecretPath(path)


def read_versions(connection: Connection, secret: Secret) -> tuple[SecretVersion, ...]:
    """Read all versions of a secret, ascending."""
    rows = connection.execute(
        select(secret_versions)
        .where(
            secret_versions.c.organisation == secret.scope.organisation,
            secret_versions.c.secret == secret.identity,
        )
        .order_by(secret_versions.c.version)
    )
    return tuple(
        SecretVersion(
            row.version,
            VersionStatus(row.status),
            ValueFormat(row.value_format),
            row.created_at,
            row.destroyed_at,
            row.last_accessed_at,
        )
        for row in rows
    )


def insert_secret(connection: Connection, secret: Secret) -> None:
    """Store a new secret that has no version yet.

    Raises:
        SecretExists: The path is in use.
    """
    try:
        connection.execute(
            insert(secrets).values(
                organisation=secret.scope.organisation,
                identity=secret.identity,
                region=secret.scope.region,
                project=secret.scope.project or "",
                path=secret.path,
                kms_key=secret.kms_key,
                description=secret.description,
                labels=_encode_texts(secret.labels),
                annotations=_encode_texts(secret.annotations),
                access_policy=None if secret.access_policy is None else secret.access_policy.render(),
                highest_version=0,
                object_version=secret.object_version,
                created_at=secret.created_at,
                updated_at=secret.updated_at,
            )
        )
    except IntegrityError as error:
        raise SecretExists(f"a secret at {secret.path} exists") from error


def take_version_number(connection: Connection, secret: Secret) -> int:
    """Give the next version number; inside the write transaction that uses it, so none is given twice."""
    number = connection.execute(
        update(secrets)
        .where(*_same(secret))
        .values(highest_version=secrets.c.highest_version + 1)
        .returning(secrets.c.highest_version)
    ).scalar_one()
    return int(number)


def touch_secret(connection: Connection, secret: Secret, now: int) -> None:
    """Note that a secret was changed."""
    connection.execute(
        update(secrets)
        .where(*_same(secret))
        .values(object_version=secrets.c.object_version + 1, updated_at=now)
    )


def store_policy(connection: Connection, secret: Secret, policy: AccessPolicy | None, now: int) -> None:
    """Replace the access policy of a secret."""
    connection.execute(
        update(secrets)
        .where(*_same(secret))
        .values(
            access_policy=None if policy is None else policy.render(),
            object_version=secrets.c.object_version + 1,
            updated_at=now,
        )
    )


def insert_version(
    connection: Connection,
    secret: Secret,
    version: int,
    value_format: ValueFormat,
    kms_key_version: int,
    sealed: bytes,
    now: int,
) -> None:
    """Store a value."""
    connection.execute(
        insert(secret_versions).values(
            organisation=secret.scope.organisation,
            secret=secret.identity,
            version=version,
            status=VersionStatus.ACTIVE.value,
            value_format=value_format.value,
            kms_key_version=kms_key_version,
            sealed=sealed,
            created_at=now,
        )
    )


def note_access(connection: Connection, secret: Secret, version: int, now: int) -> None:
    """Note that a value was revealed; no change of the object."""
    connection.execute(update(secrets).where(*_same(secret)).values(last_accessed_at=now))
    connection.execute(
        update(secret_versions).where(*_same_version(secret, version)).values(last_accessed_at=now)
    )


def read_sealed(
    connection: Connection, secret: Secret, version: int
) -> tuple[bytes | None, int, ValueFormat] | None:
    """Give what is stored of a value, the version of the key that sealed it, and the format of the value.

    Returns:
        The first is None once the value is destroyed; None for a version that never was.
    """
    row = connection.execute(
        select(
            secret_versions.c.sealed, secret_versions.c.kms_key_version, secret_versions.c.value_format
        ).where(*_same_version(secret, version))
    ).first()
    return None if row is None else (row.sealed, row.kms_key_version, ValueFormat(row.value_format))


def erase_version(connection: Connection, secret: Secret, version: int, now: int) -> None:
    """Erase a value and keep the history of it."""
    connection.execute(
        update(secret_versions)
        .where(*_same_version(secret, version))
        .values(sealed=None, status=VersionStatus.DESTROYED.value, destroyed_at=now)
    )


def delete_secret(connection: Connection, secret: Secret) -> None:
    """Remove a secret with all its versions."""
    connection.execute(
        delete(secret_versions).where(
            secret_versions.c.organisation == secret.scope.organisation,
            secret_versions.c.secret == secret.identity,
        )
    )
    connection.execute(delete(secrets).where(*_same(secret)))


def decode(row: SecretRow, scope: Scope) -> Secret:
    """Make the value of a row."""
    return Secret(
        identity=SecretIdentity(row.identity),
        scope=scope,
        path=SecretPath(row.path),
        kms_key=KeyIdentity(row.kms_key),
        description=row.description,
        labels=json.loads(row.labels),
        annotations=json.loads(row.annotations),
        access_policy=None if row.access_policy is None else parse_policy(json.loads(row.access_policy)),
        current_version=row.current_version or 0,
        object_version=row.object_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_accessed_at=row.last_accessed_at,
    )


def _same(secret: Secret) -> tuple[ColumnElement[bool], ...]:
    return (secrets.c.organisation == secret.scope.organisation, secrets.c.identity == secret.identity)


def _same_version(secret: Secret, version: int) -> tuple[ColumnElement[bool], ...]:
    return (
        secret_versions.c.organisation == secret.scope.organisation,
        secret_versions.c.secret == secret.identity,
        secret_versions.c.version == version,
    )


def _encode_texts(texts: Mapping[str, str]) -> str:
    return json.dumps(dict(texts), ensure_ascii=False, separators=(",", ":"))
