"""The keeper of the root key: states of the KMS, and who may hold the keys in memory."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, insert, select

from signerd_kms.audit import AuditEvent
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import AlreadyInitialised, NotInitialised, Sealed, SealUnknown
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.identity import new_identity
from signerd_kms.key import Scope
from signerd_kms.root_key import Label, RootKey, new_root_key, unseal_root_key
from signerd_kms.schema import instance as instances
from signerd_kms.schema import root_key_wraps
from signerd_kms.seal import Seal
from signerd_kms.state import ALLOWED, State, Task
from signerd_kms.wrapping import LiveKey, WrappedKey


class Custodian:
    """Holds the key hierarchy while unsealed, and gives it out for one operation at a time.

    Making one only reads the state: uninitialised or sealed.
    """

    def __init__(self, store: AuditedStore) -> None:
        self._store = store
        self._changed = threading.Condition()  # guards the three below
        self._hierarchy: KeyHierarchy | None = None
        self._users = 0  # operations under way that hold the hierarchy
        self._state = State.UNINITIALISED if self._read_instance() is None else State.SEALED

    @property
    def store(self) -> AuditedStore:
        """The database that the parts of the KMS share."""
        return self._store

    @property
    def state(self) -> State:
        """The state right now."""
        with self._changed:
            return self._state

    def initialise(self, seal: Seal) -> None:
        """Make the instance and its root key in one transaction; the KMS is unsealed after it.

        Raises:
            AlreadyInitialised: The database holds a KMS already.
        """
        self.require(Task.INITIALISE)
        if self._read_instance() is not None:
            raise AlreadyInitialised("the database holds a KMS already")
        seal.prepare()
        identity = new_identity("kmsi")
        root = new_root_key()
        wrapped = root.wrap(seal, identity)
        unseal_root_key(seal, wrapped, identity, root.generation).close()  # proves that the seal opens it
        now = self._store.now()

        def store(connection: Connection) -> None:
            if connection.execute(select(instances.c.identity)).first() is not None:
                raise AlreadyInitialised("the database holds a KMS already")
            connection.execute(
                insert(instances).values(
                    only=1, identity=identity, root_generation=root.generation, created_at=now
                )
            )
            connection.execute(
                insert(root_key_wraps).values(
                    seal_id=seal.seal_id,
                    generation=root.generation,
                    wrapped=wrapped.octets,
                    key_check=wrapped.key_check,
                    created_at=now,
                )
            )
            self._store.record(
                connection, AuditEvent(now, "kms.init", True, None, details={"seal": seal.seal_id})
            )

        try:
            self._store.write(store)
        except BaseException:
            root.close()
            raise
        self._become_unsealed(identity, root)

    def unseal(self, seal: Seal) -> None:
        """Bring the root key into memory.

        Raises:
            RootKeyMissing: The database has a root key wrapped by this seal, whose own key is gone.
            RootKeyRefused: The file of the seal is not safe or not whole.
            RootKeyWrong: The seal does not open the root key of this database.
            SealUnknown: The root key was never wrapped under this seal.
        """
        self.require(Task.UNSEAL)
        row = self._read_instance()
        assert row is not None  # noqa: S101  # the state says so
        identity, generation = row
        with self._store.read() as connection:
            found = connection.execute(
                select(root_key_wraps.c.wrapped, root_key_wraps.c.key_check).where(
                    root_key_wraps.c.seal_id == seal.seal_id, root_key_wraps.c.generation == generation
                )
            ).first()
        if found is None:
            raise SealUnknown(
                f"the root key of this database was never wrapped under a seal {seal.seal_id!r}"
            )
        root = unseal_root_key(seal, WrappedKey(found.wrapped, found.key_check), identity, generation)
        try:
            event = AuditEvent(self._store.now(), "kms.unseal", True, None, details={"seal": seal.seal_id})
            self._store.write(lambda connection: self._store.record(connection, event))
        except BaseException:
            root.close()
            raise
        self._become_unsealed(identity, root)

    def seal(self) -> None:
        """Wait for the operations under way, then wipe every key in memory. Sealing again does nothing."""
        with self._changed:
            self.require(Task.SEAL)
            was_unsealed = self._state is State.UNSEALED
            if was_unsealed:
                self._state = State.DRAINING
                while self._users:
                    self._changed.wait()
                if self._hierarchy is not None:
                    self._hierarchy.close()
                self._hierarchy = None
                self._state = State.SEALED
                self._changed.notify_all()
            while self._state is State.DRAINING:
                self._changed.wait()
        if was_unsealed:
            event = AuditEvent(self._store.now(), "kms.seal", True, None)
            self._store.write(lambda connection: self._store.record(connection, event))

    def derive_key(self, label: Label) -> LiveKey:
        """Derive a key for another part of the program from the root key; the caller closes it.

        Raises:
            Sealed: The root key is not in memory.
        """
        with self.unsealed(Task.USE) as hierarchy:
            return hierarchy.derive(label)

    def require(self, task: Task) -> None:
        """Raise unless the state allows a kind of operation.

        Raises:
            NotInitialised: The database holds no KMS yet.
            AlreadyInitialised: It holds one.
            Sealed: The root key is not in memory.
        """
        state = self.state
        if state in ALLOWED[task]:
            return
        if state is State.UNINITIALISED:
            raise NotInitialised("the database holds no KMS yet")
        if task is Task.INITIALISE:
            raise AlreadyInitialised("the database holds a KMS already")
        if task is not Task.UNSEAL:
            raise Sealed("the KMS is sealed")

    @contextmanager
    def unsealed(self, task: Task) -> Generator[KeyHierarchy]:
        """Hold the hierarchy open: sealing waits until every holder is done."""
        with self._changed:
            self.require(task)
            assert self._hierarchy is not None  # noqa: S101  # the state says so
            hierarchy = self._hierarchy
            self._users += 1
        try:
            yield hierarchy
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def load_current_kek(self, hierarchy: KeyHierarchy, scope: Scope) -> tuple[LiveKey, int]:
        """Give the newest key-encryption key of a place; the first one is made and committed."""
        organisation, region = scope.organisation, scope.region
        with self._store.read() as connection:
            generation = hierarchy.find_kek_generation(connection, organisation, region)
        if generation is None:
            generation = self._store.write(lambda connection: self._make_kek(connection, hierarchy, scope))
        with self._store.read() as connection:
            return hierarchy.load_kek(connection, organisation, region, generation), generation

    def _make_kek(self, connection: Connection, hierarchy: KeyHierarchy, scope: Scope) -> int:
        known = hierarchy.find_kek_generation(connection, scope.organisation, scope.region)
        if known is not None:  # made by another since we looked
            return known
        now = self._store.now()
        generation = hierarchy.insert_kek(connection, scope.organisation, scope.region, now)
        event = AuditEvent(
            now, "kms.kek.create", True, scope.organisation, scope.region, details={"generation": generation}
        )
        self._store.record(connection, event)
        return generation

    def _read_instance(self) -> tuple[str, int] | None:
        with self._store.read() as connection:
            row = connection.execute(select(instances.c.identity, instances.c.root_generation)).first()
        return None if row is None else (row.identity, row.root_generation)

    def _become_unsealed(self, identity: str, root: RootKey) -> None:
        with self._changed:
            if self._hierarchy is not None or self._state is State.DRAINING:  # another thread was first
                root.close()
                return
            self._hierarchy = KeyHierarchy(identity, root)
            self._state = State.UNSEALED
