"""Use of key material, in the one order that is safe.

Read the key and check its state; compute; read the state again in the transaction of the audit event; commit;
only then answer. A use that is refused or fails is recorded too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from sqlalchemy import Connection

from signerd_kms import key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.custodian import Custodian
from signerd_kms.errors import (
    AuditNotWritten,
    InvalidRequest,
    KeyNotUsable,
    KeyVersionNotUsable,
    KeyVersionUnknown,
    KmsError,
    OperationUnsupported,
    StoreUnavailable,
    UnwrapFailed,
)
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.key import Key, KeyIdentity, KeyStatus, Operation, Scope
from signerd_kms.key_material import Material
from signerd_kms.key_rows import StoredMaterial
from signerd_kms.nonce_budget import NonceBudget
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey

MAX_ITEMS = 256  # uses in one call; bounds the transaction that records them

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key during one operation: what a use may do with it."""

    key: Key
    _hierarchy: KeyHierarchy
    _budget: NonceBudget
    _stored: Mapping[int, StoredMaterial]
    _keks: Mapping[int, LiveKey | UnwrapFailed]
    zones: Collection[bytes] = ()  # that the key is bound to, if the use asks for them

    def load(self, version: int) -> Material:
        """Load a version that the use named beforehand.

        Raises:
            KeyVersionNotUsable: There is no such version.
            UnwrapFailed: The stored key was tampered with.
        """
        stored, kek = self._find(version)
        return self._hierarchy.load_material(kek, self.key, version, stored)

    def reveal(self, version: int) -> LiveKey:
        """Give the secret form itself; the caller closes it."""
        stored, kek = self._find(version)
        return self._hierarchy.unwrap_material(kek, self.key, version, stored)

    def spend_message(self, version: int) -> None:
        """Count a message that will be encrypted under a random nonce, before it is."""
        self._budget.spend(self.key, version)

    def _find(self, version: int) -> tuple[StoredMaterial, LiveKey]:
        if (stored := self._stored.get(version)) is None:
            raise KeyVersionNotUsable(f"key {self.key.identity} has no version {version}")
        kek = self._keks[stored.kek_generation]
        if isinstance(kek, UnwrapFailed):
            raise kek
        return stored, kek


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """What came of a use.

    Attributes:
        result: For the caller.
        version: The key version used, for the audit.
        details: Safe facts for the audit.
    """

    result: T_co
    version: int
    details: Mapping[str, str | int]


