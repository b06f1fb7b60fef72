"""Signing the RRsets of a zone, under the policy of the key that signs: its key sets, and all if it may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sqlalchemy import Connection, select

from signerd_kms import key_rows, request, signature
from signerd_kms.attribution import Attribution
from signerd_kms.custodian import Custodian
from signerd_kms.errors import InvalidRequest, KeyVersionNotUsable, OperationUnsupported
from signerd_kms.hash_name import HashName
from signerd_kms.key import NO_TEXTS, Key, KeyIdentity, KeyType, Operation, Scope
from signerd_kms.key_use import Done, KeyUse, OpenKey, Use
from signerd_kms.merkle import compute_root
from signerd_kms.schema import key_versions, keys, zone_bindings
from signerd_kms.signature import Marshaling, RsaPadding, SignatureForm
from signerd_kms.signing import load_private_key
from signerd_kms.state import Task
from signerd_kms.zone_rrset import PREFIX_OCTETS
from signerd_kms.zone_statement import (
    ALGORITHMS,
    StatementPolicy,
    ZoneKey,
    asks_removal,
    check_statement,
    check_zone_name,
    make_zone_key,
    name_type,
)

MAX_RRSETS = 1024  # in one call; bounds how long one caller holds a worker

_RSA = SignatureForm(HashName.SHA2_256, RsaPadding.PKCS1V15)  # RFC 5702
_FORMS: Mapping[int, SignatureForm] = {
    8: _RSA,
    13: SignatureForm(HashName.SHA2_256, marshaling=Marshaling.JWS),  # RFC 6605: r, then s
    14: SignatureForm(HashName.SHA2_384, marshaling=Marshaling.JWS),
}


@dataclass(frozen=True, slots=True)
class SignStatement(Use[bytes]):
    """Sign an RRset that was read and allowed."""

    action: ClassVar[str] = "kms.sign"
    operation: ClassVar[Operation | None] = Operation.SIGN
    octets: bytes = field(repr=False)
    version: int
    policy: StatementPolicy
    now: int
    context: Mapping[str, str]

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for."""
        del key
        return (self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give the size and what the caller says it is."""
        return {**self.context, "octets": len(self.octets)}

    def perform(self, opened: OpenKey) -> Done[bytes]:
        """Check, then sign."""
        request.check_message(self.octets)
        statement = check_statement(self.octets, self.policy, self.now)
        form = _FORMS[statement.algorithm]
        made = signature.sign(load_private_key(opened, self.version), self.octets, form)
        details: dict[str, str | int] = {
            "rrtype": name_type(statement.rdatatype),
            "records": len(statement.rdatas),
            "expiration": statement.expiration,
        }
        if asks_removal(statement):
            details["asksRemoval"] = 1  # of all DS records: the zone goes insecure
        return Done(made, self.version, details)


@dataclass(frozen=True, slots=True)
class SignRRsets(Use[list[bytes]]):
    """Sign many RRsets that were read and allowed, all or none, with one audit event that binds them all.

    The event carries their count and the root of the Merkle tree over what was signed (RFC 6962, 2.1).
    """

    action: ClassVar[str] = "kms.sign"
    operation: ClassVar[Operation | None] = Operation.SIGN
    rrsets: Sequence[bytes] = field(repr=False)
    version: int
    policy: StatementPolicy
    now: int
    context: Mapping[str, str]

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for."""
        del key
        return (self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give the count, and the root that proves which RRsets they were."""
        return {
            **self.context,
            "count": len(self.rrsets),
            "octets": sum(map(len, self.rrsets)),
            "merkleRoot": compute_root(self.rrsets).hex(),
        }

    def perform(self, opened: OpenKey) -> Done[list[bytes]]:
        """Check all, then sign all."""
        form = _FORMS[self.policy.own.algorithm]
        last = 0
        for octets in self.rrsets:
            request.check_message(octets)
            last = max(last, check_statement(octets, self.policy, self.now).expiration)
        private_key = load_private_key(opened, self.version)
        made = [signature.sign(private_key, octets, form) for octets in self.rrsets]
        return Done(made, self.version, {"expiration": last})


class ZoneSigning:
    """Binds keys to zones, and signs RRsets of those zones."""

    def __init__(self, custodian: Custodian, use: KeyUse) -> None:
        self._custodian = custodian
        self._store = custodian.store
        self._use = use

    def bind_zone(
        self,
        scope: Scope,
        identity: KeyIdentity,
        zone: bytes,
        *,
        by: Attribution,
        signs_data: bool = False,
    ) -> None:
        """Let a key sign for a zone, for as long as the key lives; audited. The last word on it counts.

        Args:
            scope: Where the key lives.
            identity: The key.
            zone: The apex, in wire form and lower case.
            by: Who asks.
            signs_data: The key signs all RRsets of the zone (it is a CSK), and not only its key sets.

        Raises:
            StatementRefused: The zone is no such name.
            KeyUnknown: None in this scope.
            OperationUnsupported: Keys of its type sign no zones.
        """
        check_zone_name(zone)
        self._custodian.require(Task.CHANGE_STATUS)
        with self._store.read() as connection:
            key = key_rows.read_key(connection, scope, identity)
            if key_rows.read_zones(connection, key).get(zone) is signs_data:
                return
        if key.key_type not in ALGORITHMS:
            raise OperationUnsupported(f"a key of type {key.key_type.value} signs no zones")
        details = {"zoneWire": zone.hex(), "signsData": "yes" if signs_data else "no"}

        def store(connection: Connection) -> None:
            before = key_rows.read_zones(connection, key_rows.read_key(connection, scope, identity)).get(zone)
            if before is signs_data:
                return
            key_rows.bind_zone(connection, key, zone, self._store.now(), signs_data=signs_data)
            self._store.record_key_event(connection, "kms.bind_zone", key, by, details=details)

        self._store.write(store)

    def list_zones(self, scope: Scope, identity: KeyIdentity) -> list[bytes]:
        """List the apexes of the zones that a key is bound to, also while sealed.

        Raises:
            KeyUnknown: None in this scope.
        """
        self._custodian.require(Task.READ)
        with self._store.read() as connection:
            return sorted(key_rows.read_zones(connection, key_rows.read_key(connection, scope, identity)))

    def sign_zone_statement(
        self,
        scope: Scope,
        identity: KeyIdentity,
        version: int,
        octets: bytes,
        *,
        by: Attribution,
        context: Mapping[str, str] = NO_TEXTS,
        allows_removal: bool = False,
    ) -> bytes:
        """Sign a DNSKEY, CDS or CDNSKEY RRset, if the policy of the key allows it.

        Args:
            scope: Where the key lives.
            identity: The key.
            version: The version to use.
            octets: What is signed: RRSIG RDATA without the signature, then the RRset in canonical form.
            by: Who asks.
            context: As for `Sign`.
            allows_removal: Whether CDS and CDNSKEY may ask the parent to remove all DS records (RFC 8078,
                section 4), because the caller knows that the zone is to go insecure.

        Returns:
            The signature, in the form of an RRSIG.

        Raises:
            StatementRefused: The policy does not allow it. The refusal is in the audit.
            KmsError: As `KeyUse.use`.
        """
        request.check_context(context)
        self._custodian.require(Task.USE)
        with self._store.read() as connection:
            policy = replace(
                _read_policy(connection, scope, identity, version, [octets]), allows_removal=allows_removal
            )
        use = SignStatement(octets, version, policy, self._store.now(), context)
        return self._use.use(scope, identity, use, by=by)

    def sign_zone_rrsets(
        self,
        scope: Scope,
        identity: KeyIdentity,
        version: int,
        rrsets: Sequence[bytes],
        *,
        by: Attribution,
        context: Mapping[str, str] = NO_TEXTS,
    ) -> list[bytes]:
        """Sign RRsets of zones, if the policy of the key allows every one; one audit event for all of them.

        Args:
            scope: Where the key lives.
            identity: The key.
            version: The version to use.
            rrsets: What is signed: of each the RRSIG RDATA without the signature, then the RRset in canonical
                form.
            by: Who asks.
            context: As for `Sign`.

        Returns:
            The signatures, in the form of an RRSIG.

        Raises:
            InvalidRequest: There are none, or too many.
            StatementRefused: The policy does not allow one of them. The refusal is in the audit.
            KmsError: As `KeyUse.use`.
        """
        if not 1 <= len(rrsets) <= MAX_RRSETS:
            raise InvalidRequest(f"a batch has 1 to {MAX_RRSETS} RRsets, not {len(rrsets)}")
        request.check_context(context)
        self._custodian.require(Task.USE)
        with self._store.read() as connection:
            policy = _read_policy(connection, scope, identity, version, rrsets)
        use = SignRRsets(rrsets, version, policy, self._store.now(), context)
        return self._use.use(scope, identity, use, by=by)


def _read_policy(
    connection: Connection,
    scope: Scope,
    identity: KeyIdentity,
    version: int,
    messages: Sequence[bytes],
) -> StatementPolicy:
    key = key_rows.read_key(connection, scope, identity)
    public_keys = {item.version: item.public_key for item in key.versions}
    if version not in public_keys:
        raise KeyVersionNotUsable(f"key {identity} has no version {version}")
    spki = public_keys[version]
    own = None if spki is None else make_zone_key(key.key_type, spki)
    if own is None:
        raise OperationUnsupported(f"a key of type {key.key_type.value} signs no zones")
    zones = key_rows.read_zones(connection, key)
    named = {zone for zone in zones if any(octets.startswith(zone, PREFIX_OCTETS) for octets in messages)}
    bound = {zone: _read_bound(connection, scope, zone) for zone in named}
    data_zones = {zone for zone, signs_data in zones.items() if signs_data}
    return StatementPolicy(zones, own, bound, data_zones=data_zones)


def _read_bound(connection: Connection, scope: Scope, zone: bytes) -> set[ZoneKey]:
    rows = connection.execute(
        select(keys.c.key_type, key_versions.c.public_key)
        .select_from(
            zone_bindings.join(
                keys,
                (keys.c.organisation == zone_bindings.c.organisation)
                & (keys.c.identity == zone_bindings.c.identity),
            ).join(
                key_versions,
                (key_versions.c.organisation == keys.c.organisation)
                & (key_versions.c.identity == keys.c.identity),
            )
        )
        .where(
            zone_bindings.c.organisation == scope.organisation,
            zone_bindings.c.zone == zone,
            key_versions.c.public_key.is_not(None),
        )
    )
    made = (make_zone_key(KeyType(row.key_type), row.public_key) for row in rows)
    return {key for key in made if key is not None}
