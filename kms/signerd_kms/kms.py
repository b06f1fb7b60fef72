"""The KMS: states, keys, their use. Synchronous and safe to call from several threads."""

from collections.abc import Sequence
from typing import Self

from sqlalchemy import Engine

from signerd_kms.audit import AuditSink
from signerd_kms.audited_store import AuditedStore
from signerd_kms.clock import Clock
from signerd_kms.custodian import Custodian
from signerd_kms.errors import AlreadyInitialised
from signerd_kms.kek_rotation import KekRotation
from signerd_kms.key_life import KeyLife
from signerd_kms.key_use import KeyUse
from signerd_kms.root_care import RootCare
from signerd_kms.seal import Seal
from signerd_kms.service_keys import ServiceKeys
from signerd_kms.state import State


class Kms:
    """A key management service in a database: its parts, under one name.

    Making one only reads the state: uninitialised or sealed. `open` does what a daemon wants at start.
    The operations are those of the parts, documented there.
    """

    def __init__(self, engine: Engine, clock: Clock, audit: AuditSink) -> None:
        self.custodian = Custodian(AuditedStore(engine, clock, audit))
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
        self.add_wrapped_rows = keks.add_source
        self.rotate_kek = keks.rotate_kek
        self.needs_rewrap = keks.needs_rewrap
        self.rewrap_keys = keks.rewrap

        life = KeyLife(self.custodian)
        self.create_key = life.create_key
        self.get_key = life.get_key
        self.find_key = life.find_key
        self.list_keys = life.list_keys
        self.count_keys = life.count_keys
        self.public_key = life.public_key
        self.enable = life.enable
        self.disable = life.disable

        use = KeyUse(self.custodian)
        self.sign = use.sign

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
        seals = list(seal) if isinstance(seal, Sequence) else [seal]
        if kms.state is State.SEALED:
            kms.unseal(*seals)
        return kms

    @property
    def state(self) -> State:
        """The state right now."""
        return self.custodian.state
