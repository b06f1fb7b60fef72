"""The keys of the zones: made when a zone has none, kept in the database, loaded for signing."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine, Row, insert, select

from signerd.clock import Clock
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey, SigningKey, clashes
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import Denial
from signerd.signer.signing_keys import (
    KmsSigningKey,
    LocalSigningKey,
    encode_private_key,
    generate_private_key,
    read_private_key,
    read_public_half,
)
from signerd.signer.zone_kms_key import VIA, NoUsableZoneKey, provide_zone_key
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import zone_signing_keys
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyUnknown
from signerd_kms.identity import new_identity
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.zone_signing import MAX_RRSETS

logger = logging.getLogger(__name__)

KSK_FLAGS = 257
ZSK_FLAGS = 256
BY = Attribution(None, via=VIA)  # in the KMS's audit entries: a background job
ZSK_PURPOSE = "dnssec-zsk"
ACTIVE = "active"
RETIRED = "retired"
OUTGOING = "outgoing"  # of a KSK: signs until the parent points to it no more, but asks for no DS
INCOMING = "incoming"  # of a KSK: its DS is not to be given to the parent yet
POINTED_TO = ("ksk", "csk")  # roles of keys in the KMS, which the parent's DS is for
SIGNING_DATA = ("zsk", "csk")
_MOST_TRIES = 100  # at a key tag that is free: each fails with a probability below one in a thousand


class KeyUnusable(Exception):
    """The KMS key that is to be a zone's KSK cannot be; the message says why."""

    code = "signer.key_unusable"


@dataclass(frozen=True, slots=True)
class ZoneKeys:
    """The keys of one zone, ready to sign.

    Attributes:
        key_set: What goes into the DNSKEY RRset.
        signing_keys: One for each key that signs.
        ds: DS RDATA of the KSKs.
        kms_keys: Key tag of a KSK to the identity of its KMS key.
        denial: How absence is proved, as the timetable says; None if the policy alone does.
    """

    key_set: KeySet
    signing_keys: Sequence[SigningKey]
    ds: tuple[bytes, ...]
    kms_keys: dict[int, str]
    denial: Denial | None = None

    @property
    def unpublished(self) -> tuple[bytes, ...]:
        """DNSKEY RDATA of keys that sign and are not published."""
        return tuple(key.rdata for key in self.key_set.unpublished)

    def ask_removal(self) -> "ZoneKeys":
        """Give the same keys in a zone that asks its parent to remove all DS records; the KMS allows that."""
        signing_keys = [
            KmsSigningKey(key.dnskey, replace(key.signer, allows_removal=True))
            if isinstance(key, KmsSigningKey) and isinstance(key.signer, _KmsSign)
            else key
            for key in self.signing_keys
        ]
        key_set = replace(self.key_set, announced=(), asks_removal=True)
        return replace(self, key_set=key_set, signing_keys=signing_keys)

    def announce_as(self, published: Zone | None) -> "ZoneKeys":
        """Give the same keys in a zone that announces those of them that a version announces.

        What may be at the parent is neither joined by a key that a cache lacks nor dropped for it.
        """
        before = _list_apex(published, rt.CDNSKEY)
        announced = tuple(key for key in self.key_set.ksks if key.rdata in before)
        return replace(self, key_set=replace(self.key_set, announced=announced))


