"""The keeper of the root key: states of the KMS, and who may hold the keys in memory."""

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, insert, select

from signerd_kms import root_key_rows
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.audit import AuditEvent
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import (
    AlreadyInitialised,
    KmsError,
    NoSealOpens,
    NotInitialised,
    Sealed,
    SealUnknown,
)
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.identity import new_identity
from signerd_kms.key import KeyIdentity, Scope
from signerd_kms.root_key import Label, RootKey, new_root_key, unseal_root_key
from signerd_kms.schema import instance as instances
from signerd_kms.seal import Seal
from signerd_kms.state import ALLOWED, State, Task
from signerd_kms.wrapping import LiveKey, WrappedKey

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Custodian:
    """Holds the key hierarchy while unsealed, and gives it out for one operation at a time.

    Making one only reads the state: uninitialised or sealed.
    """

    def __init__(self, store: AuditedStore) -> None:
        self._store = store
        self._root_change = threading.Lock()  # one change of the root key or its seals at a time
        self._changed = threading.Condition()  # guards the three below
        self._hierarchy: KeyHierarchy | None = None
        self._holders: set[object] = set()  # operations under way that hold the hierarchy
        self._at_sealing: list[Callable[[], None]] = []
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

    def initialise(self, *seals: Seal) -> None:
        """Make the instance and its root key, wrapped under every seal, in one transaction, and unseal.

        Raises:
            AlreadyInitialised: The database holds a KMS already.
            KmsError: A seal cannot wrap, or does not open what it wrapped; nothing is stored.
        """
        self.require(Task.INITIALISE)
        if self._read_instance() is not None:
            raise AlreadyInitialised("the database holds a KMS already")
        identity = new_identity("kmsi")
        root = new_root_key()
        try:
            wraps: list[tuple[Seal, WrappedKey]] = []
            for seal in seals:
                seal.prepare()
                wraps.append((seal, root.wrap(seal, identity)))
            now = self._store.now()

            def store(connection: Connection) -> None:
                if connection.execute(select(instances.c.identity)).first() is not None:
                    raise AlreadyInitialised("the database holds a KMS already")
                connection.execute(
                    insert(instances).values(
                        only=1, identity=identity, root_generation=root.generation, created_at=now
                    )
                )
                for seal, wrapped in wraps:
                    root_key_rows.insert_wrap(connection, seal.seal_id, root.generation, wrapped, now)
                self._store.record(connection, _event(now, "kms.init", [seal for seal, _ in wraps]))

            self._store.write(store)
        except BaseException:
            root.close()
            raise
        self._become_unsealed(identity, root)

    def unseal(self, *seals: Seal) -> None:
        """Bring the root key into memory, by the first seal that opens it.

        Raises:
            SealUnknown: The root key was never wrapped under this seal.
            KmsError: What the seal says, if there is one only.
            NoSealOpens: What each of several says.
        """
        self.require(Task.UNSEAL)
        failures: list[KmsError] = []
        for seal in seals:
            try:
                identity, root = self._open_root(seal)
            except KmsError as error:
                failures.append(error)
                continue
            break
        else:
            if len(failures) == 1:
                raise failures[0]
            raise NoSealOpens("; ".join(map(str, failures)) or "no seal is configured")
        try:
            event = _event(self._store.now(), "kms.unseal", [seal], failed_seals=len(failures))
            self._store.write(lambda connection: self._store.record(connection, event))
        except BaseException:
            root.close()
            raise
        for failure in failures:
            logger.warning("%s (another seal opened the root key)", failure)
        self._become_unsealed(identity, root)

    def _open_root(self, seal: Seal) -> tuple[str, RootKey]:
        with self._store.read() as connection:
            known = root_key_rows.read_instance(connection)
            assert known is not None  # noqa: S101  # the state says so
            wrapped = root_key_rows.find_wrap(connection, seal.seal_id, known.root_generation)
            derived = root_key_rows.read_derived(connection, known.root_generation)
        if wrapped is None:
            raise SealUnknown(
                f"the root key of this database was never wrapped under a seal {seal.seal_id!r}"
            )
        root = unseal_root_key(seal, wrapped, known.identity, known.root_generation)
        try:
            for label, stored in derived.items():
                root.carry(label, root.unwrap_derived(label, stored, known.identity))
        except BaseException:
            root.close()
            raise
        return known.identity, root

    def seal(self) -> None:
        """Wait for the operations under way, then wipe every key in memory. Sealing again does nothing."""
        with self._changed:
            self.require(Task.SEAL)
            was_unsealed = self._state is State.UNSEALED
            if was_unsealed:
                self._state = State.DRAINING
                while self._holders:
                    self._changed.wait()
                if self._hierarchy is not None:
                    self._hierarchy.close()
                self._hierarchy = None
                for drop in self._at_sealing:
                    drop()
                self._state = State.SEALED
                self._changed.notify_all()
            while self._state is State.DRAINING:
                self._changed.wait()
        if was_unsealed:
            event = AuditEvent(self._store.now(), "kms.seal", True, None)
            self._store.write(lambda connection: self._store.record(connection, event))

    def call_when_sealed(self, drop: Callable[[], None]) -> None:
        """Have secrets of another part of the KMS dropped with the keys in memory; it must be quick."""
        self._at_sealing.append(drop)

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
            holder = object()
            self._holders.add(holder)
        try:
            yield hierarchy
        finally:
            with self._changed:
                self._holders.discard(holder)
                self._changed.notify_all()

    def wait_for_holders(self) -> None:
        """Wait until every operation that is under way now is done; not for those that begin meanwhile."""
        with self._changed:
            waited_for = set(self._holders)
            while waited_for & self._holders:
                self._changed.wait()

    @contextmanager
    def changing_root(self) -> Generator[None]:
        """Keep others from changing the root key or its seals; taken before `unsealed`, never inside it."""
        with self._root_change:
            yield

    def rotate_kek(self, hierarchy: KeyHierarchy, organisation: str, region: str, by: Attribution) -> int:
        """Make and commit the next key-encryption key of a place; gives its generation."""
        return self._store.write(
            lambda connection: self._insert_kek(connection, hierarchy, organisation, region, by)
        )

    def load_current_kek(self, hierarchy: KeyHierarchy, scope: Scope) -> tuple[LiveKey, int]:
        """Give the newest key-encryption key of a place; the first one is made and committed."""
        organisation, region = scope.organisation, scope.region
        with self._store.read() as connection:
            generation = hierarchy.find_kek_generation(connection, organisation, region)
        if generation is None:
            generation = self._store.write(lambda connection: self._make_kek(connection, hierarchy, scope))
        with self._store.read() as connection:
            return hierarchy.load_kek(connection, organisation, region, generation), generation

    def write_under_kek(
        self, hierarchy: KeyHierarchy, scope: Scope, work: Callable[[Connection, LiveKey, int], T]
    ) -> T:
        """Run the work in a write transaction, with the key-encryption key that is the newest inside it.

        A row wrapped under an older one could be written after the last was rewrapped, and be lost with it.
        """
        while True:
            kek, generation = self.load_current_kek(hierarchy, scope)

            def attempt(
                connection: Connection, kek: LiveKey = kek, generation: int = generation
            ) -> tuple[T] | None:
                newest = hierarchy.find_kek_generation(connection, scope.organisation, scope.region)
                return (work(connection, kek, generation),) if newest == generation else None

            outcome = self._store.write(attempt)
            if outcome is not None:
                return outcome[0]

    def forget_key(self, identity: KeyIdentity) -> None:
        """Drop a key that was destroyed from memory."""
        with self._changed:
            hierarchy = self._hierarchy
        if hierarchy is not None:
            hierarchy.forget(identity)

    def forget_place(
        self, organisation: str, generations: Iterable[tuple[str, int]], identities: Iterable[KeyIdentity]
    ) -> None:
        """Drop destroyed key-encryption keys, and keys under them, from memory once nobody uses them.

        Args:
            organisation: Whose they were.
            generations: Region and generation of each key-encryption key.
            identities: Of the keys.
        """
        self.wait_for_holders()  # one that began before may bring something back until it is done
        with self._changed:
            hierarchy = self._hierarchy
        if hierarchy is not None:
            for region, generation in generations:
                hierarchy.forget_kek(organisation, region, generation)
            for identity in identities:
                hierarchy.forget(identity)

    def _make_kek(self, connection: Connection, hierarchy: KeyHierarchy, scope: Scope) -> int:
        known = hierarchy.find_kek_generation(connection, scope.organisation, scope.region)
        if known is not None:  # made by another since we looked
            return known
        return self._insert_kek(connection, hierarchy, scope.organisation, scope.region, NOBODY)

    def _insert_kek(
        self,
        connection: Connection,
        hierarchy: KeyHierarchy,
        organisation: str,
        region: str,
        by: Attribution,
    ) -> int:
        now = self._store.now()
        generation = hierarchy.insert_kek(connection, organisation, region, now)
        details = {"generation": generation}
        event = AuditEvent(
            now, "kms.kek.create", True, organisation, region, actor=by.actor, via=by.via, details=details
        )
        self._store.record(connection, event)
        return generation

    def _read_instance(self) -> root_key_rows.Instance | None:
        with self._store.read() as connection:
            return root_key_rows.read_instance(connection)

    def _become_unsealed(self, identity: str, root: RootKey) -> None:
        with self._changed:
            if self._hierarchy is not None or self._state is State.DRAINING:  # another thread was first
                root.close()
                return
            self._hierarchy = KeyHierarchy(identity, root)
            self._state = State.UNSEALED


def _event(now: int, action: str, seals: Sequence[Seal], **details: int) -> AuditEvent:
    names = ", ".join(seal.seal_id for seal in seals)
    stated = {name: count for name, count in details.items() if count}
    return AuditEvent(now, action, True, None, details={"seal": names, **stated})
