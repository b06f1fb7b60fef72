"""What was decided about DNSSEC for a zone, and what its parent said: one row for each zone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.delegation.delegation_state import DelegationState, Intent, ZoneDsSets, judge
from signerd.delegation.parent_view import ParentView
from signerd.delegation.view_record import read_view, write_view
from signerd.dns.name import Name, fold_case, parse_name
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.store.zone_tables import (
    dns_dnssec,
    ignored_parent_servers,
    parent_notices,
    zone_key_signatures,
    zone_signing_keys,
    zone_timetables,
)

ACTIVE: Final = "active"  # the DS of this KSK was handed out last
OUTGOING: Final = "outgoing"  # still in the zone, until the parent points to it no more
INCOMING: Final = "incoming"  # the timetable of the keys brings it; its DS is not handed out yet
RETIRED: Final = "retired"


class DnssecState(StrEnum):
    """How far DNSSEC of a zone is."""

    SIGNED = "signed"
    AWAITING = "awaiting"  # unsigned until the parent has the DS: the vendor's order
    UNSIGNING = "unsigning"  # turned off; signed on until no cache can have a DS
    OFF = "off"

    @property
    def is_enabled(self) -> bool:
        """Whether the owner wants it."""
        return self in (DnssecState.SIGNED, DnssecState.AWAITING)

    @property
    def is_served_signed(self) -> bool:
        """Whether versions of the zone are signed."""
        return self in (DnssecState.SIGNED, DnssecState.UNSIGNING)


@dataclass(frozen=True, slots=True)
class ZonePlace:
    """A zone of the API, as far as DNSSEC needs to know it.

    Attributes:
        identity: Of the zone.
        text: Its name in lower case, without trailing dot.
        organisation: Whose it is.
        project: Where it belongs; None for the organisation itself.
    """

    identity: str
    text: str
    organisation: str
    project: str | None

    @property
    def apex(self) -> Name:
        """Its name in wire form."""
        return fold_case(parse_name(f"{self.text}."))


@dataclass(frozen=True, slots=True)
class SignError:
    """Why a zone could not be signed.

    Attributes:
        reason: What failed.
        since: When it first did, epoch seconds.
        signatures_until: When the first signature of the version in service expires; None if unknown.
    """

    reason: str
    since: int
    signatures_until: int | None


@dataclass(frozen=True, slots=True)
class DnssecSetting:
    """The row of a zone. Times are epoch seconds."""

    zone: ZonePlace
    state: DnssecState
    region_text: str  # as the caller wrote it
    region: str  # identity
    kms_key: str
    requested_by: str | None
    enabled_at: int
    last_signed_at: int | None = None
    sign_error: SignError | None = None
    next_probe_at: int | None = None
    ds_not_before: int | None = None  # of the key chosen last; None: not known yet
    settles_at: int | None = None  # when old keys leave the zone, or its signatures; None: not known yet
    is_delegated: bool = False
    is_key_named: bool = True  # or else the key is the zone's own, and another one may take its place
    view: ParentView = field(default_factory=ParentView)

    @property
    def intent(self) -> Intent:
        """What the owner wants."""
        return Intent.SIGNED if self.state.is_enabled else Intent.UNSIGNED

    def judge(self, keys: Sequence["ZoneKsk"]) -> DelegationState:
        """Say what the answers of the parent mean for the zone."""
        sets = make_ds_sets(self.zone.apex, keys)
        return judge(self.view, sets, self.intent, was_delegated=self.is_delegated)


@dataclass(frozen=True, slots=True)
class ZoneKsk:
    """A KSK that a zone has or had: one version of a key of the KMS.

    Attributes:
        id: Of its row.
        state: ACTIVE, OUTGOING, INCOMING or RETIRED.
        dnskey: Its public half.
        kms_key: Identity of the key.
        kms_version: The version, which rotation of the key does not change.
        region: Identity; where the key is.
    """

    id: str
    state: str
    dnskey: DnsKey
    kms_key: str
    kms_version: int
    region: str


def make_ds_sets(zone: Name, keys: Sequence[ZoneKsk]) -> ZoneDsSets:
    """Give the DS records of the keys, by what the keys do."""

    def collect(state: str) -> tuple[bytes, ...]:
        return tuple(ds for key in keys if key.state == state for ds in make_ds_set(zone, key.dnskey))

    return ZoneDsSets(collect(ACTIVE), (*collect(OUTGOING), *collect(INCOMING)), collect(RETIRED))


def find_setting(connection: Connection, zone: ZonePlace) -> DnssecSetting | None:
    """Read the row of a zone; one of a deleted zone of the same name does not count."""
    setting = find_setting_by_name(connection, zone.text)
    return setting if setting is not None and setting.zone == zone else None


def find_setting_by_name(connection: Connection, text: str) -> DnssecSetting | None:
    """Read the row of a zone by the zone's name without trailing dot."""
    row = connection.execute(select(dns_dnssec).where(dns_dnssec.c.zone == f"{text}.")).mappings().first()
    return None if row is None else _read(row)


