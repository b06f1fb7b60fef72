"""Data of other services: sealed under a data key of its own, and that under a version of a KMS key.

To the permissions and the audit it is an encryption or a decryption with the KMS key like any other. Data
keys are made here and never leave. They are wrapped under a label of their own, so the public decrypt call
opens none of them, whoever asks.
"""

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection

from signerd_kms import request, xaes
from signerd_kms.associated_data import DATA_KEY, encode_fields
from signerd_kms.attribution import Attribution
from signerd_kms.ciphertext import NONCE_OCTETS, TAG_OCTETS
from signerd_kms.errors import DecryptFailed, OperationUnsupported, UnwrapFailed
from signerd_kms.key import Key, KeyIdentity, Operation, Scope
from signerd_kms.key_material import AeadKey
from signerd_kms.key_use import Done, KeyUse, OpenKey, Use
from signerd_kms.wrapping import LiveKey

T = TypeVar("T")
BoundField = str | int | bytes
_FORMAT: Final = 1
_WRAPPED: Final = NONCE_OCTETS + xaes.KEY_OCTETS + TAG_OCTETS
_HEADER: Final = struct.Struct(f">B{_WRAPPED}s")  # format, wrapped data key


@dataclass(frozen=True, slots=True)
class SealedData:
    """What the service stores.

    Attributes:
        key_version: Of the KMS key that wraps the data key.
        octets: Format, wrapped data key, sealed data.
    """

    key_version: int
    octets: bytes


class Sealer:
    """A new data key, for one piece of data."""

    __slots__ = ("_data_key", "_key_version", "_wrapped")

    def __init__(self, data_key: LiveKey, wrapped: bytes, key_version: int) -> None:
        self._data_key = data_key
        self._wrapped = wrapped
        self._key_version = key_version

    def __call__(self, data: bytes, bound: Sequence[BoundField]) -> SealedData:
        """Seal the data, bound to facts that must be given again to open it."""
        sealed = xaes.seal(self._data_key.octets, data, encode_fields(tuple(bound)))
        return SealedData(self._key_version, _HEADER.pack(_FORMAT, self._wrapped) + sealed)

    def close(self) -> None:
        """Wipe the data key."""
        self._data_key.close()


@dataclass(frozen=True, slots=True)
class _MakeSealer(Use[Sealer]):
    action: ClassVar[str] = "kms.encrypt"
    operation: ClassVar[Operation | None] = Operation.ENCRYPT
    context: Mapping[str, str]

    def choose_versions(self, key: Key) -> Sequence[int]:
        return (key.latest_version,)

    def describe(self) -> Mapping[str, str | int]:
        return self.context

    def perform(self, opened: OpenKey) -> Done[Sealer]:
        version = opened.key.latest_version
        material = _load(opened, version)
        opened.spend_message(version)
        data_key = LiveKey(os.urandom(xaes.KEY_OCTETS))
        nonce = os.urandom(NONCE_OCTETS)
        body = material.encrypt(nonce, data_key.octets, _bind(opened.key, version))
        return Done(Sealer(data_key, nonce + body, version), version, {})


@dataclass(frozen=True, slots=True)
class _Open(Use[bytes]):
    action: ClassVar[str] = "kms.decrypt"
    operation: ClassVar[Operation | None] = Operation.DECRYPT
    sealed: SealedData = field(repr=False)
    bound: Sequence[BoundField]
    context: Mapping[str, str]

    def choose_versions(self, key: Key) -> Sequence[int]:
        return (self.sealed.key_version,)

    def describe(self) -> Mapping[str, str | int]:
        return self.context

    def perform(self, opened: OpenKey) -> Done[bytes]:
        version, octets = self.sealed.key_version, self.sealed.octets
        material = _load(opened, version)
        if len(octets) < _HEADER.size or octets[0] != _FORMAT:
            raise DecryptFailed
        _, wrapped = _HEADER.unpack_from(octets)
        try:
            data_key = LiveKey(
                material.decrypt(wrapped[:NONCE_OCTETS], wrapped[NONCE_OCTETS:], _bind(opened.key, version))
            )
            with data_key:
                clear = xaes.open_sealed(
                    data_key.octets, octets[_HEADER.size :], encode_fields(tuple(self.bound))
                )
        except (InvalidTag, UnwrapFailed):  # without its cause: what was changed is nobody's business
            raise DecryptFailed from None
        return Done(clear, version, {})


class DataKeys:
    """Seals and opens data of services."""

    def __init__(self, use: KeyUse) -> None:
        self._use = use

    def seal_data(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        context: Mapping[str, str],
        store: Callable[[Connection, Sealer], T],
    ) -> T:
        """Let a service seal data and keep it, in one transaction with the audit event `kms.encrypt`.

        Args:
            scope: Where the key lives.
            identity: A symmetric key.
            by: Who asks.
            context: Safe facts for the audit.
            store: Seals one piece of data and stores it; must be quick. What it raises undoes all.

        Returns:
            What `store` gave.

        Raises:
            KeyUnknown: None in this scope.
            KeyNotUsable: It is not active. The refusal is in the audit.
            OperationUnsupported: It is not symmetric. The refusal is in the audit.
            StoreUnavailable: The database did not commit; nothing is stored.
            Sealed: The root key is not in memory.
        """
        request.check_context(context)
        made: list[Sealer] = []

        def keep(connection: Connection, sealer: Sealer) -> T:
            made.append(sealer)
            return store(connection, sealer)

        try:
            return self._use.use_and_store(scope, identity, _MakeSealer(context), keep, by=by)
        finally:
            for sealer in made:
                sealer.close()

    def open_data(
        self,
        scope: Scope,
        identity: KeyIdentity,
        sealed: SealedData,
        bound: Sequence[BoundField],
        *,
        by: Attribution,
        context: Mapping[str, str],
        store: Callable[[Connection], None],
    ) -> bytes:
        """Open data that `seal_data` sealed. The audit event `kms.decrypt` is on disk before it is returned.

        Args:
            scope: As at sealing.
            identity: As at sealing.
            sealed: What was stored.
            bound: As at sealing.
            by: Who asks.
            context: Safe facts for the audit.
            store: Runs in the transaction of the audit event. What it raises undoes all.

        Raises:
            DecryptFailed: Anything is not as it was at sealing. The failure is in the audit.
            KmsError: As for `seal_data`.
        """
        request.check_context(context)

        def keep(connection: Connection, clear: bytes) -> bytes:
            store(connection)
            return clear

        return self._use.use_and_store(scope, identity, _Open(sealed, bound, context), keep, by=by)


def _load(opened: OpenKey, version: int) -> AeadKey:
    material = opened.load(version)
    if not isinstance(material, AeadKey):
        raise OperationUnsupported(
            f"a key of type {opened.key.key_type.value} does not keep data of services: it is not symmetric"
        )
    return material


def _bind(key: Key, version: int) -> bytes:
    scope = key.scope
    return encode_fields(
        (DATA_KEY, scope.organisation, scope.region, scope.project or "", key.identity, version)
    )
