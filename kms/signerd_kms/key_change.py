"""Changes of a key's row: read, check, change and audit in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from signerd_kms import key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.audit import NO_DETAILS
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import KeyChanged, KmsError
from signerd_kms.key import Key, KeyIdentity, Scope


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a key.

    Attributes:
        action: Of the audit event.
        by: Who asks.
        expected_version: The object version that the caller has seen; None does not matter.
        details: Safe facts for the audit.
    """

    action: str
    by: Attribution
    expected_version: int | None = None
    details: Mapping[str, str | int] = field(default_factory=lambda: NO_DETAILS)


def change_key(
    connection: Connection,
    store: AuditedStore,
    scope: Scope,
    identity: KeyIdentity,
    change: Change,
    edit: Callable[[Key], Key],
) -> Key | KmsError:
    """Change a key inside a write transaction, with its audit event.

    Args:
        connection: Of the transaction.
        store: Where the audit event goes.
        scope: Where the key lives.
        identity: The key.
        change: What is done.
        edit: Gives the key as it shall be; a `KmsError` is a refusal. It may write its own rows once it has
            made all its checks.

    Returns:
        The key, or a refusal as a value, so that its audit event is committed.

    Raises:
        KeyUnknown: None in this scope.
    """
    key = key_rows.read_key(connection, scope, identity)
    try:
        if change.expected_version not in {None, key.object_version}:
            raise KeyChanged(
                f"key {identity} has object version {key.object_version}, not {change.expected_version}"
            )
        changed = key_rows.update_key(connection, key, edit(key), store.now())
    except KmsError as error:
        store.record_key_event(connection, change.action, key, change.by, error=error, details=change.details)
        return error
    is_new_version = changed.latest_version != key.latest_version
    store.record_key_event(
        connection,
        change.action,
        changed,
        change.by,
        version=changed.latest_version if is_new_version else None,
        details=change.details,
    )
    return changed
