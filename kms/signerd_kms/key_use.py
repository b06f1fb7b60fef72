"""Use of key material, in the one order that is safe."""

from collections.abc import Mapping

from sqlalchemy import Connection

from signerd_kms import key_rows, request, signature
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import raise_error
from signerd_kms.custodian import Custodian
from signerd_kms.errors import KeyNotUsable, KmsError
from signerd_kms.key import NO_TEXTS, Key, KeyIdentity, KeyStatus, Operation, Scope
from signerd_kms.signature import SignatureScheme
from signerd_kms.state import Task


class KeyUse:
    """Signs."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def sign(
        self,
        scope: Scope,
        identity: KeyIdentity,
        version: int,
        data: bytes,
        *,
        scheme: SignatureScheme,
        by: Attribution,
        context: Mapping[str, str] = NO_TEXTS,
    ) -> bytes:
        """Sign a message. The audit event is on disk before the signature is returned.

        Args:
            scope: Where the key lives.
            identity: The key.
            version: The version to use.
            data: The message, up to 1 MiB; hashed here.
            scheme: How; ECDSA gives ASN.1 DER.
            by: Who asks.
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
        with self._custodian.unsealed(Task.USE) as hierarchy:
            with self._store.read() as connection:
                key = key_rows.read_key(connection, scope, identity)
                signature.check_scheme(key.key_type, scheme)
                material = key_rows.read_material(connection, scope, identity, version)
            details: dict[str, str | int] = {**context, "scheme": scheme.value, "octets": len(data)}
            try:
                _check_usable(key.identity, key.status)
                _check_allowed(key, Operation.SIGN)
                with self._store.read() as connection:
                    kek = hierarchy.load_kek(
                        connection, scope.organisation, scope.region, material.kek_generation
                    )
                private_key = hierarchy.load_private_key(kek, key, version, material)
                made = signature.sign(private_key, data, scheme)
            except KmsError as error:
                refusal = error
                self._store.write(
                    lambda connection: self._store.record_key_event(
                        connection, "kms.sign", key, by, version=version, error=refusal, details=details
                    )
                )
                raise

            def store(connection: Connection) -> KmsError | None:
                refused: KmsError | None = None
                try:  # again, as it may have been disabled since
                    _check_usable(identity, key_rows.read_status(connection, scope, identity))
                except KmsError as error:
                    refused = error
                self._store.record_key_event(
                    connection, "kms.sign", key, by, version=version, error=refused, details=details
                )
                return refused

            raise_error(self._store.write(store))
            return made


def _check_usable(identity: KeyIdentity, status: KeyStatus) -> None:
    if status is not KeyStatus.ACTIVE:
        raise KeyNotUsable(f"key {identity} is {status.value.replace('_', ' ')}")


def _check_allowed(key: Key, operation: Operation) -> None:
    if operation not in key.operations:
        raise KeyNotUsable(f"key {key.identity} of type {key.key_type.value} may not {operation.value}")
