"""DNSSEC of a zone as the API shows it."""

import base64
from typing import Final

from signerd.api.reply import JsonValue
from signerd.api.timestamp import format_optional_time, format_time
from signerd.api.wire import WireModel
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dnssec.ds import DIGEST_NAMES, make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.zone_dnssec.ignored_servers import IgnoredServer
from signerd.zone_dnssec.management import DnssecStatus
from signerd.zone_dnssec.settings import ACTIVE, OUTGOING, DnssecSetting, DnssecState, SignError, ZonePlace

_KEY_ROLE: Final = "KSK"


class DsRecordBody(WireModel):
    """A DS record for the parent."""

    record: str
    digest_type_name: str
    key_tag: int
    algorithm: int
    key_role: str
    public_key: str


class ParentServerBody(WireModel):
    """What one name server of the parent said (extension)."""

    server: str
    answered_at: str
    ds_records: list[str] | None = None
    ttl: int | None = None
    error: str | None = None
    ignored: bool | None = None


class IgnoredServerBody(WireModel):
    """A name server of the parent that nobody waits for (extension)."""

    server: str
    since: str
    until: str
    actor: str | None = None


class DelegationBody(WireModel):
    """What the parent has, and what it should have (extension).

    The DS in `dsToAdd` may be at the parent from `dsNotBefore` on; while `keyPublished` is false, no version
    in service has the key.
    """

    servers: list[ParentServerBody]
    ignored_servers: list[IgnoredServerBody] | None = None
    ds_to_add: list[str]
    ds_not_before: str | None = None
    key_published: bool | None = None
    ds_to_remove: list[str]
    alarms: list[str]
    problem: str | None = None
    old_keys_leave_at: str | None = None
    unsigned_at: str | None = None


class DnssecBody(WireModel):
    """How DNSSEC of a zone stands."""

    enabled: bool
    ds_delegated: bool
    ds_records: list[DsRecordBody] | None = None
    last_signed_at: str | None = None
    last_sign_error: str | None = None
    next_ds_probe_at: str | None = None
    kms_key_identity: str | None = None
    region: str | None = None
    still_signed: bool | None = None  # extension: turned off, but signed until no cache can have a DS
    outgoing_key_tags: list[int] | None = None  # extension: of a key change under way
    delegation: DelegationBody | None = None


def render_status(zone: ZonePlace, status: DnssecStatus) -> dict[str, JsonValue]:
    """Give the body."""
    setting = status.setting
    if setting is None or setting.state is DnssecState.OFF:
        return DnssecBody(enabled=False, ds_delegated=False).render()
    is_enabled = setting.state.is_enabled
    current = [key.dnskey for key in status.keys if key.state == ACTIVE]
    outgoing = [key.dnskey.key_tag for key in status.keys if key.state == OUTGOING]
    error = status.sign_error
    return DnssecBody(
        enabled=is_enabled,
        ds_delegated=setting.is_delegated,
        ds_records=[body for key in current for body in render_ds(zone.apex, key)] if is_enabled else None,
        last_signed_at=format_optional_time(setting.last_signed_at) if is_enabled else None,
        last_sign_error=describe_error(error) if error else None,
        next_ds_probe_at=format_optional_time(setting.next_probe_at),
        kms_key_identity=setting.kms_key if is_enabled else None,
        region=setting.region_text if is_enabled else None,
        still_signed=True if setting.state is DnssecState.UNSIGNING else None,
        outgoing_key_tags=outgoing or None,
        delegation=_render_delegation(setting, status),
    ).render()


def describe_error(error: SignError) -> str:
    """Say what failed, since when, and until when signatures hold."""
    text = f"{error.reason}; since {format_time(error.since)}"
    if error.signatures_until is not None:
        text += f"; the signatures in service hold until {format_time(error.signatures_until)}"
    return text


def format_ds(rdata: bytes) -> str:
    """Print DS RDATA: `<key tag> <algorithm> <digest type> <lower-case hex>`."""
    return f"{int.from_bytes(rdata[:2])} {rdata[2]} {rdata[3]} {rdata[4:].hex()}"


def render_ds(apex: Name, key: DnsKey) -> list[DsRecordBody]:
    """Give the DS records of a key."""
    return [
        DsRecordBody(
            record=format_ds(rdata),
            digest_type_name=DIGEST_NAMES[rdata[3]],
            key_tag=key.key_tag,
            algorithm=key.algorithm,
            key_role=_KEY_ROLE,
            public_key=base64.b64encode(key.public_key).decode(),
        )
        for rdata in make_ds_set(apex, key)
    ]


def _render_delegation(setting: DnssecSetting, status: DnssecStatus) -> DelegationBody | None:
    state = status.delegation
    if state is None:
        return None
    is_enabled = setting.state.is_enabled
    is_awaited = bool(state.to_add) and setting.state is DnssecState.SIGNED
    return DelegationBody(
        servers=[render_server(answer) for answer in setting.view.answers],
        ignored_servers=[render_ignored(server) for server in status.ignored] or None,
        ds_to_add=[format_ds(rdata) for rdata in state.to_add],
        ds_not_before=format_optional_time(setting.ds_not_before) if is_awaited else None,
        key_published=setting.ds_not_before is not None if is_awaited else None,
        ds_to_remove=[format_ds(rdata) for rdata in state.to_remove],
        alarms=[str(alarm) for alarm in state.alarms],
        problem=setting.view.problem,
        old_keys_leave_at=format_optional_time(setting.settles_at) if is_enabled else None,
        unsigned_at=None if is_enabled else format_optional_time(setting.settles_at),
    )


def render_server(answer: ServerAnswer) -> ParentServerBody:
    """Give what a server said."""
    return ParentServerBody(
        server=answer.server,
        answered_at=format_time(answer.at),
        ds_records=None if answer.ds is None else [format_ds(rdata) for rdata in sorted(answer.ds)],
        ttl=answer.ttl if answer.ds else None,
        error=answer.error,
        ignored=answer.is_ignored or None,
    )


def render_ignored(server: IgnoredServer) -> IgnoredServerBody:
    """Give a server that is ignored."""
    return IgnoredServerBody(
        server=server.server,
        since=format_time(server.since),
        until=format_time(server.until),
        actor=server.actor,
    )
