"""DNSSEC of a zone of a file as the API shows it; what it is, its policy says."""

from signerd.api.dnssec_views import (
    DelegationBody,
    DnssecBody,
    describe_error,
    format_ds,
    render_ds,
    render_ignored,
    render_server,
)
from signerd.api.reply import JsonValue
from signerd.api.timestamp import format_optional_time
from signerd.dns_zones.publisher import FileZone
from signerd.zone_dnssec.file_zone_status import FileZoneStatus
from signerd.zone_dnssec.settings import SignError


def render_file_status(file: FileZone, status: FileZoneStatus | None) -> dict[str, JsonValue]:
    """Give the body.

    Args:
        file: The zone.
        status: How it stands; None if it has no keys.
    """
    failure = None if file.failure is None else describe_error(SignError(*file.failure, None))
    if status is None:
        return DnssecBody(enabled=False, ds_delegated=False, last_sign_error=failure).render()
    is_enabled = status.is_enabled
    if not is_enabled and not status.is_signed:
        return DnssecBody(enabled=False, ds_delegated=False).render()
    records = [body for key in status.ds_keys for body in render_ds(file.apex, key)]
    return DnssecBody(
        enabled=is_enabled,
        ds_delegated=status.delegation.is_delegated,
        ds_records=records if is_enabled else None,
        last_signed_at=format_optional_time(status.last_signed_at) if is_enabled else None,
        last_sign_error=failure,
        next_ds_probe_at=format_optional_time(status.next_probe_at),
        kms_key_identity=status.kms_key if is_enabled else None,
        region=status.region if is_enabled else None,
        still_signed=None if is_enabled else True,
        outgoing_key_tags=list(status.outgoing_tags) or None,
        delegation=_render_delegation(status),
    ).render()


def _render_delegation(status: FileZoneStatus) -> DelegationBody:
    state = status.delegation
    return DelegationBody(
        servers=[render_server(answer) for answer in status.view.answers],
        ignored_servers=[render_ignored(server) for server in status.ignored] or None,
        ds_to_add=[format_ds(rdata) for rdata in state.to_add],
        ds_not_before=format_optional_time(status.ds_not_before),
        key_published=status.is_key_published,
        ds_to_remove=[format_ds(rdata) for rdata in state.to_remove],
        alarms=[str(alarm) for alarm in state.alarms],
        problem=status.view.problem,
    )
