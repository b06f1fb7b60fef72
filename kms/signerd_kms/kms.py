"""The KMS: states, keys, signatures. Synchronous and safe to call from several threads."""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd_kms import key_rows, request, signature
from signerd_kms.audit import NO_DETAILS, AuditEvent, AuditSink
from signerd_kms.clock import Clock
from signerd_kms.errors import (
    AlreadyInitialised,
    AuditNotWritten,
    InvalidRequest,
    KeyNotUsable,
    KeyVersionUnknown,
    KmsError,
    NotInitialised,
    Sealed,
    SealUnknown,
    StoreUnavailable,
)
from signerd_kms.group_commit import GroupCommit
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.identity import new_identity
from signerd_kms.key import (
    NO_TEXTS,
    OPERATIONS,
    Key,
    KeyIdentity,
    KeyStatus,
    KeyType,
    KeyVersion,
    Operation,
    Scope,
)
from signerd_kms.memory import wipe
from signerd_kms.root_key import Label, RootKey, new_root_key, unseal_root_key
from signerd_kms.schema import instance as instances
from signerd_kms.schema import root_key_wraps
from signerd_kms.seal import Seal
from signerd_kms.service_key import WrappedServiceKey
from signerd_kms.signature import SignatureScheme
from signerd_kms.state import ALLOWED, State, Task
from signerd_kms.wrapping import LiveKey, WrappedKey, unwrap, wrap

