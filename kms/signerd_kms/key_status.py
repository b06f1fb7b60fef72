"""The status of keys: enabled, disabled, pending deletion, gone."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from signerd_kms import creation_record, key_rows, request
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyNotUsable, KeyUnknown, KmsError
from signerd_kms.key import Key, KeyIdentity, KeyStatus, Scope
from signerd_kms.key_change import Change, change_key
from signerd_kms.schema import keys
from signerd_kms.state import Task

DAY = 86_400  # seconds
Edit = Callable[[Key], Key]


class KeyStatuses:
    """Changes what a key may be used for. All of it works while sealed: an incident must not wait."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def enable(
        self, scope: Scope, identity: KeyIdentity, *, by: Attribution, expected_version: int | None = None
    ) -> Key:
        """Let a disabled key be used again. An active key stays as it is.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
            KeyChanged: It has not the object version expected.
        """
        change = Change("kms.enable", by, expected_version)
        return self._change(scope, identity, change, _make_setter(KeyStatus.ACTIVE))

    def disable(
        self, scope: Scope, identity: KeyIdentity, *, by: Attribution, expected_version: int | None = None
    ) -> Key:
        """Forbid every use of a key. A disabled key stays as it is.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
            KeyChanged: It has not the object version expected.
        """
        change = Change("kms.disable", by, expected_version)
        return self._change(scope, identity, change, _make_setter(KeyStatus.DISABLED))

    def schedule_deletion(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        pending_days: int = request.MAX_PENDING_DAYS,
        expected_version: int | None = None,
    ) -> Key:
        """Have a key destroyed after some days, and forbid its use until then.

        A key that is pending deletion already keeps its date.

        Raises:
            InvalidRequest: The days are not 7 to 30.
            KeyUnknown: None in this scope.
            KeyChanged: It has not the object version expected.
        """
        request.check_pending_days(pending_days)

        def edit(key: Key) -> Key:
            if key.status is KeyStatus.PENDING_DELETION:
                return key
            return replace(
                key,
                status=KeyStatus.PENDING_DELETION,
                deletion_scheduled_at=self._store.now() + pending_days * DAY,
            )

        change = Change("kms.schedule_deletion", by, expected_version, {"pendingDays": pending_days})
        return self._change(scope, identity, change, edit)

    def cancel_deletion(
        self, scope: Scope, identity: KeyIdentity, *, by: Attribution, expected_version: int | None = None
    ) -> Key:
        """Keep a key that is pending deletion; it becomes active. Any other key stays as it is.

        Raises:
            KeyUnknown: None in this scope, or it is destroyed.
            KeyNameTaken: Its name was given to another key meanwhile.
            KeyChanged: It has not the object version expected.
        """

        def edit(key: Key) -> Key:
            if key.status is not KeyStatus.PENDING_DELETION:
                return key
            return replace(key, status=KeyStatus.ACTIVE, deletion_scheduled_at=None)

        return self._change(scope, identity, Change("kms.cancel_deletion", by, expected_version), edit)

    def purge_due(self, now: int) -> list[KeyIdentity]:
        """Destroy the keys whose time has come: a background job.

        Returns:
            What was destroyed.

        Raises:
            StoreUnavailable: The database did not commit; what was destroyed before stays so.
        """
        self._custodian.require(Task.CHANGE_STATUS)
        due = (keys.c.status == KeyStatus.PENDING_DELETION.value, keys.c.deletion_scheduled_at <= now)
        with self._store.read() as connection:
            found = key_rows.list_due_keys(connection, *due)
        purged = [identity for scope, identity in found if self._purge(scope, identity, now)]
        self._store.write(lambda connection: creation_record.forget_creations(connection, now))
        if purged:
            self._store.overwrite_deleted()
        return purged

    def _purge(self, scope: Scope, identity: KeyIdentity, now: int) -> bool:
        def store(connection: Connection) -> bool:
            try:
                key = key_rows.read_key(connection, scope, identity)
            except KeyUnknown:  # another process was first
                return False
            due_at = key.deletion_scheduled_at
            if key.status is not KeyStatus.PENDING_DELETION or due_at is None or due_at > now:
                return False  # cancelled since we looked
            key_rows.destroy_key(connection, key, now)
            details = {"keyType": key.key_type.value, "name": key.name, "versions": key.latest_version}
            self._store.record_key_event(connection, "kms.deleted", key, NOBODY, details=details)
            return True

        is_purged = self._store.write(store)
        if is_purged:
            self._custodian.forget_key(identity)
        return is_purged

    def _change(self, scope: Scope, identity: KeyIdentity, change: Change, edit: Edit) -> Key:
        self._custodian.require(Task.CHANGE_STATUS)

        def store(connection: Connection) -> Key | KmsError:
            return change_key(connection, self._store, scope, identity, change, edit)

        return raise_error(self._store.write(store))


def _make_setter(status: KeyStatus) -> Edit:
    def edit(key: Key) -> Key:
        if key.status is KeyStatus.PENDING_DELETION:
            raise KeyNotUsable(f"key {key.identity} is pending deletion")
        return replace(key, status=status)

    return edit