class ZoneKeyStore:
    """Keys of the zones of one organisation and region. Safe to call from several threads."""

    def __init__(self, engine: Engine, kms: Kms, scope: Scope, clock: Clock) -> None:
        self._engine = engine
        self._kms = kms
        self._scope = scope
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: dict[Name, ZoneKeys] = {}

    def make_lacking_zsks(self, zone: Name) -> None:
        """Make a ZSK for each algorithm of a KSK that nothing signs data with (RFC 4035, section 2.2).

        Raises:
            KmsError: The KMS is sealed or cannot write.
        """
        with self._lock:
            rows = self.read_rows(zone)
            algorithms = {row.algorithm for row in rows if row.role in POINTED_TO}
            lacking = algorithms - {row.algorithm for row in rows if row.role in SIGNING_DATA}
            for algorithm in sorted(lacking):
                self.make_zsk(zone, algorithm, [read_dnskey(row) for row in rows])

    def ensure(self, zone: Name, key_type: KeyType, kms_key: str | None, *, is_csk: bool = False) -> ZoneKeys:
        """Give the keys of a zone; make those that it does not have yet.

        A zone that has keys keeps them, whatever is asked for now: another KSK without its DS at the parent
        would make the zone bogus.

        Args:
            zone: The apex.
            key_type: Of a new KSK; the ZSK has the same algorithm.
            kms_key: Identity or name of the KMS key to take as KSK; None has one made, named `DNSSEC <zone>`.
            is_csk: A new KSK shall sign everything, so that the zone has no ZSK.

        Raises:
            KeyUnusable: The KMS key named is unknown, not active, or of a type that cannot sign zones.
            KmsError: The KMS is sealed or cannot write.
            WrongPrivateKey: What is stored was tampered with.
        """
        with self._lock:
            loaded = self._loaded.get(zone)
            if loaded is None:
                loaded = self._loaded[zone] = self._load_or_make(zone, key_type, kms_key, is_csk=is_csk)
            return loaded

    def has_ksk(self, zone: Name) -> bool:
        """Say if the zone has a KSK already, so that none would be made."""
        with self._lock:
            return zone in self._loaded or any(row.role in POINTED_TO for row in self.read_rows(zone))

    def forget_loaded(self) -> None:
        """Drop all keys from memory, as sealing asks for."""
        with self._lock:
            self._loaded.clear()

    def forget_zone_loaded(self, zone: Name) -> None:
        """Drop the keys of a zone from memory: one of them is given up, or the zone is served no more."""
        with self._lock:
            self._loaded.pop(zone, None)

    def _load_or_make(self, zone: Name, key_type: KeyType, kms_key: str | None, *, is_csk: bool) -> ZoneKeys:
        rows = self.read_rows(zone)
        ksk_rows = [row for row in rows if row.role in POINTED_TO]
        if not ksk_rows:
            self._make_ksk(zone, key_type, kms_key, "csk" if is_csk else "ksk")
        return self._load_rows(zone, self.read_rows(zone))

    def _load_rows(self, zone: Name, rows: Sequence[Row[tuple[object, ...]]]) -> ZoneKeys:
        """Load what the rows say; each algorithm that nothing signs data with gets a ZSK (RFC 4035, 2.2)."""
        ksk_rows = [row for row in rows if row.role in POINTED_TO]
        ksks = [read_dnskey(row) for row in ksk_rows]
        algorithms = {key.algorithm for key in ksks}
        lacking = algorithms - {row.algorithm for row in rows if row.role in SIGNING_DATA}
        for algorithm in sorted(lacking):
            self.make_zsk(zone, algorithm, [read_dnskey(row) for row in rows])
        if lacking:
            rows = self.read_rows(zone)
        zsk_rows = [row for row in rows if row.role == "zsk" and row.algorithm in algorithms]
        signing_keys = [self.load_signing_key(zone, row) for row in ksk_rows]
        zsks = [read_dnskey(row) for row in zsk_rows]
        signing_keys += [self.load_signing_key(zone, row) for row in zsk_rows]
        csks = [key for key, row in zip(ksks, ksk_rows, strict=True) if row.role == "csk"]
        if csks:
            warn_of_csk(zone)
        announced = [key for key, row in zip(ksks, ksk_rows, strict=True) if row.state == ACTIVE]
        return ZoneKeys(
            KeySet((*ksks, *zsks), tuple(ksks), (*csks, *zsks), announced=tuple(announced)),
            signing_keys,
            tuple(ds for key in ksks for ds in make_ds_set(zone, key)),
            {key.key_tag: row.kms_key_identity for key, row in zip(ksks, ksk_rows, strict=True)},
        )

    def load_signing_key(self, zone: Name, row: Row[tuple[object, ...]]) -> SigningKey:
        """Give what signs with the key of a row; a key of the KMS is bound to the zone by that.

        Raises:
            KmsError: The KMS is sealed, or does not know the key.
            WrongPrivateKey: What is stored was tampered with.
        """
        dnskey = read_dnskey(row)
        if row.kms_key_identity is None:
            return self._load_zsk(zone, dnskey, row)
        scope = self.find_scope(row)
        identity = KeyIdentity(str(row.kms_key_identity))
        self._kms.bind_zone(scope, identity, zone, by=BY, signs_data=row.role == "csk")
        return KmsSigningKey(dnskey, self._make_kms_signer(zone, dnskey, row, scope))

    def find_scope(self, row: Row[tuple[object, ...]]) -> Scope:
        """Say where the KMS key of a row lives."""
        if row.kms_organisation is None:
            return self._scope
        return Scope(row.kms_organisation, row.kms_region, row.kms_project)

    def read_rows(
        self, zone: Name, states: Collection[str] = (ACTIVE, OUTGOING, INCOMING)
    ) -> Sequence[Row[tuple[object, ...]]]:
        """Read the rows of the keys that a zone has, oldest first."""
        table = zone_signing_keys
        query = (
            select(table)
            .where(table.c.zone == format_name(zone), table.c.state.in_(tuple(states)))
            .order_by(table.c.created_at, table.c.id)
        )
        with connect_to_read(self._engine) as connection:
            return connection.execute(query).all()

    # KSK

    def _make_ksk(self, zone: Name, key_type: KeyType, kms_key: str | None, role: str) -> None:
        key = self.provide_key(zone, key_type) if kms_key is None else self.take_key(kms_key)
        self.store_kms_key(zone, role, key)

    def read_newest_version(self, key: Key) -> DnsKey:
        """Give the DNSKEY of the newest version of a KMS key."""
        spki = self._kms.public_key(key.scope, key.identity, key.latest_version)
        return DnsKey.from_spki(spki, KSK_FLAGS)

    def store_kms_key(
        self, zone: Name, role: str, key: Key, *, timetable_name: str | None = None, state: str = ACTIVE
    ) -> None:
        """Make the newest version of a KMS key a key of a zone."""
        dnskey = self.read_newest_version(key)
        self._store(
            zone,
            role,
            dnskey,
            kms_key=key,
            wrapped=None,
            timetable_name=timetable_name,
            state=state,
        )
        logger.info(
            "zone %s: %s %d is the KMS key %s, version %d",
            _format_zone(zone),
            role.upper(),
            dnskey.key_tag,
            key.identity,
            key.latest_version,
        )

    def find_named(self, kms_key: str, scope: Scope | None = None) -> Key | None:
        """Find a key by identity or name: of the deployment, or of another scope."""
        scope = scope or self._scope
        try:
            return self._kms.get_key(scope, KeyIdentity(kms_key))
        except KeyUnknown:
            return self._kms.find_key(scope, kms_key)

    def take_key(self, kms_key: str, scope: Scope | None = None) -> Key:
        """Give a KMS key that can be a KSK, by identity or name.

        Raises:
            KeyUnusable: There is none.
        """
        key = self.find_named(kms_key, scope)
        if key is None:
            raise KeyUnusable(f"there is no KMS key {kms_key!r}")
        if key.status is not KeyStatus.ACTIVE:
            raise KeyUnusable(f"the KMS key {kms_key!r} is {key.status.value}")
        if key.key_type.value not in KEY_TYPE_ALGORITHMS:
            raise KeyUnusable(f"a KMS key of type {key.key_type.value} cannot sign zones")
        return key

    def provide_key(
        self,
        zone: Name,
        key_type: KeyType,
        is_free: Callable[[Key], bool] = lambda key: True,
        scope: Scope | None = None,
    ) -> Key:
        """Find or make the zone's own key; unusable ones of its name are passed over, and those not free.

        Args:
            zone: The apex.
            key_type: What it must be.
            is_free: Says if a key can be taken.
            scope: Where it is to be; None for the place of the deployment's keys.

        Raises:
            KeyUnusable: A great many are.
        """
        try:
            return provide_zone_key(
                self._kms, scope or self._scope, _format_zone(zone), key_type, BY, is_free
            )
        except NoUsableZoneKey as error:
            raise KeyUnusable(str(error)) from error

    def _make_kms_signer(
        self, zone: Name, dnskey: DnsKey, row: Row[tuple[object, ...]], scope: Scope
    ) -> "_KmsSign":
        return _KmsSign(
            self._kms,
            scope,
            KeyIdentity(str(row.kms_key_identity)),
            int(row.kms_key_version),
            {"zone": _format_zone(zone), "keyTag": str(dnskey.key_tag)},
        )

    # ZSK

    def make_zsk(
        self, zone: Name, algorithm: int, others: Sequence[DnsKey], *, timetable_name: str | None = None
    ) -> None:
        """Make a ZSK whose key tag none of the other keys has."""
        for _ in range(_MOST_TRIES):
            private_key = generate_private_key(algorithm)
            dnskey = read_public_half(private_key, ZSK_FLAGS)
            if not any(clashes(dnskey, other) for other in others):
                break
        else:
            raise KeyUnusable(f"no key tag is free in zone {_format_zone(zone)}")
        identity = new_identity("zsk")
        wrapped = self._kms.wrap_service_key(
            self._scope,
            ZSK_PURPOSE,
            identity,
            encode_private_key(private_key),
            bound=(zone, dnskey.rdata),
        )
        self._store(
            zone, "zsk", dnskey, identity=identity, wrapped=wrapped.octets, timetable_name=timetable_name
        )
        logger.info("zone %s: new ZSK %d", _format_zone(zone), dnskey.key_tag)

    def _load_zsk(self, zone: Name, dnskey: DnsKey, row: Row[tuple[object, ...]]) -> LocalSigningKey:
        with self._kms.unwrap_service_key(
            self._scope, ZSK_PURPOSE, str(row.id), bytes(row.wrapped), bound=(zone, dnskey.rdata)
        ) as live:
            return read_private_key(live.octets, dnskey)

    def _store(
        self,
        zone: Name,
        role: str,
        dnskey: DnsKey,
        *,
        wrapped: bytes | None,
        identity: str | None = None,
        kms_key: Key | None = None,
        timetable_name: str | None = None,
        state: str = ACTIVE,
    ) -> None:
        is_elsewhere = kms_key is not None and kms_key.scope != self._scope
        with self._engine.begin() as connection:
            connection.execute(
                insert(zone_signing_keys).values(
                    id=identity or new_identity("ksk"),
                    zone=format_name(zone),
                    role=role,
                    flags=dnskey.flags,
                    algorithm=dnskey.algorithm,
                    public_key=dnskey.public_key,
                    key_tag=dnskey.key_tag,
                    kms_key_identity=None if kms_key is None else kms_key.identity,
                    kms_key_version=None if kms_key is None else kms_key.latest_version,
                    kms_organisation=kms_key.scope.organisation if kms_key and is_elsewhere else None,
                    kms_region=kms_key.scope.region if kms_key and is_elsewhere else None,
                    kms_project=kms_key.scope.project if kms_key and is_elsewhere else None,
                    wrapped=wrapped,
                    timetable_name=timetable_name,
                    state=state,
                    created_at=self._clock.now(),
                )
            )