def list_due(connection: Connection, now: int) -> list[DnssecSetting]:
    """List the zones whose parent is to be asked, the longest due first."""
    query = select(dns_dnssec).where(dns_dnssec.c.next_probe_at <= now).order_by(dns_dnssec.c.next_probe_at)
    return [_read(row) for row in connection.execute(query).mappings()]


def read_delegations(connection: Connection) -> dict[str, bool]:
    """Say of each zone with DNSSEC, by name without trailing dot, whether its parent has its DS."""
    table = dns_dnssec
    query = select(table.c.zone, table.c.is_delegated).where(table.c.state != DnssecState.OFF.value)
    return {str(row.zone).removesuffix("."): bool(row.is_delegated) for row in connection.execute(query)}


def store_setting(connection: Connection, setting: DnssecSetting, now: int) -> None:
    """Write the row of a zone, whether or not it is there."""
    error = setting.sign_error
    values = {
        "zone_identity": setting.zone.identity,
        "organisation": setting.zone.organisation,
        "project": setting.zone.project,
        "state": setting.state.value,
        "region_text": setting.region_text,
        "region": setting.region,
        "kms_key": setting.kms_key,
        "requested_by": setting.requested_by,
        "enabled_at": setting.enabled_at,
        "last_signed_at": setting.last_signed_at,
        "sign_error": error.reason if error else None,
        "sign_error_since": error.since if error else None,
        "signatures_until": error.signatures_until if error else None,
        "next_probe_at": setting.next_probe_at,
        "ds_not_before": setting.ds_not_before,
        "settles_at": setting.settles_at,
        "is_key_named": int(setting.is_key_named),
        "is_delegated": int(setting.is_delegated),
        "parent": write_view(setting.view),
        "updated_at": now,
    }
    name = f"{setting.zone.text}."
    changed = connection.execute(update(dns_dnssec).where(dns_dnssec.c.zone == name).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(dns_dnssec).values(zone=name, **values))


def list_ksks(connection: Connection, text: str) -> list[ZoneKsk]:
    """List the KSKs that a zone has or had, the oldest first."""
    table = zone_signing_keys
    rows = connection.execute(
        select(table)
        .where(table.c.zone == f"{text}.", table.c.role.in_(("ksk", "csk")))
        .order_by(table.c.created_at, table.c.id)
    )
    return [
        ZoneKsk(
            row.id,
            row.state,
            DnsKey(row.flags, row.algorithm, row.public_key),
            row.kms_key_identity,
            row.kms_key_version,
            row.kms_region or "",
        )
        for row in rows
    ]


def find_active_ksk(connection: Connection, text: str) -> ZoneKsk | None:
    """Find the KSK whose DS was handed out last."""
    return next((key for key in list_ksks(connection, text) if key.state == ACTIVE), None)


def set_ksk_state(connection: Connection, identity: str, state: str) -> None:
    """Change what a KSK does."""
    table = zone_signing_keys
    connection.execute(update(table).where(table.c.id == identity).values(state=state))


def forget_ksk_name(connection: Connection, identity: str) -> None:
    """Have the timetable take a KSK over as one that is new to it."""
    table = zone_signing_keys
    connection.execute(update(table).where(table.c.id == identity).values(timetable_name=None))


def forget_zone(connection: Connection, text: str) -> None:
    """Drop everything about a zone that was deleted; its KMS keys stay.

    Args:
        connection: Inside the transaction that deletes the zone.
        text: The zone's name without trailing dot.
    """
    tables = (
        dns_dnssec,
        zone_signing_keys,
        zone_key_signatures,
        zone_timetables,
        ignored_parent_servers,
        parent_notices,
    )
    for table in tables:
        connection.execute(delete(table).where(table.c.zone == f"{text}."))


def _read(row: RowMapping) -> DnssecSetting:
    error = None
    if row["sign_error"] is not None:
        error = SignError(row["sign_error"], row["sign_error_since"], row["signatures_until"])
    place = ZonePlace(
        row["zone_identity"], str(row["zone"]).removesuffix("."), row["organisation"], row["project"]
    )
    return DnssecSetting(
        place,
        DnssecState(row["state"]),
        row["region_text"],
        row["region"],
        row["kms_key"],
        row["requested_by"],
        row["enabled_at"],
        row["last_signed_at"],
        error,
        row["next_probe_at"],
        row["ds_not_before"],
        row["settles_at"],
        bool(row["is_delegated"]),
        bool(row["is_key_named"]),
        read_view(row["parent"]),
    )


def note_failure(
    setting: DnssecSetting, reason: str, now: int, signatures_until: int | None
) -> DnssecSetting:
    """Give the setting after signing failed; it has failed since the first time."""
    since = now if setting.sign_error is None else setting.sign_error.since
    return replace(setting, sign_error=SignError(reason, since, signatures_until))
