"""The keys in memory while unsealed: root key, key-encryption keys, a bounded cache of loaded keys."""

import hashlib
import os
import threading
from collections import OrderedDict

from sqlalchemy import Connection, bindparam, insert, select, update

from signerd_kms.associated_data import (
    FINGERPRINT,
    KEK,
    KEY_VERSION,
    SERVICE_KEY,
    WRAPPING_KEY,
    encode_fields,
)
from signerd_kms.errors import UnwrapFailed
from signerd_kms.key import Key, KeyIdentity, Scope, encode_operations
from signerd_kms.key_material import Material, encode_public_key, load_material
from signerd_kms.key_rows import StoredMaterial
from signerd_kms.root_key import Label, RootKey
from signerd_kms.schema import instance, keks
from signerd_kms.wrapping import LiveKey, WrappedKey, compute_key_check, unwrap, wrap

MAX_LOADED_KEYS = 1024  # bounds the keys in memory; the least recently used goes first
KEK_OCTETS = 32

_Place = tuple[str, str, int]  # organisation, region, generation


class KeyHierarchy:
    """Wraps and unwraps below one root key. Safe to use from several threads; useless after `close`."""

    def __init__(self, instance_identity: str, root: RootKey) -> None:
        self._instance = instance_identity
        self._root = root
        self._next_root: RootKey | None = None  # while the root key is rotated
        self._lock = threading.Lock()
        self._keks: dict[_Place, LiveKey] = {}
        self._loaded: OrderedDict[bytes, tuple[KeyIdentity, Material]] = OrderedDict()

    def close(self) -> None:
        """Wipe and drop every key. The caller has seen to it that no operation is under way."""
        with self._lock:
            for kek in self._keks.values():
                kek.close()
            self._keks.clear()
            self._loaded.clear()
            if self._next_root is not None:
                self._next_root.close()
            self._root.close()

    @property
    def instance(self) -> str:
        """Identity of the instance, which everything wrapped is bound to."""
        return self._instance

    @property
    def root(self) -> RootKey:
        """The root key in use; it stays owned by the hierarchy."""
        return self._root

    # Rotation of the root key: the next one is known before the rows are wrapped under it, so that a reader
    # who finds a row of either generation can open it.

    def announce_root(self, root: RootKey) -> None:
        """Take over the next root key."""
        with self._lock:
            self._next_root = root

    def adopt_root(self) -> None:
        """Put the next root key in the place of the one in use, which is kept until its readers are done."""
        with self._lock:
            assert self._next_root is not None  # noqa: S101
            self._root, self._next_root = self._next_root, self._root

    def drop_next_root(self) -> None:
        """Wipe the root key that is not in use, after the change or instead of it."""
        with self._lock:
            root, self._next_root = self._next_root, None
        if root is not None:
            root.close()

    def find_root(self, generation: int) -> RootKey:
        """Give a root key by its generation.

        Raises:
            UnwrapFailed: It is not in memory: another process has rotated the root key.
        """
        with self._lock:
            for root in (self._root, self._next_root):
                if root is not None and root.generation == generation:
                    return root
        raise UnwrapFailed(f"generation {generation} of the root key is not in memory: seal and unseal again")

    def derive(self, label: Label) -> LiveKey:
        """Derive a key from the root key."""
        return self._root.derive(label)

    def find_kek_generation(self, connection: Connection, organisation: str, region: str) -> int | None:
        """Give the newest generation of a key-encryption key, None if there is none yet."""
        row = connection.execute(
            select(keks.c.generation)
            .where(keks.c.organisation == organisation, keks.c.region == region)
            .order_by(keks.c.generation.desc())
            .limit(1)
        ).first()
        return None if row is None else int(row.generation)

    def insert_kek(self, connection: Connection, organisation: str, region: str, now: int) -> int:
        """Make and store the next key-encryption key of an organisation and region; gives its generation."""
        generation = (self.find_kek_generation(connection, organisation, region) or 0) + 1
        root = self.find_root(connection.execute(select(instance.c.root_generation)).scalar_one())
        with LiveKey(os.urandom(KEK_OCTETS)) as kek:
            wrapped = wrap(root.wrapping_key, kek.octets, self._encode_kek(organisation, region, generation))
        connection.execute(
            insert(keks).values(
                organisation=organisation,
                region=region,
                generation=generation,
                root_generation=root.generation,
                wrapped=wrapped.octets,
                key_check=wrapped.key_check,
                created_at=now,
            )
        )
        return generation

    def load_kek(self, connection: Connection, organisation: str, region: str, generation: int) -> LiveKey:
        """Give a key-encryption key; it stays owned by the hierarchy.

        Raises:
            UnwrapFailed: It is missing, or does not open.
        """
        place = (organisation, region, generation)
        with self._lock:
            if (kek := self._keks.get(place)) is not None:
                return kek
        row = connection.execute(
            select(keks.c.wrapped, keks.c.key_check, keks.c.root_generation).where(
                keks.c.organisation == organisation,
                keks.c.region == region,
                keks.c.generation == generation,
            )
        ).first()
        if row is None:
            raise UnwrapFailed(
                f"key-encryption key {generation} of {organisation} in region {region} is missing"
            )
        kek = unwrap(
            self.find_root(row.root_generation).wrapping_key,
            WrappedKey(row.wrapped, row.key_check),
            self._encode_kek(organisation, region, generation),
            locked=True,
        )
        with self._lock:
            return self._keks.setdefault(place, kek)

    def rewrap_keks(self, connection: Connection, old: RootKey, new: RootKey) -> int:
        """Wrap every key-encryption key under another root key; gives how many there are.

        Raises:
            UnwrapFailed: One does not open, so nothing must be committed.
        """
        rows = connection.execute(select(keks)).all()
        changed: list[dict[str, object]] = []
        for row in rows:
            if row.root_generation != old.generation:
                raise UnwrapFailed(
                    f"key-encryption key {row.generation} of {row.organisation} in region {row.region} is "
                    f"wrapped under generation {row.root_generation} of the root key, not {old.generation}"
                )
            associated_data = self._encode_kek(row.organisation, row.region, row.generation)
            with unwrap(old.wrapping_key, WrappedKey(row.wrapped, row.key_check), associated_data) as kek:
                wrapped = wrap(new.wrapping_key, kek.octets, associated_data)
            place = {"o": row.organisation, "r": row.region, "g": row.generation}
            changed.append({**place, "w": wrapped.octets, "k": wrapped.key_check})
        if changed:
            statement = (
                update(keks)
                .where(
                    keks.c.organisation == bindparam("o"),
                    keks.c.region == bindparam("r"),
                    keks.c.generation == bindparam("g"),
                )
                .values(wrapped=bindparam("w"), key_check=bindparam("k"), root_generation=new.generation)
            )
            connection.execute(statement, changed)
        return len(changed)

    def forget_kek(self, organisation: str, region: str, generation: int) -> None:
        """Drop a key-encryption key that was destroyed; it is wiped when the last who holds it is done."""
        with self._lock:
            self._keks.pop((organisation, region, generation), None)

    def wrap_material(
        self, kek: LiveKey, generation: int, key: Key, version: int, octets: bytes
    ) -> StoredMaterial:
        """Wrap the material of a key version, bound to the identity and unchangeable policy of the key."""
        return StoredMaterial(
            wrap(kek, octets, self.encode_version(key, version, generation)),
            generation,
            self.compute_fingerprint(key.scope.organisation, octets),
        )

    def unwrap_material(self, kek: LiveKey, key: Key, version: int, stored: StoredMaterial) -> LiveKey:
        """Give the secret form of a key version; the caller closes it.

        Raises:
            UnwrapFailed: The row or the policy of the key was changed.
        """
        return unwrap(kek, stored.wrapped, self.encode_version(key, version, stored.kek_generation))

    def load_material(self, kek: LiveKey, key: Key, version: int, stored: StoredMaterial) -> Material:
        """Unwrap and load a key version, or take it from the cache if no octet of its row has changed.

        Raises:
            UnwrapFailed: The row, the policy of the key or its public key was changed.
        """
        associated_data = self.encode_version(key, version, stored.kek_generation)
        public_key = next((known.public_key for known in key.versions if known.version == version), None)
        wrapped = stored.wrapped
        place = hashlib.sha256(
            encode_fields((associated_data, wrapped.octets, wrapped.key_check, public_key or b""))
        ).digest()
        with self._lock:
            if (loaded := self._loaded.get(place)) is not None:
                self._loaded.move_to_end(place)
                return loaded[1]
        with unwrap(kek, wrapped, associated_data) as live:
            material = load_material(live.octets, key.key_type, validated=True)
        if encode_public_key(material) != public_key:
            raise UnwrapFailed(f"the stored public key of {key.identity} version {version} was changed")
        with self._lock:
            self._loaded[place] = (key.identity, material)
            while len(self._loaded) > MAX_LOADED_KEYS:
                self._loaded.popitem(last=False)
        return material

    def list_loaded(self) -> set[KeyIdentity]:
        """Name the keys in the cache: a figure for metrics."""
        with self._lock:
            return {identity for identity, _ in self._loaded.values()}

    def forget(self, identity: KeyIdentity) -> None:
        """Drop a key that was destroyed from the cache."""
        with self._lock:
            for place in [place for place, (known, _) in self._loaded.items() if known == identity]:
                del self._loaded[place]

    def compute_fingerprint(self, organisation: str, octets: bytes) -> bytes:
        """Compute what tells whether two keys of an organisation are the same, and nothing else of them."""
        return compute_key_check(octets, encode_fields((FINGERPRINT, self._instance, organisation)))

    def encode_wrapping_key(
        self, organisation: str, region: str, generation: int, kek_generation: int
    ) -> bytes:
        """Give the associated data of the private half of a key that wraps imports."""
        return encode_fields((WRAPPING_KEY, self._instance, organisation, region, generation, kek_generation))

    def encode_service_key(
        self, scope: Scope, purpose: str, identity: str, generation: int, bound: tuple[bytes, ...]
    ) -> bytes:
        """Give the associated data of a service key."""
        return encode_fields(
            (
                SERVICE_KEY,
                self._instance,
                scope.organisation,
                scope.region,
                purpose,
                identity,
                generation,
                *bound,
            )
        )

    def _encode_kek(self, organisation: str, region: str, generation: int) -> bytes:
        return encode_fields((KEK, self._instance, organisation, region, generation))

    def encode_version(self, key: Key, version: int, kek_generation: int) -> bytes:
        """Give the associated data of a key version."""
        return encode_fields(
            (
                KEY_VERSION,
                self._instance,
                key.scope.organisation,
                key.scope.region,
                key.identity,
                version,
                key.key_type.value,
                key.export_allowed,
                key.imported,
                encode_operations(key.operations),
                kek_generation,
            )
        )
