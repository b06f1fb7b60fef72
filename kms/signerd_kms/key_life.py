"""Making and reading keys."""

from collections.abc import Mapping

from sqlalchemy import Connection

from signerd_kms import creation_record, key_rows, signature
from signerd_kms.attribution import Attribution
from signerd_kms.creation_record import Once
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyVersionUnknown, OperationUnsupported
from signerd_kms.key import NO_TEXTS, Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.key_material import encode_public_key, load_material
from signerd_kms.memory import wipe
from signerd_kms.new_key import NewKey
from signerd_kms.ready_keys import ReadyKeys
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey


class KeyLife:
    """Makes keys and reads them."""

    def __init__(self, custodian: Custodian, ready: ReadyKeys) -> None:
        self._custodian = custodian
        self._ready = ready
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
        rotation_enabled: bool = False,
        rotation_period_in_days: int | None = None,
        once: Once | None = None,
    ) -> Key:
        """Make a key with its first version.

        Args:
            scope: Where it lives.
            name: As in `NewKey`, and so are the others.
            key_type: What it can do, for ever.
            by: Who asks.
            description: For people.
            labels: Echoed.
            annotations: Echoed.
            export_allowed: Whether the material may ever be exported.
            rotation_enabled: Whether it is rotated by itself.
            rotation_period_in_days: How often.
            once: Makes a retry give the key that the first attempt made.

        Raises:
            InvalidRequest: Something breaks its rule.
            KeyNameTaken: The name or its slug is in use.
            RepeatedDifferently: The idempotency key came with another request before.
            Sealed: The root key is not in memory.
        """
        new = NewKey(
            name,
            key_type,
            description,
            labels,
            annotations,
            export_allowed,
            rotation_enabled,
            rotation_period_in_days,
        )
        new.check()
        with self._custodian.unsealed(Task.CREATE) as hierarchy:
            if once is not None and (made := self._find_made(scope, once)) is not None:
                return made  # before a key is generated, which may take seconds
            octets = self._ready.take(key_type)
            try:
                signature.check_key_pair(octets, key_type)
                public_key = encode_public_key(load_material(octets, key_type, validated=True))

                def store(connection: Connection, kek: LiveKey, generation: int) -> Key:
                    now = self._store.now()
                    if once is not None:
                        earlier = creation_record.find_creation(connection, scope.organisation, once, now)
                        if earlier is not None:
                            return key_rows.read_key(connection, scope, earlier)
                    key = new.build(scope, public_key, now)
                    material = hierarchy.wrap_material(kek, generation, key, 1, octets)
                    key_rows.insert_key(connection, key, [material])
                    if once is not None:
                        creation_record.insert_creation(
                            connection, scope.organisation, once, key.identity, now
                        )
                    details = {"keyType": key_type.value, "name": name}
                    self._store.record_key_event(
                        connection, "kms.create", key, by, version=1, details=details
                    )
                    return key

                return self._custodian.write_under_kek(hierarchy, scope, store)
            finally:
                wipe(octets)

    def get_key(self, scope: Scope, identity: KeyIdentity) -> Key:
        """Read a key, also while sealed.

        Raises:
            KeyUnknown: None in this scope, whether or not it exists elsewhere.
        """
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.read_key(connection, scope, identity)

    def resolve_key(self, scope: Scope, reference: str) -> Key:
        """Read a key by identity or slug, also while sealed; the identity wins.

        A slug means the key that is not pending deletion; if all of that slug are, the newest of them.

        Raises:
            KeyUnknown: None in this scope.
        """
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return key_rows.resolve_key(connection, scope, reference)

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

    def public_keys(
        self, scope: Scope, identity: KeyIdentity, *, by: Attribution, version: int | None = None
    ) -> Mapping[int, bytes]:
        """Give the SubjectPublicKeyInfo of one or all versions in DER, whatever the status; audited.

        Raises:
            KeyUnknown: None in this scope.
            OperationUnsupported: Keys of its type have none.
            KeyVersionUnknown: It has no such version.
        """
        key = self.get_key(scope, identity)
        known = {item.version: item.public_key for item in key.versions if item.public_key is not None}
        if not known:
            raise OperationUnsupported(f"a key of type {key.key_type.value} has no public key")
        if version is not None:
            if version not in known:
                raise KeyVersionUnknown(f"key {identity} has no version {version}")
            known = {version: known[version]}
        self._store.write(
            lambda connection: self._store.record_key_event(
                connection, "kms.get_public_key", key, by, version=version
            )
        )
        return known

    def _find_made(self, scope: Scope, once: Once) -> Key | None:
        with self._store.read() as connection:
            made = creation_record.find_creation(connection, scope.organisation, once, self._store.now())
            return None if made is None else key_rows.read_key(connection, scope, made)
