"""The keys of a zone under the names that its timetable gives them: made, found, loaded, given up."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, Row, update

from signerd.dns.name import Name
from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey, clashes
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import Denial
from signerd.signer.zone_key_store import (
    ACTIVE,
    BY,
    INCOMING,
    OUTGOING,
    RETIRED,
    KeyUnusable,
    ZoneKeys,
    ZoneKeyStore,
    read_dnskey,
    warn_of_csk,
)
from signerd.store.zone_tables import zone_signing_keys
from signerd.timetable.arrangement import Arrangement
from signerd.timetable.state import KeyRole
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms

_MOST_ROTATIONS: Final = 20  # to a free key tag: each fails with a probability below one in a thousand


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that a zone has.

    Attributes:
        identity: Of its row.
        name: Of the timetable; None if none has taken it over.
        role: What it signs.
        dnskey: Its public half.
        created_at: Epoch seconds.
        kms_key: Identity of the key of the KMS; None for a key of this server.
        state: Of a KSK of a zone of the API: ACTIVE if its DS was handed out last, OUTGOING or INCOMING.
    """

    identity: str
    name: str | None
    role: KeyRole
    dnskey: DnsKey
    created_at: int
    kms_key: str | None
    state: str = ACTIVE


@dataclass(frozen=True, slots=True)
class KskSource:
    """Where the next KSK or CSK comes from.

    Attributes:
        key_type: Of a new key.
        kms_key: Identity or name of the key to take; None for the zone's own.
        is_new_version: Whether the zone's present key is rotated, if it is of the algorithm wanted.
        scope: Where the keys of the zone are; None for those of the deployment.
        state: In which it begins.
    """

    key_type: KeyType
    kms_key: str | None = None
    is_new_version: bool = False
    scope: Scope | None = None
    state: str = ACTIVE


