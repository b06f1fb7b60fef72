"""The KMS: states, keys, their use. Synchronous and safe to call from several threads."""

from collections.abc import Sequence
from typing import Self

from sqlalchemy import Engine

from signerd_kms.audit import AuditSink
from signerd_kms.audited_store import AuditedStore
from signerd_kms.clock import Clock
from signerd_kms.custodian import Custodian
from signerd_kms.data_keys import DataKeys
from signerd_kms.errors import AlreadyInitialised
from signerd_kms.export_approval import ExportApprovals
from signerd_kms.kek_rotation import KekRotation
from signerd_kms.key import KeyIdentity
from signerd_kms.key_import import KeyImport
from signerd_kms.key_life import KeyLife
from signerd_kms.key_operations import KeyOperations
from signerd_kms.key_status import KeyStatuses
from signerd_kms.key_use import KeyUse
from signerd_kms.nonce_budget import NonceBudget
from signerd_kms.ready_keys import ReadyKeys
from signerd_kms.root_care import RootCare
from signerd_kms.rotation import Rotation
from signerd_kms.seal import Seal
from signerd_kms.service_keys import ServiceKeys
from signerd_kms.shredding import Shredding
from signerd_kms.state import State
from signerd_kms.wrapping_key_rows import WrappingKeyRows
from signerd_kms.wrapping_keys import WrappingKeys
from signerd_kms.zone_signing import ZoneSigning


class Kms:
    """A key management service in a database: its parts, under one name.

    Making one only reads the state: uninitialised or sealed. `open` does what a daemon wants at start.
    The operations are those of the parts, documented there.
    """

    def __init__(self, engine: Engine, clock: Clock, audit: AuditSink) -> None:
        store = AuditedStore(engine, clock, audit)
        self.custodian = Custodian(store)
        self.initialise = self.custodian.initialise
        self.unseal = self.custodian.unseal
        self.seal = self.custodian.seal
        self.derive_key = self.custodian.derive_key

        root = RootCare(self.custodian)
        self.list_seals = root.list_seals
        self.rotate_root = root.rotate_root
        self.reseal = root.reseal
        self.remove_seal = root.remove_seal

        keks = KekRotation(self.custodian)
        keks.add_source(WrappingKeyRows())
        self.add_wrapped_rows = keks.add_source
        self.rotate_kek = keks.rotate_kek
        self.needs_rewrap = keks.needs_rewrap
        self.rewrap_keys = keks.rewrap

        self.ready_keys = ReadyKeys(self.custodian)

        life = KeyLife(self.custodian, self.ready_keys)
        self.create_key = life.create_key
        self.get_key = life.get_key
        self.resolve_key = life.resolve_key
        self.find_key = life.find_key
        self.list_keys = life.list_keys
        self.count_keys = life.count_keys
        self.public_key = life.public_key
        self.public_keys = life.public_keys

        statuses = self._statuses = KeyStatuses(self.custodian)
        self.enable = statuses.enable
        self.disable = statuses.disable
        self.schedule_deletion = statuses.schedule_deletion
        self.cancel_deletion = statuses.cancel_deletion

        rotation = Rotation(self.custodian, self.ready_keys)
        self.rotate = rotation.rotate
        self.update_rotation = rotation.update_rotation
        self.rotate_due = rotation.rotate_due

        self._wrapping_keys = WrappingKeys(self.custodian, self.ready_keys)
        self.wrapping_public_key = self._wrapping_keys.wrapping_public_key
        self.import_key = KeyImport(self.custodian, self._wrapping_keys).import_key

        budget = NonceBudget(store)
        self.skip_lost_messages = budget.skip_lost
        use = KeyUse(self.custodian, budget)
        self.use = use.use
        self.use_all = use.use_all
        self.use_and_store = use.use_and_store

        approvals = ExportApprovals(self.custodian)
        self.approve_export = approvals.approve_export

        operations = KeyOperations(self.custodian, use, approvals)
        self.encrypt = operations.encrypt
        self.decrypt = operations.decrypt
        self.rewrap = operations.rewrap
        self.make_data_key = operations.make_data_key
        self.random = operations.random
        self.sign = operations.sign
        self.verify = operations.verify
        self.mac = operations.mac
        self.verify_mac = operations.verify_mac
        self.export = operations.export

        data_keys = DataKeys(use)
        self.seal_data = data_keys.seal_data
        self.open_data = data_keys.open_data

        zones = ZoneSigning(self.custodian, use)
        self.bind_zone = zones.bind_zone
        self.list_zones = zones.list_zones
        self.sign_zone_statement = zones.sign_zone_statement
        self.sign_zone_rrsets = zones.sign_zone_rrsets

        shredding = Shredding(self.custodian)
        self.find_shred = shredding.find_shred
        self.shred = shredding.shred

        service_keys = ServiceKeys(self.custodian)
        self.wrap_service_key = service_keys.wrap_service_key
        self.unwrap_service_key = service_keys.unwrap_service_key

    @classmethod
    def open(cls, engine: Engine, seal: Seal | Sequence[Seal], clock: Clock, audit: AuditSink) -> Self:
        """Initialise at the first start, under all seals; unseal at later ones, by the first that opens.

        Raises:
            RootKeyMissing: The database has a root key wrapped by this seal, whose own key is gone.
            RootKeyRefused: The file of the seal is not safe or not whole.
            RootKeyWrong: The seal does not open the root key of this database.
            SealUnknown: The root key was never wrapped under this seal.
            NoSealOpens: None of several seals opens it.
        """
        kms = cls(engine, clock, audit)
        seals = list(seal) if isinstance(seal, Sequence) else [seal]
        if kms.state is State.UNINITIALISED:
            try:
                kms.initialise(*seals)
            except AlreadyInitialised:  # by another process, between our two looks
                kms = cls(engine, clock, audit)
        if kms.state is State.SEALED:
            kms.unseal(*seals)
        return kms

    @property
    def state(self) -> State:
        """The state right now."""
        return self.custodian.state

    def purge_due(self, now: int) -> list[KeyIdentity]:
        """Destroy keys whose time has come, and wrapping keys that are accepted no more: a background job.

        Returns:
            The keys that were destroyed.

        Raises:
            StoreUnavailable: The database did not commit; what was destroyed before stays so.
        """
        self._wrapping_keys.purge_old(now)
        return self._statuses.purge_due(now)