class Use(ABC, Generic[T_co]):
    """Something that is done with the material of one key."""

    action: ClassVar[str]  # of the audit event
    operation: ClassVar[Operation | None]  # what the key must be able to do; None needs nothing of its type
    needs_zones: ClassVar[bool] = False  # whether it asks which zones the key is bound to

    @abstractmethod
    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the versions that may be loaded; those that do not exist are passed over."""

    @abstractmethod
    def describe(self) -> Mapping[str, str | int]:
        """Give safe facts for the audit, also of a use that is refused."""

    @abstractmethod
    def perform(self, opened: OpenKey) -> Done[T_co]:
        """Do it. Any `KmsError` is a refusal, and is recorded."""


class KeyUse:
    """Performs uses."""

    def __init__(self, custodian: Custodian, budget: NonceBudget) -> None:
        self._custodian = custodian
        self._store = custodian.store
        self._budget = budget

    def use(self, scope: Scope, identity: KeyIdentity | Key, use: Use[T], *, by: Attribution) -> T:
        """Perform one use. Its audit event is on disk before the result is returned.

        Args:
            scope: Where the key lives.
            identity: The key, or the key itself as it was just read: its status is looked at again anyway,
                and what its material is bound to never changes.
            use: What to do.
            by: Who asks.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is not active. The refusal is in the audit.
            OperationUnsupported: The type of the key cannot do it.
            KeyVersionNotUsable: It has no such version.
            UnwrapFailed: The stored key was tampered with. The failure is in the audit.
            AuditNotWritten: The event could not be stored, so there is no result.
            StoreUnavailable: The database did not commit, so there is no result.
            Sealed: The root key is not in memory.
        """
        return raise_error(self.use_all(scope, identity, [use], by=by)[0])

    def use_and_store(
        self,
        scope: Scope,
        identity: KeyIdentity | Key,
        use: Use[T],
        store: Callable[[Connection, T], R],
        *,
        by: Attribution,
    ) -> R:
        """Perform one use and let its caller store what comes of it in the transaction of the audit event.

        Args:
            scope: Where the key lives.
            identity: The key.
            use: What to do.
            store: Must be quick. What it raises undoes the audit event, too, and is raised.
            by: Who asks.

        Returns:
            What `store` gave.

        Raises:
            KmsError: As `use`.
        """
        kept: list[R] = []

        def keep(connection: Connection, results: list[T | KmsError]) -> None:
            (result,) = results
            if not isinstance(result, KmsError):
                kept.append(store(connection, result))

        raise_error(self._perform(scope, identity, [use], by, keep)[0])
        return kept[0]

    def use_all(
        self,
        scope: Scope,
        identity: KeyIdentity | Key,
        uses: Sequence[Use[T]],
        *,
        by: Attribution,
        store: Callable[[Connection], None] | None = None,
    ) -> list[T | KmsError]:
        """Perform up to 256 uses of one key; each has its own result or refusal, and its own audit event.

        Args:
            scope: Where the key lives.
            identity: The key, as for `use`.
            uses: What to do.
            by: Who asks.
            store: Stores more in the transaction of the audit events, as that of `use_and_store`.

        Raises:
            InvalidRequest: There are none, or too many.
            KmsError: As `use`, where it concerns all.
        """
        if not 1 <= len(uses) <= MAX_ITEMS:
            raise InvalidRequest(f"a batch has 1 to {MAX_ITEMS} items, not {len(uses)}")

        def keep(connection: Connection, results: object) -> None:
            del results
            if store is not None:
                store(connection)

        return self._perform(scope, identity, uses, by, keep)

    def _perform(
        self,
        scope: Scope,
        key: KeyIdentity | Key,
        uses: Sequence[Use[T]],
        by: Attribution,
        keep: Callable[[Connection, list[T | KmsError]], None],
    ) -> list[T | KmsError]:
        with self._custodian.unsealed(Task.USE) as hierarchy:
            opened = self._open(hierarchy, scope, key, uses)
            identity = opened.key.identity
            outcomes = [_attempt(opened, use) for use in uses]

            def store(connection: Connection) -> list[T | KmsError]:
                refusal = self._find_refusal(connection, scope, identity)
                results: list[T | KmsError] = []
                for use, outcome in zip(uses, outcomes, strict=True):
                    if isinstance(outcome, KmsError):
                        self._record(connection, opened.key, use, by, outcome)
                        results.append(outcome)
                        continue
                    self._record(connection, opened.key, use, by, refusal, outcome)
                    results.append(outcome.result if refusal is None else refusal)
                keep(connection, results)
                return results

            return self._store.write(store)

    def _find_refusal(self, connection: Connection, scope: Scope, identity: KeyIdentity) -> KmsError | None:
        """Look at the state again: the key may have been disabled or destroyed since it was read."""
        try:
            _check_usable(identity, key_rows.read_status(connection, scope, identity))
        except KmsError as error:
            return error
        return None

    def _record(
        self,
        connection: Connection,
        key: Key,
        use: Use[T],
        by: Attribution,
        error: KmsError | None,
        done: Done[T] | None = None,
    ) -> None:
        self._store.record_key_event(
            connection,
            use.action,
            key,
            by,
            version=done.version if done else None,
            error=error,
            details={**use.describe(), **(done.details if done else {})},
        )

    def _open(
        self, hierarchy: KeyHierarchy, scope: Scope, key: KeyIdentity | Key, uses: Sequence[Use[T]]
    ) -> OpenKey:
        stored: dict[int, StoredMaterial] = {}
        keks: dict[int, LiveKey | UnwrapFailed] = {}
        with self._store.read() as connection:  # one state of the database: versions and their KEKs agree
            if not isinstance(key, Key):
                key = key_rows.read_key(connection, scope, key)
            zones = key_rows.read_zones(connection, key) if any(use.needs_zones for use in uses) else ()
            for version in {version for use in uses for version in use.choose_versions(key)}:
                try:
                    stored[version] = key_rows.read_material(connection, scope, key.identity, version)
                except KeyVersionUnknown:
                    continue
            for generation in {material.kek_generation for material in stored.values()}:
                try:
                    keks[generation] = hierarchy.load_kek(
                        connection, scope.organisation, scope.region, generation
                    )
                except UnwrapFailed as error:  # a refusal like any other: it is to be in the audit
                    keks[generation] = error
        return OpenKey(key, hierarchy, self._budget, stored, keks, zones)


def _attempt(opened: OpenKey, use: Use[T]) -> Done[T] | KmsError:
    key = opened.key
    try:
        _check_usable(key.identity, key.status)
        if use.operation is not None and (use.operation not in key.operations):
            raise OperationUnsupported(f"a key of type {key.key_type.value} cannot {use.operation.value}")
        return use.perform(opened)
    except (StoreUnavailable, AuditNotWritten):
        raise  # nothing can be recorded either
    except KmsError as error:
        return error


def _check_usable(identity: KeyIdentity, status: KeyStatus) -> None:
    if status is not KeyStatus.ACTIVE:
        raise KeyNotUsable(f"key {identity} is {status.value.replace('_', ' ')}")
