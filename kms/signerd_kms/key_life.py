"""Keys from their making to their end: create, read, enable, disable."""

from collections.abc import Mapping

from sqlalchemy import Connection

from signerd_kms import key_rows, request, signature
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyNotUsable, KeyVersionUnknown, KmsError
from signerd_kms.identity import new_identity
from signerd_kms.key import (
    NO_TEXTS,
    OPERATIONS,
    Key,
    KeyIdentity,
    KeyStatus,
    KeyType,
    KeyVersion,
    Scope,
)
from signerd_kms.memory import wipe
from signerd_kms.state import Task


class KeyLife:
    """Makes keys, reads them and changes their state."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def create_key(
        self,
        scope: Scope,
        name: str,
        key_type: KeyType,
        *,
        by: Attribution,
        description: str = "",
        labels: Mapping[str, str] = NO_TEXTS,
        annotations: Mapping[str, str] = NO_TEXTS,
        export_allowed: bool = False,
    ) -> Key:
        """Make a key with its first version.

        Args:
            scope: Where it lives.
            name: 1 to 255 printable characters; unique among the keys of the scope that are not pending
                deletion, and so is the slug made from it.
            key_type: What it can do, for ever.
            by: Who asks.
            description: Up to 1024 characters.
            labels: Echoed, not interpreted.
            annotations: Echoed, not interpreted.
            export_allowed: Whether the material may ever be exported; bound to the material.

        Raises:
            InvalidRequest: The name or the description breaks its rule.
            KeyTypeUnsupported: Keys of this type cannot be made yet.
            KeyNameTaken: The name or its slug is in use.
            Sealed: The root key is not in memory.
        """
        request.check_name(name)
        request.check_description(description)
        signature.check_key_type(key_type)
        with self._custodian.unsealed(Task.CREATE) as hierarchy:
            now = self._store.now()
            identity = KeyIdentity(new_identity("kms"))
            private_key = signature.generate(key_type)
            key = Key(
                identity=identity,
                scope=scope,
                name=name,
                slug=request.make_key_slug(name, identity),
                description=description,
                labels=dict(labels),
                annotations=dict(annotations),
                key_type=key_type,
                status=KeyStatus.ACTIVE,
                operations=OPERATIONS[key_type],
                export_allowed=export_allowed,
                imported=False,
                rotation_allowed=True,
                rotation_enabled=False,
                rotation_period_in_days=None,
                latest_version=1,
                min_decryption_version=1,
                versions=(KeyVersion(1, "active", now, signature.encode_public_key(private_key)),),
                created_at=now,
                updated_at=now,
                object_version=1,
                deletion_scheduled_at=None,
            )
            kek, generation = self._custodian.load_current_kek(hierarchy, scope)
            octets = signature.encode_private_key(private_key)
            try:
                signature.check_key_pair(octets, key_type)
                material = hierarchy.wrap_material(kek, generation, key, 1, octets)
            finally:
                wipe(octets)

            def store(connection: Connection) -> None:
                key_rows.insert_key(connection, key, [material])
                details = {"keyType": key_type.value, "name": name}
                self._store.record_key_event(connection, "kms.create", key, by, version=1, details=details)

            self._store.write(store)
            return key

    def get_key(self, scope: Scope, identity: KeyIdentity) -> Key:
        """Read a key, also while sealed.

        Raises:
            KeyUnknown: None in this scope, whether or not it exists elsewhere.
        """
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.read_key(connection, scope, identity)

    def find_key(self, scope: Scope, name: str) -> Key | None:
        """Find the key of exactly this name that is not pending deletion, also while sealed."""
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.find_key(connection, scope, name)

    def list_keys(self, scope: Scope) -> list[Key]:
        """List the keys of a scope, oldest first, then by identity; also while sealed."""
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.list_keys(connection, scope)

    def count_keys(
        self, organisation: str, project: str | None = None
    ) -> Mapping[str, Mapping[KeyStatus, int]]:
        """Count keys by region and status: the organisation's own, or a project's; also while sealed."""
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.count_keys(connection, organisation, project)

    def public_key(self, scope: Scope, identity: KeyIdentity, version: int) -> bytes:
        """Give the SubjectPublicKeyInfo of a key version in DER, also while sealed or disabled.

        Raises:
            KeyUnknown: None in this scope.
            KeyVersionUnknown: It has no such version.
        """
        for known in self.get_key(scope, identity).versions:
            if known.version == version and known.public_key is not None:
                return known.public_key
        raise KeyVersionUnknown(f"key {identity} has no version {version} with a public key")

    def enable(self, scope: Scope, identity: KeyIdentity, *, by: Attribution) -> Key:
        """Let a disabled key be used again, also while sealed. An active key stays as it is.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
        """
        return self._set_status(scope, identity, KeyStatus.ACTIVE, "kms.enable", by)

    def disable(self, scope: Scope, identity: KeyIdentity, *, by: Attribution) -> Key:
        """Forbid every use of a key, also while sealed. A disabled key stays as it is.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
        """
        return self._set_status(scope, identity, KeyStatus.DISABLED, "kms.disable", by)

    def _set_status(
        self, scope: Scope, identity: KeyIdentity, status: KeyStatus, action: str, by: Attribution
    ) -> Key:
        self._custodian.require(Task.CHANGE_STATUS)

        def store(connection: Connection) -> Key | KmsError:
            key = key_rows.read_key(connection, scope, identity)
            if key.status is KeyStatus.PENDING_DELETION:
                error = KeyNotUsable(f"key {identity} is pending deletion")
                self._store.record_key_event(connection, action, key, by, error=error)
                return error
            if key.status is not status:
                key = key_rows.update_status(connection, key, status, self._store.now())
            self._store.record_key_event(connection, action, key, by)
            return key

        return raise_error(self._store.write(store))
