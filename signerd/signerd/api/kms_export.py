"""`/v1/kms/{region}/keys/{key}/export` and `export-approvals`."""

import logging
from typing import Final

from signerd.api.call import Call
from signerd.api.errors import InvalidBody
from signerd.api.kms_backend import OpenKms, find_key, find_place, read_version
from signerd.api.kms_keys import GATES, ONE
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.platform.membership import find_membership
from signerd.platform.principal import PrincipalKind
from signerd.platform.rights import KMS_KEY

logger = logging.getLogger(__name__)

DEFAULT_SECONDS: Final = 3600
APPROVE: Final = "approveExport"
STATUSES: Final = (400, 401, 403, 404, 503)


class ExportRequest(WireModel):
    """Which version; the newest if it is missing."""

    key_version: str | None = None


class ExportBody(WireModel):
    """Base64 of a symmetric or HMAC key, or PKCS#8 as PEM."""

    key_material: str
    key_version: str


class ApprovalRequest(WireModel):
    """Who may export the key, once."""

    user_identity: str
    expires_in_seconds: int | None = None


class ApprovalBody(WireModel):
    """An approval; it is gone when it was used."""

    key_identity: str
    user_identity: str
    approved_by: str
    expires_at: str


class _ExportCalls:
    def __init__(self, open_kms: OpenKms) -> None:
        self._open = open_kms

    def export(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "export")
        version = read_version(call.read(ExportRequest).key_version)
        made = place.kms.export(
            place.scope,
            key.identity,
            by=call.attribution,
            version=version,
            needs_approval=place.backend.needs_export_approval,
        )
        # the audit has it too, but nobody reads that all day
        told = f"key {key.identity} version {made.version} was exported by {call.principal.actor}"
        logger.warning("%s", told)
        place.backend.note_event("kms.key_exported", told)
        return Reply(body={"keyMaterial": made.text, "keyVersion": str(made.version)})

    def approve(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, APPROVE)
        request = call.read(ApprovalRequest)
        with place.backend.store.read() as connection:
            member = find_membership(connection, place.scope.organisation, request.user_identity)
        if member is None:
            raise InvalidBody("userIdentity: is no member of the organisation")
        seconds = DEFAULT_SECONDS if request.expires_in_seconds is None else request.expires_in_seconds
        made = place.kms.approve_export(
            place.scope,
            key.identity,
            f"{PrincipalKind.USER.value}:{request.user_identity}",
            seconds,
            by=call.attribution,
        )
        told = f"the export of key {key.identity} by {made.actor} is approved by {made.approved_by}"
        logger.warning("%s", told)
        place.backend.note_event("kms.export_approved", told)
        return Reply(
            201,
            {
                "keyIdentity": key.identity,
                "userIdentity": request.user_identity,
                "approvedBy": call.principal.identity,
                "expiresAt": format_time(made.expires_at),
            },
        )


def list_export_endpoints(open_kms: OpenKms) -> list[Endpoint]:
    """Give the calls."""
    calls = _ExportCalls(open_kms)
    return [
        Endpoint(
            "POST",
            f"{ONE}/export",
            calls.export,
            "kms:Export",
            "Give key material out",
            gates=GATES,
            resource_type=KMS_KEY,
            request=ExportRequest,
            response=ExportBody,
            statuses=(200, *STATUSES),
            is_expensive=True,
        ),
        Endpoint(
            "POST",
            f"{ONE}/export-approvals",
            calls.approve,
            "kms:ApproveExport",
            "Let another person export the key once (extension)",
            gates=GATES,
            resource_type=KMS_KEY,
            request=ApprovalRequest,
            response=ApprovalBody,
            statuses=(201, *STATUSES),
        ),
    ]
