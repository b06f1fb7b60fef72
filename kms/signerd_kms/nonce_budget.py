"""How many messages a key version may encrypt.

Random nonces of 96 bits allow 2**32 (SP 800-38D, section 8.3).

The count in the database is raised by a whole block before the block is used, so a crash counts too many and
never too few. A copy of the database from before counts too few: `skip_lost` makes up for that.
"""

import threading
from collections import OrderedDict

from sqlalchemy import Connection, case, select, update

from signerd_kms.audit import AuditEvent
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import KeyVersionExhausted
from signerd_kms.key import Key, KeyType
from signerd_kms.schema import key_versions, keys

BLOCK = 1 << 16  # messages a process reserves at a time
ROTATE_AT = 1 << 31  # reserved messages at which the key gets a new version, if it may
LIMIT = (1 << 32) - (1 << 20)  # reserved messages at which the version encrypts no more
MAX_PLACES = 1 << 16  # bounds the memory of what is left of blocks; a forgotten rest counts as used
_COUNTED = (KeyType.AES128_GCM96, KeyType.AES256_GCM96, KeyType.CHACHA20_POLY1305)

_Place = tuple[str, int]


class NonceBudget:
    """Reserves and spends the budgets of key versions. Safe to use from several threads."""

    def __init__(self, store: AuditedStore) -> None:
        self._store = store
        self._lock = threading.Lock()  # held while a block is reserved: one block, not one a waiting thread
        self._left: OrderedDict[_Place, int] = OrderedDict()

    def spend(self, key: Key, version: int) -> None:
        """Count one message.

        Raises:
            KeyVersionExhausted: The version has none left.
            StoreUnavailable: A new block could not be reserved.
        """
        place = (key.identity, version)
        with self._lock:
            left = self._left.get(place, 0) or self._reserve(key, version)
            self._left[place] = left - 1
            self._left.move_to_end(place)
            while len(self._left) > MAX_PLACES:
                self._left.popitem(last=False)

    def skip_lost(self, messages: int) -> int:
        """Count messages that an older copy of the database knows nothing of, for every key that encrypts.

        Args:
            messages: How many there were at most, as far as that is known. At least a block is counted.

        Returns:
            How many were counted for each version.

        Raises:
            StoreUnavailable: The database did not commit; nothing was counted.
        """
        jump = min(BLOCK * (1 + messages // BLOCK), LIMIT)
        encrypting = select(keys.c.identity).where(
            keys.c.organisation == key_versions.c.organisation, keys.c.key_type.in_(_COUNTED)
        )
        new = key_versions.c.reserved_messages + jump

        def store(connection: Connection) -> None:
            changed = connection.execute(
                update(key_versions)
                .where(key_versions.c.identity.in_(encrypting))
                .values(reserved_messages=case((new > LIMIT, LIMIT), else_=new))
            )
            details = {"messages": jump, "versions": changed.rowcount}
            event = AuditEvent(self._store.now(), "kms.skip_messages", True, None, details=details)
            self._store.record(connection, event)

        with self._lock:
            self._left.clear()
            self._store.write(store)
        return jump

    def _reserve(self, key: Key, version: int) -> int:
        def store(connection: Connection) -> bool:
            done = connection.execute(
                update(key_versions)
                .where(
                    key_versions.c.organisation == key.scope.organisation,
                    key_versions.c.identity == key.identity,
                    key_versions.c.version == version,
                    key_versions.c.reserved_messages + BLOCK <= LIMIT,
                )
                .values(reserved_messages=key_versions.c.reserved_messages + BLOCK)
            )
            return done.rowcount == 1

        if not self._store.write(store):
            raise KeyVersionExhausted(
                f"version {version} of key {key.identity} has encrypted as many messages as it may: rotate it"
            )
        return BLOCK