T = TypeVar("T")
RESOURCE_TYPE = "kms_key"
READ_ONLY = "signerd_read_only"  # execution option: the engine begins a transaction that takes no write lock


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, for the audit."""

    actor: str | None
    via: str | None
    request_id: str | None


class Kms:
    """A key management service in a database.

    Making one only reads the state: uninitialised or sealed. `open` does what a daemon wants at start.
    """

    def __init__(self, engine: Engine, clock: Clock, audit: AuditSink) -> None:
        self._engine = engine
        self._writer = GroupCommit(engine)
        self._clock = clock
        self._audit = audit
        self._changed = threading.Condition()  # guards the three below
        self._hierarchy: KeyHierarchy | None = None
        self._users = 0  # operations under way that hold the hierarchy
        self._state = State.UNINITIALISED if self._read_instance() is None else State.SEALED

    @classmethod
    def open(cls, engine: Engine, seal: Seal, clock: Clock, audit: AuditSink) -> Self:
        """Initialise at the first start, unseal at every later one.

        Raises:
            RootKeyMissing: The database has a root key wrapped by this seal, whose own key is gone.
            RootKeyRefused: The file of the seal is not safe or not whole.
            RootKeyWrong: The seal does not open the root key of this database.
            SealUnknown: The root key was never wrapped under this seal.
        """
        kms = cls(engine, clock, audit)
        if kms.state is State.UNINITIALISED:
            try:
                kms.initialise(seal)
            except AlreadyInitialised:  # by another process, between our two looks
                kms = cls(engine, clock, audit)
        if kms.state is State.SEALED:
            kms.unseal(seal)
        return kms

    # States

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
        self._require(Task.INITIALISE)
        if self._read_instance() is not None:
            raise AlreadyInitialised("the database holds a KMS already")
        seal.prepare()
        identity = new_identity("kmsi")
        root = new_root_key()
        wrapped = root.wrap(seal, identity)
        unseal_root_key(seal, wrapped, identity, root.generation).close()  # proves that the seal opens it
        now = self._clock.now()

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
            self._record(connection, AuditEvent(now, "kms.init", True, None, details={"seal": seal.seal_id}))

        try:
            self._write(store)
        except BaseException:
            root.close()
            raise
        self._become_unsealed(identity, root)

    def unseal(self, seal: Seal) -> None:
        """Bring the root key into memory."""
        self._require(Task.UNSEAL)
        row = self._read_instance()
        assert row is not None  # noqa: S101  # the state says so
        identity, generation = row
        with self._read() as connection:
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
            event = AuditEvent(self._clock.now(), "kms.unseal", True, None, details={"seal": seal.seal_id})
            self._write(lambda connection: self._record(connection, event))
        except BaseException:
            root.close()
            raise
        self._become_unsealed(identity, root)

    def seal(self) -> None:
        """Wait for the operations under way, then wipe every key in memory. Sealing again does nothing."""
        with self._changed:
            self._require(Task.SEAL)
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
            event = AuditEvent(self._clock.now(), "kms.seal", True, None)
            self._write(lambda connection: self._record(connection, event))

    def derive_key(self, label: Label) -> LiveKey:
        """Derive a key for another part of the program from the root key; the caller closes it.

        Raises:
            Sealed: The root key is not in memory.
        """
        with self._unsealed(Task.USE) as hierarchy:
            return hierarchy.derive(label)

    # Keys

    def create_key(
        self,
        scope: Scope,
        name: str,
        key_type: KeyType,
        *,
        actor: str | None,
        via: str | None = None,
        request_id: str | None = None,
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
            actor: The principal, for the audit.
            via: The service that asks on the principal's behalf.
            request_id: The same in all audit events of one request.
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
        caller = _Caller(actor, via, request_id)
        with self._unsealed(Task.CREATE) as hierarchy:
            now = self._clock.now()
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
            kek, generation = self._current_kek(hierarchy, scope)
            octets = signature.encode_private_key(private_key)
            try:
                signature.check_key_pair(octets, key_type)
                material = hierarchy.wrap_material(kek, generation, key, 1, octets)
            finally:
                wipe(octets)

            def store(connection: Connection) -> None:
                key_rows.insert_key(connection, key, [material])
                details = {"keyType": key_type.value, "name": name}
                self._record(connection, self._event("kms.create", key, caller, version=1, details=details))

            self._write(store)
            return key

    def get_key(self, scope: Scope, identity: KeyIdentity) -> Key:
        """Read a key, also while sealed.

        Raises:
            KeyUnknown: None in this scope, whether or not it exists elsewhere.
        """
        self._require(Task.READ)
        with self._read() as connection:
            return key_rows.read_key(connection, scope, identity)

    def find_key(self, scope: Scope, name: str) -> Key | None:
        """Find the key of exactly this name that is not pending deletion, also while sealed."""
        self._require(Task.READ)
        with self._read() as connection:
            return key_rows.find_key(connection, scope, name)

    def list_keys(self, scope: Scope) -> list[Key]:
        """List the keys of a scope, oldest first, then by identity; also while sealed."""
        self._require(Task.READ)
        with self._read() as connection:
            return key_rows.list_keys(connection, scope)

    def count_keys(
        self, organisation: str, project: str | None = None
    ) -> Mapping[str, Mapping[KeyStatus, int]]:
        """Count keys by region and status: the organisation's own, or a project's; also while sealed."""
        self._require(Task.READ)
        with self._read() as connection:
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

    def set_status(
        self,
        scope: Scope,
        identity: KeyIdentity,
        status: KeyStatus,
        *,
        actor: str | None,
        via: str | None = None,
        request_id: str | None = None,
    ) -> Key:
        """Enable or disable a key, also while sealed. A status it has already changes nothing.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is pending deletion.
        """
        if status is KeyStatus.PENDING_DELETION:
            raise InvalidRequest("deletion is scheduled, not set as a status")
        self._require(Task.CHANGE_STATUS)
        caller = _Caller(actor, via, request_id)
        action = "kms.enable" if status is KeyStatus.ACTIVE else "kms.disable"

        def store(connection: Connection) -> Key | KmsError:
            key = key_rows.read_key(connection, scope, identity)
            if key.status is KeyStatus.PENDING_DELETION:
                error = KeyNotUsable(f"key {identity} is pending deletion")
                self._record(connection, self._event(action, key, caller, error=error))
                return error
            if key.status is not status:
                key = key_rows.update_status(connection, key, status, self._clock.now())
            self._record(connection, self._event(action, key, caller))
            return key

        return _raise_error(self._write(store))

    # Use

    def sign(
        self,
        scope: Scope,
        identity: KeyIdentity,
        version: int,
        data: bytes,
        *,
        scheme: SignatureScheme,
        actor: str | None,
        via: str | None = None,
        request_id: str | None = None,
        context: Mapping[str, str] = NO_TEXTS,
    ) -> bytes:
        """Sign a message. The audit event is on disk before the signature is returned.

        Args:
            scope: Where the key lives.
            identity: The key.
            version: The version to use.
            data: The message, up to 1 MiB; hashed here.
            scheme: How; ECDSA gives ASN.1 DER.
            actor: The principal, for the audit.
            via: The service that asks on the principal's behalf.
            request_id: The same in all audit events of one request.
            context: Up to 16 safe facts for the audit, such as the zone; printable ASCII.

        Raises:
            KeyUnknown: None in this scope.
            KeyVersionUnknown: It has no such version.
            KeyNotUsable: It is not active. The refusal is in the audit.
            SchemeUnsupported: The scheme does not fit the type of the key.
            UnwrapFailed: The stored key was tampered with. The failure is in the audit.
            AuditNotWritten: The event could not be stored, so there is no signature.
            StoreUnavailable: The database did not commit, so there is no signature.
            Sealed: The root key is not in memory.
        """
        request.check_message(data)
        request.check_context(context)
        caller = _Caller(actor, via, request_id)
        with self._unsealed(Task.USE) as hierarchy:
            with self._read() as connection:
                key = key_rows.read_key(connection, scope, identity)
                signature.check_scheme(key.key_type, scheme)
                material = key_rows.read_material(connection, scope, identity, version)
            details: dict[str, str | int] = {**context, "scheme": scheme.value, "octets": len(data)}
            try:
                _check_usable(key.identity, key.status)
                _check_allowed(key, Operation.SIGN)
                with self._read() as connection:
                    kek = hierarchy.load_kek(
                        connection, scope.organisation, scope.region, material.kek_generation
                    )
                private_key = hierarchy.load_private_key(kek, key, version, material)
                made = signature.sign(private_key, data, scheme)
            except KmsError as error:
                refusal = self._event("kms.sign", key, caller, version=version, error=error, details=details)
                self._write(lambda connection: self._record(connection, refusal))
                raise

            def store(connection: Connection) -> KmsError | None:
                refused: KmsError | None = None
                try:  # again, as it may have been disabled since
                    _check_usable(identity, key_rows.read_status(connection, scope, identity))
                except KmsError as error:
                    refused = error
                event = self._event("kms.sign", key, caller, version=version, error=refused, details=details)
                self._record(connection, event)
                return refused

            _raise_error(self._write(store))
            return made

    def wrap_service_key(
        self, scope: Scope, purpose: str, identity: str, octets: bytes, *, bound: Sequence[bytes] = ()
    ) -> WrappedServiceKey:
        """Wrap a key of a service under the key-encryption key of the organisation and region.

        It is for the caller to store the result, and to wipe `octets`.

        Args:
            scope: Whose it is; the project plays no part.
            purpose: What it is for, such as `dnssec-zsk`.
            identity: Which it is, within the purpose.
            octets: The secret, 16 octets to 64 KiB.
            bound: Further facts that must be the same at unwrapping, such as zone and algorithm.
        """
        request.check_service_key(octets, bound)
        with self._unsealed(Task.USE) as hierarchy:
            kek, generation = self._current_kek(hierarchy, scope)
            associated_data = hierarchy.encode_service_key(scope, purpose, identity, generation, tuple(bound))
            return WrappedServiceKey(generation, wrap(kek, octets, associated_data))

    def unwrap_service_key(
        self,
        scope: Scope,
        purpose: str,
        identity: str,
        wrapped: WrappedServiceKey | bytes,
        *,
        bound: Sequence[bytes] = (),
    ) -> LiveKey:
        """Undo `wrap_service_key`; the caller closes the key.

        Args:
            scope: As at wrapping.
            purpose: As at wrapping.
            identity: As at wrapping.
            wrapped: What was made, or its stored form.
            bound: As at wrapping.

        Raises:
            UnwrapFailed: Anything is not as it was at wrapping.
        """
        parsed = WrappedServiceKey.parse(wrapped) if isinstance(wrapped, bytes) else wrapped
        with self._unsealed(Task.USE) as hierarchy:
            with self._read() as connection:
                kek = hierarchy.load_kek(connection, scope.organisation, scope.region, parsed.kek_generation)
            associated_data = hierarchy.encode_service_key(
                scope, purpose, identity, parsed.kek_generation, tuple(bound)
            )
            return unwrap(kek, parsed.wrapped, associated_data)

    # Inside

    def _current_kek(self, hierarchy: KeyHierarchy, scope: Scope) -> tuple[LiveKey, int]:
        """Give the newest key-encryption key of a place; the first one is made and committed."""
        organisation, region = scope.organisation, scope.region
        with self._read() as connection:
            generation = hierarchy.find_kek_generation(connection, organisation, region)
        if generation is None:
            generation = self._write(lambda connection: self._make_kek(connection, hierarchy, scope))
        with self._read() as connection:
            return hierarchy.load_kek(connection, organisation, region, generation), generation

    def _make_kek(self, connection: Connection, hierarchy: KeyHierarchy, scope: Scope) -> int:
        known = hierarchy.find_kek_generation(connection, scope.organisation, scope.region)
        if known is not None:  # made by another since we looked
            return known
        now = self._clock.now()
        generation = hierarchy.insert_kek(connection, scope.organisation, scope.region, now)
        event = AuditEvent(
            now, "kms.kek.create", True, scope.organisation, scope.region, details={"generation": generation}
        )
        self._record(connection, event)
        return generation

    def _read_instance(self) -> tuple[str, int] | None:
        with self._read() as connection:
            row = connection.execute(select(instances.c.identity, instances.c.root_generation)).first()
        return None if row is None else (row.identity, row.root_generation)

    def _become_unsealed(self, identity: str, root: RootKey) -> None:
        with self._changed:
            if self._hierarchy is not None or self._state is State.DRAINING:  # another thread was first
                root.close()
                return
            self._hierarchy = KeyHierarchy(identity, root)
            self._state = State.UNSEALED

    def _require(self, task: Task) -> None:
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
    def _unsealed(self, task: Task) -> Generator[KeyHierarchy]:
        """Hold the hierarchy open: sealing waits until every holder is done."""
        with self._changed:
            self._require(task)
            assert self._hierarchy is not None  # noqa: S101  # the state says so
            hierarchy = self._hierarchy
            self._users += 1
        try:
            yield hierarchy
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextmanager
    def _read(self) -> Generator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(**{READ_ONLY: True})
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the database cannot be read: {type(error).__name__}") from error

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._writer.write(work)

    def _record(self, connection: Connection, event: AuditEvent) -> None:
        try:
            self._audit.record(connection, event)
        except SQLAlchemyError:
            raise  # the database itself: the transaction fails as a whole
        except Exception as error:
            raise AuditNotWritten(f"the audit event {event.action} was not stored") from error

    def _event(
        self,
        action: str,
        key: Key,
        caller: _Caller,
        *,
        version: int | None = None,
        error: KmsError | None = None,
        details: Mapping[str, str | int] = NO_DETAILS,
    ) -> AuditEvent:
        return AuditEvent(
            at=self._clock.now(),
            action=action,
            succeeded=error is None,
            organisation=key.scope.organisation,
            region=key.scope.region,
            project=key.scope.project,
            actor=caller.actor,
            via=caller.via,
            request_id=caller.request_id,
            resource_type=RESOURCE_TYPE,
            resource=key.identity,
            key_version=version,
            error=None if error is None else error.code,
            details=details,
        )


def _check_usable(identity: KeyIdentity, status: KeyStatus) -> None:
    if status is not KeyStatus.ACTIVE:
        raise KeyNotUsable(f"key {identity} is {status.value.replace('_', ' ')}")


def _check_allowed(key: Key, operation: Operation) -> None:
    if operation not in key.operations:
        raise KeyNotUsable(f"key {key.identity} of type {key.key_type.value} may not {operation.value}")


def _raise_error(outcome: T | KmsError) -> T:
    """Raise an error that came out of a transaction as a value, so that its audit event was committed."""
    if isinstance(outcome, KmsError):
        raise outcome
    return outcome
