"""Wrapping of keys for services that store them themselves, such as zone-signing keys."""

from collections.abc import Sequence

from signerd_kms import request
from signerd_kms.custodian import Custodian
from signerd_kms.key import Scope
from signerd_kms.service_key import WrappedServiceKey
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey, unwrap, wrap


class ServiceKeys:
    """Wraps and unwraps keys of services."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian

    def wrap_service_key(
        self, scope: Scope, purpose: str, identity: str, octets: bytes, *, bound: Sequence[bytes] = ()
    ) -> WrappedServiceKey:
        """Wrap a key of a service under the key-encryption key of the organisation and region.

        It is for the caller to store the result within a day, and to wipe `octets`. The table it is stored in
        must be known to `Kms.add_wrapped_rows`: a key-encryption key that no known table needs is destroyed.

        Args:
            scope: Whose it is; the project plays no part.
            purpose: What it is for, such as `dnssec-zsk`.
            identity: Which it is, within the purpose.
            octets: The secret, 16 octets to 64 KiB.
            bound: Further facts that must be the same at unwrapping, such as zone and algorithm.
        """
        request.check_service_key(octets, bound)
        with self._custodian.unsealed(Task.USE) as hierarchy:
            kek, generation = self._custodian.load_current_kek(hierarchy, scope)
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
        with self._custodian.unsealed(Task.USE) as hierarchy:
            with self._custodian.store.read() as connection:
                kek = hierarchy.load_kek(connection, scope.organisation, scope.region, parsed.kek_generation)
            associated_data = hierarchy.encode_service_key(
                scope, purpose, identity, parsed.kek_generation, tuple(bound)
            )
            return unwrap(kek, parsed.wrapped, associated_data)