class TimetableKeys:
    """The keys of zones that a timetable looks after. Safe to call from several threads."""

    def __init__(self, store: ZoneKeyStore, engine: Engine, kms: Kms) -> None:
        self._store = store
        self._engine = engine
        self._kms = kms
        self._lock = threading.Lock()
        self._loaded: dict[Name, tuple[object, ZoneKeys]] = {}
        self._drops = 0  # so that what is being loaded while something is dropped is not kept

    def list_keys(self, zone: Name) -> Sequence[StoredKey]:
        """List the keys that a zone has, oldest first."""
        return [
            StoredKey(
                str(row.id),
                row.timetable_name,
                KeyRole(row.role),
                read_dnskey(row),
                int(row.created_at),
                row.kms_key_identity,
                str(row.state),
            )
            for row in self._store.read_rows(zone)
        ]

    def find_named(self, kms_key: str, scope: Scope | None = None) -> Key | None:
        """Find a key of the KMS by identity or name: of the deployment, or of another scope.

        Raises:
            KmsError: The KMS cannot be asked.
        """
        return self._store.find_named(kms_key, scope)

    def make_first(self, zone: Name, source: KskSource, *, is_csk: bool) -> Sequence[StoredKey]:
        """Make the keys that a zone without any begins with; those that a crash has left are taken.

        Raises:
            KeyUnusable: The KMS key named cannot be a KSK.
            KmsError: The KMS is sealed or cannot write.
        """
        self._store.ensure(zone, source.key_type, source.kms_key, is_csk=is_csk)
        return self.list_keys(zone)

    def make_lacking_zsks(self, zone: Name) -> Sequence[StoredKey]:
        """Make a ZSK for each algorithm of a KSK that has none; gives all keys.

        Raises:
            KmsError: The KMS is sealed or cannot write.
        """
        self._store.make_lacking_zsks(zone)
        return self.list_keys(zone)

    def name_keys(self, names: Mapping[str, str | None]) -> None:
        """Give keys the names of the timetable that takes them over.

        Args:
            names: Identity to name; None for one that it does not know any more.
        """
        table = zone_signing_keys
        with self._engine.begin() as connection:
            for identity, name in names.items():
                connection.execute(update(table).where(table.c.id == identity).values(timetable_name=name))

    def make(self, zone: Name, name: str, role: KeyRole, algorithm: int, source: KskSource) -> None:
        """Make a key, unless that was done before a crash.

        Raises:
            KeyUnusable: No KMS key can be had for it.
            KmsError: The KMS is sealed or cannot write.
        """
        rows = self._store.read_rows(zone, (ACTIVE, OUTGOING, INCOMING, RETIRED))
        if any(row.timetable_name == name and row.state != RETIRED for row in rows):
            return
        others = [read_dnskey(row) for row in rows]
        if role is KeyRole.ZSK:
            self._store.make_zsk(zone, algorithm, others, timetable_name=name)
            return
        used = {(str(row.kms_key_identity), int(row.kms_key_version)) for row in rows if row.kms_key_identity}
        if source.kms_key is not None:
            key = self._find_version(self._store.take_key(source.kms_key, source.scope), used, others)
        elif source.is_new_version and (present := self._find_present(rows, algorithm)) is not None:
            key = self._find_version(present, used, others)
        else:
            identities = {identity for identity, _ in used}
            key = self._store.provide_key(
                zone,
                _find_key_type(algorithm, source.key_type),
                lambda key: key.identity not in identities and not self._has_clash(key, others),
                source.scope,
            )
        self._store.store_kms_key(zone, role.value, key, timetable_name=name, state=source.state)

    def _find_present(self, rows: Sequence[Row[tuple[object, ...]]], algorithm: int) -> Key | None:
        """Give the newest KMS key of the zone that is in use and of an algorithm."""
        for row in reversed(rows):
            if row.kms_key_identity is not None and row.state != RETIRED and row.algorithm == algorithm:
                key = self._kms.get_key(self._store.find_scope(row), KeyIdentity(row.kms_key_identity))
                return key if key.status is KeyStatus.ACTIVE else None
        return None

    def _find_version(self, key: Key, used: Collection[tuple[str, int]], others: Sequence[DnsKey]) -> Key:
        """Give a key whose newest version is new to the zone: one that is there already, or one more."""
        for _ in range(_MOST_ROTATIONS):
            if (key.identity, key.latest_version) not in used and not self._has_clash(key, others):
                return key
            key = self._kms.rotate(key.scope, key.identity, by=BY)
        raise KeyUnusable(
            f"the KMS key {key.name!r} got {_MOST_ROTATIONS} new versions without a free key tag"
        )

    def _has_clash(self, key: Key, others: Sequence[DnsKey]) -> bool:
        dnskey = self._store.read_newest_version(key)
        return any(clashes(dnskey, other) for other in others)

    def forget(self, zone: Name, key: StoredKey) -> None:
        """Give a key up: a ZSK is destroyed; a key of the KMS stays there and is only not used any more.

        The other keys of the zone are loaded again when they are needed.
        """
        table = zone_signing_keys
        with self._engine.begin() as connection:
            connection.execute(
                update(table).where(table.c.id == key.identity).values(state=RETIRED, wrapped=None)
            )
        self.forget_zone_loaded(zone)

    def forget_zone_loaded(self, zone: Name) -> None:
        """Drop the keys of a zone from memory: one of them is given up, or the zone is served no more."""
        self._store.forget_zone_loaded(zone)
        with self._lock:
            self._loaded.pop(zone, None)
            self._drops += 1

    def find_usable(self, zone: Name) -> frozenset[str]:
        """Give the names of the keys that exist and can sign.

        Raises:
            KmsError: That cannot be said now.
        """
        usable: set[str] = set()
        for row in self._store.read_rows(zone):
            if row.timetable_name is None:
                continue
            if row.kms_key_identity is not None:
                try:
                    key = self._kms.get_key(self._store.find_scope(row), KeyIdentity(row.kms_key_identity))
                except KeyUnknown:
                    continue
                versions = {version.version for version in key.versions}
                if key.status is not KeyStatus.ACTIVE or row.kms_key_version not in versions:
                    continue
            elif row.wrapped is None:
                continue
            usable.add(str(row.timetable_name))
        return frozenset(usable)

    def load(
        self, zone: Name, wanted: Arrangement, trusted: Sequence[str], identity: str | None = None
    ) -> ZoneKeys:
        """Give the keys of a zone as its timetable wants them used.

        Args:
            zone: The apex.
            wanted: Which key does what.
            trusted: Names of the keys that the parent may have DS records of.
            identity: Of the zone, if it is one of the API: another of its name has other keys.

        Raises:
            KeyUnusable: A key is missing.
            KmsError: The KMS is sealed, or does not know a key.
            WrongPrivateKey: What is stored was tampered with.
        """
        looks = wanted, tuple(trusted), identity
        with self._lock:
            known, drops = self._loaded.get(zone), self._drops
        if known is not None and known[0] == looks:
            return known[1]
        keys = self._load(zone, wanted, trusted)
        with self._lock:
            if drops == self._drops:  # else they may be among what was dropped meanwhile
                self._loaded[zone] = looks, keys
        return keys

    def _load(self, zone: Name, wanted: Arrangement, trusted: Sequence[str]) -> ZoneKeys:
        rows = {str(row.timetable_name): row for row in self._store.read_rows(zone) if row.timetable_name}
        named = {name: read_dnskey(row) for name, row in rows.items()}
        missing = sorted({*wanted.published, *wanted.signing, *trusted} - rows.keys())
        if missing:
            raise KeyUnusable(f"the key {missing[0]} is not in the database; put back the newest copy of it")

        def select(names: Collection[str]) -> tuple[DnsKey, ...]:
            return tuple(dnskey for name, dnskey in named.items() if name in names)

        signers_of_keys = [
            name for name in named if name in wanted.published and KeyRole(rows[name].role).signs_keys
        ]
        key_set = KeySet(
            select(wanted.published),
            select(signers_of_keys),
            select(wanted.signing),
            former_zsks=select(wanted.former),
            announced=select(wanted.cds),
        )
        if any(KeyRole(rows[name].role) is KeyRole.CSK for name in wanted.signing):
            warn_of_csk(zone)
        at_work = [name for name in named if name in signers_of_keys or name in wanted.signing]
        # A CSK and a KSK may be versions of one KMS key, which may sign data as what was loaded last.
        at_work.sort(key=lambda name: KeyRole(rows[name].role) is KeyRole.CSK)
        keys = ZoneKeys(
            key_set,
            [self._store.load_signing_key(zone, rows[name]) for name in at_work],
            tuple(ds for key in select(trusted) for ds in make_ds_set(zone, key)),
            {named[name].key_tag: str(rows[name].kms_key_identity) for name in signers_of_keys},
            Denial(wanted.denial),
        )
        return keys.ask_removal() if wanted.has_cds_delete else keys

    def forget_loaded(self) -> None:
        """Drop all keys from memory, as sealing asks for."""
        with self._lock:
            self._loaded.clear()
            self._drops += 1


def _find_key_type(algorithm: int, preferred: KeyType) -> KeyType:
    """Give a key type of an algorithm: the preferred one, if it is of that algorithm."""
    if KEY_TYPE_ALGORITHMS.get(preferred.value) == algorithm:
        return preferred
    return next(KeyType(name) for name, number in KEY_TYPE_ALGORITHMS.items() if number == algorithm)