@dataclass(frozen=True, slots=True)
class _KmsSign:
    """Signs with one version of one KMS key."""

    kms: Kms
    scope: Scope
    identity: KeyIdentity
    version: int
    context: dict[str, str]
    allows_removal: bool = False

    def sign_statement(self, data: bytes, /) -> bytes:
        return self.kms.sign_zone_statement(
            self.scope,
            self.identity,
            self.version,
            data,
            by=BY,
            context=self.context,
            allows_removal=self.allows_removal,
        )

    def sign_rrsets(self, messages: Sequence[bytes], /) -> list[bytes]:
        made: list[bytes] = []
        for start in range(0, len(messages), MAX_RRSETS):
            part = messages[start : start + MAX_RRSETS]
            made += self.kms.sign_zone_rrsets(
                self.scope, self.identity, self.version, part, by=BY, context=self.context
            )
        return made


def _list_apex(zone: Zone | None, rdatatype: int) -> frozenset[bytes]:
    rrset = None if zone is None else zone.names[zone.origin].get(rdatatype)
    return frozenset[bytes]() if rrset is None else frozenset(rrset.rdatas)


def warn_of_csk(zone: Name) -> None:
    """Say what a CSK means, each time that one is loaded."""
    logger.warning(
        "zone %s: every RRset goes through the KMS, as the zone has a CSK: signing takes longer, and "
        "nothing is signed while the KMS is sealed",
        _format_zone(zone),
    )


def read_dnskey(row: Row[tuple[object, ...]]) -> DnsKey:
    """Give the DNSKEY of a row."""
    return DnsKey(row.flags, row.algorithm, row.public_key)


def _format_zone(zone: Name) -> str:
    text = format_name(zone)
    return text if text == "." else text[:-1]
