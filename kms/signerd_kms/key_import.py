"""Importing keys that customers bring."""

import hashlib

from sqlalchemy import Connection, insert, select

from signerd_kms import creation_record, key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.creation_record import Once
from signerd_kms.custodian import Custodian
from signerd_kms.errors import AuditNotWritten, ImportFailed, KeyMaterialKnown, KmsError, StoreUnavailable
from signerd_kms.foreign_material import MAX_BLOB, OaepHash, check_importable, unwrap_blob
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.key import Key, Scope
from signerd_kms.key_material import encode_public_key, load_material
from signerd_kms.memory import wipe
from signerd_kms.new_key import NewKey
from signerd_kms.schema import imported_blobs
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey
from signerd_kms.wrapping_keys import WrappingKeys


class KeyImport:
    """Imports keys."""

    def __init__(self, custodian: Custodian, wrapping_keys: WrappingKeys) -> None:
        self._custodian = custodian
        self._store = custodian.store
        self._wrapping_keys = wrapping_keys

    def import_key(
        self,
        scope: Scope,
        new: NewKey,
        blob: bytes,
        *,
        by: Attribution,
        oaep_hash: OaepHash = OaepHash.SHA256,
        rotation_allowed: bool = False,
        once: Once | None = None,
    ) -> Key:
        """Make a key from wrapped material. Success and failure are in the audit.

        Args:
            scope: Where it lives.
            new: What is chosen for it.
            blob: The wrapped material, for a wrapping key of the organisation and region; it imports once.
            by: Who asks.
            oaep_hash: How it is wrapped.
            rotation_allowed: Whether the key may get further versions, which are made here.
            once: Makes a retry give the key that the first attempt made.

        Raises:
            InvalidRequest: Something breaks its rule.
            OperationUnsupported: Keys of the type are not imported.
            ImportFailed: The material does not open, is not what it must be, or was imported before.
            KeyMaterialKnown: The organisation has a key with this material.
            KeyNameTaken: The name or its slug is in use.
            RotationNotAllowed: Rotation is enabled but not allowed.
            Sealed: The root key is not in memory.
        """
        new.check()
        check_importable(new.key_type)
        with self._custodian.unsealed(Task.CREATE) as hierarchy:
            if once is not None:
                with self._store.read() as connection:
                    now = self._store.now()
                    made = creation_record.find_creation(connection, scope.organisation, once, now)
                    if made is not None:
                        return key_rows.read_key(connection, scope, made)
            try:
                octets = self._unwrap(hierarchy, scope, new, blob, oaep_hash)
            except ImportFailed as error:
                self._refuse(scope, new, by, error)
                raise
            try:
                public_key = encode_public_key(load_material(octets, new.key_type, validated=True))

                def store(connection: Connection, kek: LiveKey, generation: int) -> Key | KmsError:
                    try:
                        key = new.build(
                            scope,
                            public_key,
                            self._store.now(),
                            imported=True,
                            rotation_allowed=rotation_allowed,
                        )
                        material = hierarchy.wrap_material(kek, generation, key, 1, octets)
                        _check_new(connection, scope.organisation, material, blob)
                        key_rows.insert_key(connection, key, [material])
                    except (StoreUnavailable, AuditNotWritten):
                        raise
                    except KmsError as error:
                        self._record_refusal(connection, scope, new, by, error)
                        return error
                    connection.execute(
                        insert(imported_blobs).values(
                            organisation=scope.organisation,
                            digest=hashlib.sha256(blob).digest(),
                            imported_at=key.created_at,
                        )
                    )
                    if once is not None:
                        creation_record.insert_creation(
                            connection, scope.organisation, once, key.identity, key.created_at
                        )
                    details = {"keyType": new.key_type.value, "name": new.name, "hash": oaep_hash.value}
                    self._store.record_key_event(
                        connection, "kms.import", key, by, version=1, details=details
                    )
                    return key

                return raise_error(self._custodian.write_under_kek(hierarchy, scope, store))
            finally:
                wipe(octets)

    def _unwrap(
        self, hierarchy: KeyHierarchy, scope: Scope, new: NewKey, blob: bytes, oaep_hash: OaepHash
    ) -> bytes:
        if not 1 <= len(blob) <= MAX_BLOB:
            raise ImportFailed
        for private_key in self._wrapping_keys.open_accepted(hierarchy, scope):
            try:
                return unwrap_blob(private_key, blob, oaep_hash, new.key_type)
            except ImportFailed:  # maybe wrapped for the one before
                continue
        raise ImportFailed

    def _refuse(self, scope: Scope, new: NewKey, by: Attribution, error: KmsError) -> None:
        self._store.write(lambda connection: self._record_refusal(connection, scope, new, by, error))

    def _record_refusal(
        self, connection: Connection, scope: Scope, new: NewKey, by: Attribution, error: KmsError
    ) -> None:
        details = {"keyType": new.key_type.value, "name": new.name}
        self._store.record_place_event(connection, "kms.import", scope, by, error=error, details=details)


def _check_new(
    connection: Connection, organisation: str, material: key_rows.StoredMaterial, blob: bytes
) -> None:
    seen = connection.execute(
        select(imported_blobs.c.imported_at).where(
            imported_blobs.c.organisation == organisation,
            imported_blobs.c.digest == hashlib.sha256(blob).digest(),
        )
    ).first()
    if seen is not None:
        raise ImportFailed
    assert material.fingerprint is not None  # noqa: S101  # it was wrapped just now
    if key_rows.find_fingerprint(connection, organisation, material.fingerprint) is not None:
        raise KeyMaterialKnown("the organisation has a key with this material already")
