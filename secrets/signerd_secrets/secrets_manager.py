"""The secrets manager: what can be done with secrets, each change in one transaction with its audit entry.

It has no rights of its own and asks nobody about them: its caller has checked the rights on the secret and
hands in the check of the right on the key. Values are sealed and opened by the KMS alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, TypeVar

from sqlalchemy import Connection

from signerd_kms.attribution import Attribution
from signerd_kms.audit import AuditEvent
from signerd_kms.data_keys import BoundField, SealedData, Sealer
from signerd_kms.errors import DecryptFailed, KmsError
from signerd_kms.identity import new_identity
from signerd_kms.key import NO_TEXTS, KeyIdentity, Scope
from signerd_secrets import listing, secret_rows
from signerd_secrets.access_policy import AccessPolicy, Action, Visitor
from signerd_secrets.errors import (
    AccessDenied,
    InvalidMetadata,
    SecretsError,
    SecretUnknown,
    ValueDamaged,
    VersionUnknown,
)
from signerd_secrets.listing import Level, Sight
from signerd_secrets.path import Directory, SecretPath
from signerd_secrets.secret import Secret, SecretIdentity
from signerd_secrets.value import SecretValue, ValueFormat

T = TypeVar("T")
RESOURCE_TYPE = "secret"
VIA = "secrets-manager"
MAX_DESCRIPTION = 1024  # characters
_BOUND = "signerd/secret/1"
CheckKey = Callable[[KeyIdentity], None]
"""Raises unless the caller has the right on the bound key."""


class Store(Protocol):
    """The database that the secrets manager shares with the KMS."""

    def now(self) -> int:
        """Give whole seconds since 1970, UTC."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees one state of the database."""
        ...

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run the work in a write transaction; return its result after the commit is on disk."""
        ...

    def record(self, connection: Connection, event: AuditEvent) -> None:
        """Store an audit event in the transaction of what it records."""
        ...

    def overwrite_deleted(self) -> None:
        """Bring the overwriting of what was deleted to its place on the disk."""
        ...


class DataKeeper(Protocol):
    """The door of the KMS for data of other services: the same checks and audit events as for any caller."""

    def seal_data(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        context: Mapping[str, str],
        store: Callable[[Connection, Sealer], T],
    ) -> T:
        """Let `store` seal and keep data in the transaction of the audit event `kms.encrypt`."""
        ...

    def open_data(
        self,
        scope: Scope,
        identity: KeyIdentity,
        sealed: SealedData,
        bound: Sequence[BoundField],
        *,
        by: Attribution,
        context: Mapping[str, str],
        store: Callable[[Connection], None],
    ) -> bytes:
        """Open data; `store` runs in the transaction of the audit event `kms.decrypt`."""
        ...


@dataclass(frozen=True, slots=True)
class Revealed:
    """A value in the clear, with what it was opened with. No value in its repr: SecretValue has none."""

    version: int
    value: SecretValue
    kms_key: KeyIdentity
    kms_key_version: int


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a secret is made from."""

    path: SecretPath
    kms_key: KeyIdentity
    value: SecretValue
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    access_policy: AccessPolicy | None = None


