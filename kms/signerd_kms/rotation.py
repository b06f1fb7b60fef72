"""New versions of keys: on request, and by themselves when their time has come."""

from dataclasses import replace

from sqlalchemy import Connection

from signerd_kms import key_rows, request, signature
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.custodian import Custodian
from signerd_kms.errors import (
    AuditNotWritten,
    KeyChanged,
    KeyNotUsable,
    KmsError,
    RotationNotAllowed,
    Sealed,
    StoreUnavailable,
)
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyVersion, Scope
from signerd_kms.key_change import Change, change_key
from signerd_kms.key_material import encode_public_key, load_material
from signerd_kms.memory import wipe
from signerd_kms.nonce_budget import ROTATE_AT
from signerd_kms.ready_keys import ReadyKeys
from signerd_kms.schema import key_versions, keys
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey


class Rotation:
    """Gives keys new versions. Nothing is encrypted again: old versions go on decrypting and verifying."""

    def __init__(self, custodian: Custodian, ready: ReadyKeys) -> None:
        self._custodian = custodian
        self._ready = ready
        self._store = custodian.store

    def rotate(
        self, scope: Scope, identity: KeyIdentity, *, by: Attribution, expected_version: int | None = None
    ) -> Key:
        """Make a new version, which new operations use from now on.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is not active.
            RotationNotAllowed: It was imported without leave for it.
            KeyChanged: It has not the object version expected.
            Sealed: The root key is not in memory.
        """
        return self._rotate(scope, identity, Change("kms.rotate", by, expected_version))

    def update_rotation(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        enabled: bool | None = None,
        period_in_days: int | None = None,
        expected_version: int | None = None,
    ) -> Key:
        """Change when a key is rotated by itself; what is None stays as it is. Works while sealed.

        Raises:
            InvalidRequest: The period is not 1 to 3650 days, or there is none and rotation is to be enabled.
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
            RotationNotAllowed: It was imported without leave for it, and rotation is to be enabled.
            KeyChanged: It has not the object version expected.
        """
        self._custodian.require(Task.CHANGE_STATUS)

        def edit(key: Key) -> Key:
            if key.status is KeyStatus.PENDING_DELETION:
                raise KeyNotUsable(f"key {key.identity} is pending deletion")
            if enabled and not key.rotation_allowed:
                raise RotationNotAllowed(f"key {key.identity} was imported without leave to rotate it")
            is_enabled = key.rotation_enabled if enabled is None else enabled
            period = key.rotation_period_in_days if period_in_days is None else period_in_days
            request.check_rotation(period, is_enabled=is_enabled)
            return replace(key, rotation_enabled=is_enabled, rotation_period_in_days=period)

        change = Change("kms.update_rotation", by, expected_version)

        def store(connection: Connection) -> Key | KmsError:
            return change_key(connection, self._store, scope, identity, change, edit)

        return raise_error(self._store.write(store))

    def rotate_due(self, now: int) -> list[KeyIdentity]:
        """Rotate the keys whose time has come, or whose newest version has encrypted much: a background job.

        A key that cannot be rotated does not keep the others from it; the failure is in the audit.

        Returns:
            What was rotated. Being late by many periods makes one rotation.

        Raises:
            Sealed: The root key is not in memory.
            StoreUnavailable: The database did not commit; what was rotated before stays so.
        """
        self._custodian.require(Task.USE)
        rotated: list[KeyIdentity] = []
        for scope, identity in self._list_candidates():
            with self._store.read() as connection:
                try:
                    key = key_rows.read_key(connection, scope, identity)
                except KmsError:  # destroyed since we looked
                    continue
            reason = _find_reason(key, now)
            if reason is None:
                continue
            # the object version expected: a rotation or a disabling that comes between is not undone
            change = Change("kms.rotate.scheduled", NOBODY, key.object_version, {"reason": reason})
            try:
                self._rotate(scope, identity, change)
            except (Sealed, StoreUnavailable, AuditNotWritten):
                raise
            except KeyChanged:
                continue  # looked at again next time
            except KmsError:
                continue
            rotated.append(identity)
        return rotated

    def _list_candidates(self) -> list[tuple[Scope, KeyIdentity]]:
        is_worn = (
            key_versions.select()
            .where(
                key_versions.c.organisation == keys.c.organisation,
                key_versions.c.identity == keys.c.identity,
                key_versions.c.version == keys.c.latest_version,
                key_versions.c.reserved_messages >= ROTATE_AT,
            )
            .exists()
        )
        with self._store.read() as connection:
            return key_rows.list_due_keys(
                connection,
                keys.c.status == KeyStatus.ACTIVE.value,
                keys.c.rotation_allowed.is_(True),
                keys.c.rotation_enabled.is_(True) | is_worn,
            )

    def _rotate(self, scope: Scope, identity: KeyIdentity, change: Change) -> Key:
        with self._custodian.unsealed(Task.USE) as hierarchy:
            with self._store.read() as connection:
                key = key_rows.read_key(connection, scope, identity)
            # a refusal needs no key, which may take seconds to make; the transaction below records it
            octets = b"" if _refuse(key) else self._ready.take(key.key_type)
            try:
                if octets:
                    signature.check_key_pair(octets, key.key_type)
                    material = load_material(octets, key.key_type, validated=True)
                    public_key = encode_public_key(material)
                else:
                    public_key = None

                def store(connection: Connection, kek: LiveKey, generation: int) -> Key | KmsError:
                    def edit(key: Key) -> Key:
                        if (refusal := _refuse(key)) is not None:
                            raise refusal
                        if not octets:
                            raise KeyNotUsable(f"key {identity} was not active a moment ago")
                        number = key.latest_version + 1
                        version = KeyVersion(number, "active", self._store.now(), public_key)
                        wrapped = hierarchy.wrap_material(kek, generation, key, number, octets)
                        key_rows.insert_version(connection, scope, identity, version, wrapped)
                        return replace(key, latest_version=number, versions=(*key.versions, version))

                    return change_key(connection, self._store, scope, identity, change, edit)

                return raise_error(self._custodian.write_under_kek(hierarchy, scope, store))
            finally:
                wipe(octets)


def _refuse(key: Key) -> KmsError | None:
    if key.status is not KeyStatus.ACTIVE:
        return KeyNotUsable(f"key {key.identity} is {key.status.value.replace('_', ' ')}")
    if not key.rotation_allowed:
        return RotationNotAllowed(f"key {key.identity} was imported without leave to rotate it")
    return None


def _find_reason(key: Key, now: int) -> str | None:
    if key.next_rotation_at is not None and key.next_rotation_at <= now:
        return "period"
    if key.versions[-1].reserved_messages >= ROTATE_AT:
        return "messages"
    return None
