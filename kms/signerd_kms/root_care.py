"""Care of the root key: a new generation of it, other seals for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from signerd_kms import root_key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.audit import AuditEvent
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KmsError, LastSeal, SealNotReady, SealUnknown, UnwrapFailed
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.root_key import Label, RootKey, new_root_key
from signerd_kms.seal import Seal
from signerd_kms.state import Task
from signerd_kms.wrapping import WrappedKey


@dataclass(frozen=True, slots=True)
class SealStatus:
    """A seal that holds the root key.

    Attributes:
        seal_id: Its name.
        root_generation: Of the root key it holds.
        wrapped_at: When it was wrapped.
    """

    seal_id: str
    root_generation: int
    wrapped_at: int


class RootCare:
    """Rotates and reseals the root key. Each change is one transaction: whole after a crash, or not there."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def list_seals(self) -> list[SealStatus]:
        """List the seals that hold the root key, also while sealed; empty before the first start."""
        with self._store.read() as connection:
            known = root_key_rows.read_instance(connection)
            wraps = root_key_rows.list_wraps(connection, known.root_generation) if known else []
        return [SealStatus(wrap.seal_id, wrap.generation, wrap.created_at) for wrap in wraps]

    def rotate_root(self, seals: Sequence[Seal], by: Attribution) -> int:
        """Make a new root key and wrap every key-encryption key and every seal's copy under it.

        Args:
            seals: At least all that hold the root key now.
            by: Who asks.

        Returns:
            The generation of the new root key.

        Raises:
            SealNotReady: A seal that holds the root key is not among them.
            KmsError: A seal cannot wrap; nothing has changed.
            UnwrapFailed: A key-encryption key does not open; nothing has changed.
        """
        with self._custodian.changing_root():
            with self._custodian.unsealed(Task.USE) as hierarchy:
                generation = self._rotate(hierarchy, seals, by)
            self._custodian.wait_for_holders()  # who read a row wrapped under the old one
            hierarchy.drop_next_root()
        return generation

    def _rotate(self, hierarchy: KeyHierarchy, seals: Sequence[Seal], by: Attribution) -> int:
        old = hierarchy.root
        holders = self._find_holders(seals, hierarchy)
        new = new_root_key(old.generation + 1)
        hierarchy.announce_root(new)
        try:
            derived = _carry_derived(hierarchy, old, new)
            wraps = {seal.seal_id: new.wrap(seal, hierarchy.instance) for seal in holders}
            event = self._event("kms.root.rotate", by, generation=new.generation)
            self._store.write(
                lambda connection: self._replace_root(
                    connection, hierarchy, (old, new), wraps, derived, event
                )
            )
        except BaseException:
            hierarchy.drop_next_root()
            raise
        hierarchy.adopt_root()
        return new.generation

    def _replace_root(
        self,
        connection: Connection,
        hierarchy: KeyHierarchy,
        roots: tuple[RootKey, RootKey],
        wraps: dict[str, WrappedKey],
        derived: dict[Label, WrappedKey],
        event: AuditEvent,
    ) -> None:
        old, new = roots
        self._check_generation(connection, old.generation)
        held = {wrap.seal_id for wrap in root_key_rows.list_wraps(connection, old.generation)}
        if held != wraps.keys():
            raise SealNotReady("the seals were changed by another process; try again")
        count = hierarchy.rewrap_keks(connection, old, new)
        for seal_id, wrapped in wraps.items():
            root_key_rows.insert_wrap(connection, seal_id, new.generation, wrapped, event.at)
        root_key_rows.replace_derived(connection, new.generation, derived)
        root_key_rows.set_root_generation(connection, new.generation)
        root_key_rows.delete_other_generations(connection, new.generation)
        self._store.record(connection, _with_details(event, keyEncryptionKeys=count))

    def reseal(self, seals: Sequence[Seal], by: Attribution) -> list[str]:
        """Wrap the root key under every seal given, those that hold it already and those that do not yet.

        Each copy is opened again before it counts; all of them are stored, or none.

        Returns:
            The seals that did not hold the root key before.

        Raises:
            KmsError: A seal cannot wrap; nothing has changed.
        """
        with self._custodian.changing_root(), self._custodian.unsealed(Task.USE) as hierarchy:
            root = hierarchy.root
            held = {status.seal_id for status in self.list_seals()}
            for seal in seals:
                if seal.seal_id not in held:
                    seal.prepare()
            wraps = {seal.seal_id: root.wrap(seal, hierarchy.instance) for seal in seals}
            event = self._event("kms.reseal", by, seals=", ".join(wraps))

            def store(connection: Connection) -> None:
                self._check_generation(connection, root.generation)
                for seal_id, wrapped in wraps.items():
                    root_key_rows.insert_wrap(connection, seal_id, root.generation, wrapped, event.at)
                self._store.record(connection, event)

            self._store.write(store)
        return [seal_id for seal_id in wraps if seal_id not in held]

    def remove_seal(self, seal_id: str, others: Sequence[Seal], by: Attribution) -> None:
        """Delete a seal's copy of the root key, once another seal has been seen to open it.

        Args:
            seal_id: The seal that goes.
            others: Seals of which one at least must open the root key now.
            by: Who asks.

        Raises:
            SealUnknown: The seal does not hold the root key.
            LastSeal: None of the others opens it.
        """
        with self._custodian.changing_root(), self._custodian.unsealed(Task.USE) as hierarchy:
            root = hierarchy.root
            if seal_id not in {status.seal_id for status in self.list_seals()}:
                raise SealUnknown(f"seal {seal_id!r} does not hold the root key of this database")
            proven = self._prove_one([seal for seal in others if seal.seal_id != seal_id], hierarchy, root)
            event = self._event("kms.seal.remove", by, seal=seal_id, proven=proven)

            def store(connection: Connection) -> None:
                self._check_generation(connection, root.generation)
                if root_key_rows.find_wrap(connection, proven, root.generation) is None:
                    raise LastSeal(f"seal {proven!r} was removed meanwhile, so {seal_id!r} stays")
                root_key_rows.delete_wrap(connection, seal_id)
                self._store.record(connection, event)

            self._store.write(store)

    def _prove_one(self, seals: Sequence[Seal], hierarchy: KeyHierarchy, root: RootKey) -> str:
        failures: list[str] = []
        for seal in seals:
            with self._store.read() as connection:
                wrapped = root_key_rows.find_wrap(connection, seal.seal_id, root.generation)
            if wrapped is None:
                failures.append(f"seal {seal.seal_id!r} does not hold it")
                continue
            try:
                root.verify(seal, wrapped, hierarchy.instance)
            except KmsError as error:
                failures.append(str(error))
                continue
            return seal.seal_id
        reasons = "; ".join(failures) or "there is no other"
        raise LastSeal(f"no other seal has been seen to open the root key: {reasons}")

    def _find_holders(self, seals: Sequence[Seal], hierarchy: KeyHierarchy) -> list[Seal]:
        """Find the seals that hold the root key, each seen to open it: a slip must not set a passphrase."""
        root = hierarchy.root
        at_hand = {seal.seal_id: seal for seal in seals}
        with self._store.read() as connection:
            held = root_key_rows.list_wraps(connection, root.generation)
        for wrap in held:
            if wrap.seal_id not in at_hand:
                raise SealNotReady(
                    f"seal {wrap.seal_id!r} holds the root key and is not configured: "
                    "configure it, or remove it first"
                )
        for wrap in held:
            root.verify(at_hand[wrap.seal_id], wrap.wrapped, hierarchy.instance)
        return [at_hand[wrap.seal_id] for wrap in held]

    def _check_generation(self, connection: Connection, expected: int) -> None:
        known = root_key_rows.read_instance(connection)
        if known is None or known.root_generation != expected:
            raise UnwrapFailed("the root key was rotated by another process: seal and unseal again")

    def _event(self, action: str, by: Attribution, **details: str | int) -> AuditEvent:
        return AuditEvent(
            self._store.now(),
            action,
            True,
            None,
            actor=by.actor,
            via=by.via,
            request_id=by.request_id,
            credential=by.credential,
            address=by.address,
            details=details,
        )


def _carry_derived(hierarchy: KeyHierarchy, old: RootKey, new: RootKey) -> dict[Label, WrappedKey]:
    """Have the new root key give what the old one does, and give that wrapped, to be stored."""
    wraps: dict[Label, WrappedKey] = {}
    for label in Label:
        if label is not Label.WRAP:
            new.carry(label, old.derive(label))
            with new.derive(label) as key:
                wraps[label] = new.wrap_derived(label, key, hierarchy.instance)
    return wraps


def _with_details(event: AuditEvent, **details: str | int) -> AuditEvent:
    return replace(event, details={**event.details, **details})