class SecretsManager:
    """Secrets in a database. Synchronous and safe to call from several threads."""

    def __init__(self, store: Store, kms: DataKeeper) -> None:
        self._store = store
        self._kms = kms

    # Without a value

    def get(self, scope: Scope, path: SecretPath, *, with_versions: bool = False) -> Secret:
        """Read a secret without its values.

        Raises:
            SecretUnknown: None at that path in the scope.
        """
        with self._store.read() as connection:
            return self._read(connection, scope, path, with_versions=with_versions)

    def browse(self, scope: Scope, directory: Directory, sight: Sight) -> Level:
        """List one directory as far as the caller may see it."""
        with self._store.read() as connection:
            return listing.browse(connection, scope, directory, sight)

    def list_below(self, scope: Scope, prefix: str, sight: Sight) -> list[Secret]:
        """List all secrets whose paths begin with a prefix, as far as the caller may see them."""
        with self._store.read() as connection:
            return list(listing.list_below(connection, scope, prefix, sight))

    def set_policy(
        self, scope: Scope, path: SecretPath, policy: AccessPolicy | None, *, by: Attribution
    ) -> Secret:
        """Replace or clear the access policy.

        Raises:
            SecretUnknown: None at that path in the scope.
        """

        def store(connection: Connection) -> Secret:
            secret = secret_rows.read_secret(connection, scope, path)
            secret_rows.store_policy(connection, secret, policy, self._store.now())
            self._record(connection, "secrets.update_policy", scope, path, by, secret=secret)
            return secret_rows.read_secret(connection, scope, path)

        return self._store.write(store)

    def destroy_version(self, scope: Scope, path: SecretPath, version: int, *, by: Attribution) -> None:
        """Erase a value for good; its history stays. Needs no key. A second time changes nothing.

        Raises:
            SecretUnknown: None at that path in the scope.
            VersionUnknown: It never had that version.
        """

        def store(connection: Connection) -> None:
            secret = secret_rows.read_secret(connection, scope, path)
            found = secret_rows.read_sealed(connection, secret, version)
            if found is None:
                raise VersionUnknown(f"the secret has no version {version}")
            if found[0] is not None:
                now = self._store.now()
                secret_rows.erase_version(connection, secret, version, now)
                secret_rows.touch_secret(connection, secret, now)
            self._record(
                connection, "secrets.destroy_version", scope, path, by, secret=secret, version=version
            )

        self._store.write(store)
        self._store.overwrite_deleted()

    def delete(self, scope: Scope, path: SecretPath, *, by: Attribution) -> None:
        """Remove a secret with all its versions; the path is free at once. Needs no key.

        Raises:
            SecretUnknown: None at that path in the scope.
        """

        def store(connection: Connection) -> None:
            secret = secret_rows.read_secret(connection, scope, path)
            secret_rows.delete_secret(connection, secret)
            self._record(connection, "secrets.delete", scope, path, by, secret=secret)

        self._store.write(store)
        self._store.overwrite_deleted()

    # With a value

    def create(self, scope: Scope, new: NewSecret, *, by: Attribution) -> Secret:
        """Store a secret with its first version, both or neither. The right on the key was checked before.

        Raises:
            InvalidMetadata: The description is too long.
            SecretExists: The path is in use.
            KeyUnknown: No such key in this scope.
            KeyNotUsable: It is not active, or not symmetric.
        """
        if len(new.description) > MAX_DESCRIPTION:
            raise InvalidMetadata(f"a description has at most {MAX_DESCRIPTION} characters")

        def store(connection: Connection, seal: Sealer) -> Secret:
            now = self._store.now()
            secret = Secret(
                identity=SecretIdentity(new_identity("sec")),
                scope=scope,
                path=new.path,
                kms_key=new.kms_key,
                description=new.description,
                labels=dict(new.labels),
                annotations=dict(new.annotations),
                access_policy=new.access_policy,
                current_version=1,
                object_version=1,
                created_at=now,
                updated_at=now,
                last_accessed_at=None,
            )
            secret_rows.insert_secret(connection, secret)
            self._store_value(connection, secret, new.value, seal, now)
            self._record(connection, "secrets.create", scope, new.path, by, secret=secret, version=1)
            return secret

        try:
            return self._kms.seal_data(
                scope, new.kms_key, by=_for_us(by), context={"secret": new.path}, store=store
            )
        except (KmsError, SecretsError) as error:
            self._record_failure("secrets.create", scope, new.path, by, error, kms_key=new.kms_key)

    def put(
        self,
        scope: Scope,
        path: SecretPath,
        value: SecretValue,
        visitor: Visitor,
        check_key: CheckKey,
        *,
        by: Attribution,
    ) -> int:
        """Add a version, sealed with the newest version of the bound key.

        Returns:
            Its number: the highest ever used and one.

        Raises:
            SecretUnknown: None at that path in the scope.
            AccessDenied: The access policy forbids it.
            KeyUnknown: The bound key is gone.
            KeyNotUsable: The bound key is not active.
        """
        secret = self._admit("secrets.put_value", Action.ADD_VERSION, scope, path, visitor, check_key, by)

        def store(connection: Connection, seal: Sealer) -> int:
            current = secret_rows.read_secret(connection, scope, path)
            if (
                current.identity != secret.identity
            ):  # deleted and made again meanwhile, maybe with another key
                raise SecretUnknown("no such secret")
            now = self._store.now()
            version = self._store_value(connection, secret, value, seal, now)
            secret_rows.touch_secret(connection, secret, now)
            self._record(connection, "secrets.put_value", scope, path, by, secret=secret, version=version)
            return version

        try:
            return self._kms.seal_data(
                scope, secret.kms_key, by=_for_us(by), context={"secret": path}, store=store
            )
        except (KmsError, SecretsError) as error:
            self._record_failure("secrets.put_value", scope, path, by, error, kms_key=secret.kms_key)

    def reveal(
        self,
        scope: Scope,
        path: SecretPath,
        version: int | None,
        visitor: Visitor,
        check_key: CheckKey,
        *,
        by: Attribution,
    ) -> Revealed:
        """Give a value in the clear. Nothing is decrypted before policy and right on the key are checked.

        Args:
            scope: Where the secret is.
            path: Of the secret.
            version: None for the current one.
            visitor: For the access policy.
            check_key: Raises unless the caller may decrypt with the bound key.
            by: Who asks, for the audit.

        Raises:
            SecretUnknown: None at that path in the scope.
            VersionUnknown: No such version, or it was destroyed, or none is left.
            AccessDenied: The access policy forbids it.
            KeyUnknown: The bound key is gone.
            KeyNotUsable: The bound key is not active.
            ValueDamaged: What is stored does not open.
        """
        action = "secrets.get_value"
        secret = self._admit(action, Action.REVEAL, scope, path, visitor, check_key, by)
        number = secret.current_version if version is None else version
        with self._store.read() as connection:
            found = secret_rows.read_sealed(connection, secret, number)
        try:
            if found is None or found[0] is None:
                raise VersionUnknown("the secret has no such version")
            octets, key_version, value_format = found[0], found[1], found[2]

            def store(connection: Connection) -> None:
                now_stored = secret_rows.read_sealed(connection, secret, number)
                if now_stored is None or now_stored[0] is None:  # destroyed since we read it
                    raise VersionUnknown("the secret has no such version")
                secret_rows.note_access(connection, secret, number, self._store.now())
                self._record(connection, action, scope, path, by, secret=secret, version=number)

            clear = self._kms.open_data(
                scope,
                secret.kms_key,
                SealedData(key_version, octets),
                _bind(secret, number, value_format),
                by=_for_us(by),
                context={"secret": path},
                store=store,
            )
        except DecryptFailed:
            damaged = ValueDamaged(f"the stored value of version {number} does not open")
            self._record_failure(action, scope, path, by, damaged, kms_key=secret.kms_key, version=number)
        except (KmsError, SecretsError) as error:
            self._record_failure(action, scope, path, by, error, kms_key=secret.kms_key, version=version)
        return Revealed(number, SecretValue(value_format, clear), secret.kms_key, key_version)

    def _read(self, connection: Connection, scope: Scope, path: SecretPath, *, with_versions: bool) -> Secret:
        secret = secret_rows.read_secret(connection, scope, path)
        if not with_versions:
            return secret
        return replace(secret, versions=secret_rows.read_versions(connection, secret))

    def _admit(
        self,
        action: str,
        gated: Action,
        scope: Scope,
        path: SecretPath,
        visitor: Visitor,
        check_key: CheckKey,
        by: Attribution,
    ) -> Secret:
        """Read a secret whose value is asked for: its access policy decides, then the right on the key."""
        secret: Secret | None = None
        try:
            secret = self.get(scope, path)
            if secret.access_policy is not None:
                secret.access_policy.require(gated, visitor)
        except (SecretUnknown, AccessDenied) as error:
            self._record_failure(
                action, scope, path, by, error, kms_key=None if secret is None else secret.kms_key
            )
        try:
            check_key(secret.kms_key)
        except Exception as error:  # whatever the caller's check raises, it is recorded and handed on
            self._record_failure(action, scope, path, by, error, kms_key=secret.kms_key)
        return secret

    def _store_value(
        self, connection: Connection, secret: Secret, value: SecretValue, seal: Sealer, now: int
    ) -> int:
        version = secret_rows.take_version_number(connection, secret)
        sealed = seal(value.octets, _bind(secret, version, value.format))
        secret_rows.insert_version(
            connection, secret, version, value.format, sealed.key_version, sealed.octets, now
        )
        return version

    def _record(
        self,
        connection: Connection,
        action: str,
        scope: Scope,
        path: SecretPath,
        by: Attribution,
        *,
        secret: Secret | None = None,
        version: int | None = None,
        kms_key: KeyIdentity | None = None,
        error: Exception | None = None,
    ) -> None:
        details: dict[str, str | int] = {}
        bound_key = kms_key if secret is None else secret.kms_key
        if bound_key is not None:
            details["kmsKeyIdentity"] = bound_key
        if version is not None:
            details["version"] = version
        event = AuditEvent(
            at=self._store.now(),
            action=action,
            succeeded=error is None,
            organisation=scope.organisation,
            region=scope.region,
            project=scope.project,
            actor=by.actor,
            via=by.via,
            request_id=by.request_id,
            credential=by.credential,
            address=by.address,
            resource_type=RESOURCE_TYPE,
            resource=path,
            error=None if error is None else str(getattr(error, "code", type(error).__name__)),
            details=details,
        )
        self._store.record(connection, event)

    def _record_failure(
        self,
        action: str,
        scope: Scope,
        path: SecretPath,
        by: Attribution,
        error: Exception,
        *,
        kms_key: KeyIdentity | None = None,
        version: int | None = None,
    ) -> NoReturn:
        """Record what did not succeed and raise its error."""
        self._store.write(
            lambda connection: self._record(
                connection, action, scope, path, by, version=version, kms_key=kms_key, error=error
            )
        )
        raise error


def _bind(secret: Secret, version: int, value_format: ValueFormat) -> tuple[BoundField, ...]:
    """Give what a value is bound to: moved to another row, it does not open."""
    scope = secret.scope
    return (
        _BOUND,
        scope.organisation,
        scope.region,
        scope.project or "",
        secret.identity,
        secret.path,
        version,
        value_format.value,
    )


def _for_us(by: Attribution) -> Attribution:
    """Give the attribution of what the KMS does for the caller through us."""
    return Attribution(by.actor, VIA, by.request_id, by.credential, by.address)
