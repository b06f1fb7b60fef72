"""Key pairs that customers wrap their keys with: one for each organisation and region, new every month."""

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.custodian import Custodian
from signerd_kms.errors import UnwrapFailed
from signerd_kms.hierarchy import KeyHierarchy
from signerd_kms.key import KeyType, Scope
from signerd_kms.key_material import encode_public_key, load_material
from signerd_kms.memory import wipe
from signerd_kms.ready_keys import ReadyKeys
from signerd_kms.schema import wrapping_keys
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey, WrappedKey, unwrap, wrap

WRAPPING_TYPE = KeyType.RSA_4096
WRAPPING_ALGORITHM = "RSA-OAEP-SHA256+AES-KWP"
DAY = 86_400
LIFETIME_SECONDS = 30 * DAY  # then the next request for the public key makes a new one
GRACE_SECONDS = 7 * DAY  # how long what was wrapped before is still accepted
_ACCEPTED_SECONDS = LIFETIME_SECONDS + GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class WrappingPublicKey:
    """What a customer wraps a key with.

    Attributes:
        pem: SubjectPublicKeyInfo.
        algorithm: How to wrap.
        generation: Which key it is.
    """

    pem: str
    algorithm: str
    generation: int


class WrappingKeys:
    """Makes, gives out and opens wrapping keys."""

    def __init__(self, custodian: Custodian, ready: ReadyKeys) -> None:
        self._custodian = custodian
        self._ready = ready
        self._store = custodian.store

    def wrapping_public_key(self, scope: Scope, *, by: Attribution) -> WrappingPublicKey:
        """Give the public key to wrap an import with; audited. Making a new one may take seconds.

        Raises:
            Sealed: The root key is not in memory.
        """
        with self._custodian.unsealed(Task.CREATE) as hierarchy:
            found = self._find_fresh(scope)
            if found is None:
                self._insert(hierarchy, scope, self._ready.take(WRAPPING_TYPE))
                found = self._find_fresh(scope)
            assert found is not None  # noqa: S101  # another may have made it, but there is one
            generation, public_key = found
            self._store.write(
                lambda connection: self._store.record_place_event(
                    connection, "kms.get_wrapping_key", scope, by, details={"generation": generation}
                )
            )
        pem = serialization.load_der_public_key(public_key).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return WrappingPublicKey(pem.decode(), WRAPPING_ALGORITHM, generation)

    def open_accepted(self, hierarchy: KeyHierarchy, scope: Scope) -> list[rsa.RSAPrivateKey]:
        """Open the keys that are accepted now, the newest first."""
        with self._store.read() as connection:
            rows = connection.execute(
                select(wrapping_keys)
                .where(*_in(scope), wrapping_keys.c.created_at > self._store.now() - _ACCEPTED_SECONDS)
                .order_by(wrapping_keys.c.generation.desc())
            ).all()
            opened: list[rsa.RSAPrivateKey] = []
            for row in rows:
                kek = hierarchy.load_kek(connection, scope.organisation, scope.region, row.kek_generation)
                bound = hierarchy.encode_wrapping_key(
                    scope.organisation, scope.region, row.generation, row.kek_generation
                )
                with unwrap(kek, WrappedKey(row.wrapped, row.key_check), bound) as live:
                    key = serialization.load_der_private_key(
                        live.octets, None, unsafe_skip_rsa_key_validation=True
                    )
                if not isinstance(key, rsa.RSAPrivateKey):
                    raise UnwrapFailed("a wrapping key is no RSA key")
                opened.append(key)
        return opened

    def purge_old(self, now: int) -> None:
        """Destroy the keys that are accepted no more: a background job."""
        self._store.write(
            lambda connection: connection.execute(
                delete(wrapping_keys).where(wrapping_keys.c.created_at <= now - _ACCEPTED_SECONDS)
            )
        )

    def _find_fresh(self, scope: Scope) -> tuple[int, bytes] | None:
        with self._store.read() as connection:
            return _select_fresh(connection, scope, self._store.now())

    def _insert(self, hierarchy: KeyHierarchy, scope: Scope, octets: bytes) -> None:
        public_key = encode_public_key(load_material(octets, WRAPPING_TYPE, validated=True))

        def store(connection: Connection, kek: LiveKey, kek_generation: int) -> None:
            now = self._store.now()
            if _select_fresh(connection, scope, now) is not None:  # made by another meanwhile
                return
            newest = connection.execute(
                select(wrapping_keys.c.generation)
                .where(*_in(scope))
                .order_by(wrapping_keys.c.generation.desc())
                .limit(1)
            ).scalar()
            generation = (newest or 0) + 1
            bound = hierarchy.encode_wrapping_key(
                scope.organisation, scope.region, generation, kek_generation
            )
            wrapped = wrap(kek, octets, bound)
            connection.execute(
                insert(wrapping_keys).values(
                    organisation=scope.organisation,
                    region=scope.region,
                    generation=generation,
                    kek_generation=kek_generation,
                    wrapped=wrapped.octets,
                    key_check=wrapped.key_check,
                    public_key=public_key,
                    created_at=now,
                )
            )
            self._store.record_place_event(
                connection,
                "kms.wrapping_key.create",
                Scope(scope.organisation, scope.region),  # one for all projects
                NOBODY,
                details={"generation": generation},
            )

        try:
            self._custodian.write_under_kek(hierarchy, scope, store)
        finally:
            wipe(octets)


def _select_fresh(connection: Connection, scope: Scope, now: int) -> tuple[int, bytes] | None:
    row = connection.execute(
        select(wrapping_keys.c.generation, wrapping_keys.c.public_key)
        .where(*_in(scope), wrapping_keys.c.created_at > now - LIFETIME_SECONDS)
        .order_by(wrapping_keys.c.generation.desc())
        .limit(1)
    ).first()
    return None if row is None else (row.generation, row.public_key)


def _in(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (wrapping_keys.c.organisation == scope.organisation, wrapping_keys.c.region == scope.region)
