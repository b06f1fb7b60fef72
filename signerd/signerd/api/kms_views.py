"""Keys as the API shows them."""

from collections.abc import Sequence

from signerd.api.reply import JsonValue, Reply
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.dns.name import Name
from signerd.platform.rights import DNS_ZONE, SECRET
from signerd.zones.zone_list import format_zone_name
from signerd_kms.ciphertext import SUITES, Suite
from signerd_kms.key import Key
from signerd_kms.nonce_budget import LIMIT


class KeyVersionBody(WireModel):
    """One version of a key.

    `reservedMessages` is how many messages it may have encrypted so far, rounded up, of `messageLimit`; both
    are there only for keys that encrypt under random nonces.
    """

    version: int
    status: str
    created_at: str
    reserved_messages: int | None = None
    message_limit: int | None = None


class DependentBody(WireModel):
    """What stops working when the key is gone."""

    type: str
    name: str


class KeyBody(WireModel):
    """A key. `dependents` is there while it is pending deletion, if there are any."""

    identity: str
    name: str
    slug: str
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    project_id: str | None = None
    key_type: str
    status: str
    export_allowed: bool
    key_rotation_enabled: bool
    rotation_period_in_days: int | None = None
    imported: bool
    latest_version: int
    min_decryption_version: int
    versions: list[KeyVersionBody]
    created_at: str
    updated_at: str
    object_version: int
    deletion_scheduled_at: str | None = None
    last_rotated_at: str | None = None
    next_rotation_at: str | None = None
    dependents: list[DependentBody] | None = None


def reply_key(
    key: Key, status: int = 200, *, zones: Sequence[bytes] = (), secrets: Sequence[str] = ()
) -> Reply:
    """Answer with a key; its object version is also the entity tag.

    Args:
        key: The key.
        status: Of success.
        zones: Apexes of the zones that depend on it.
        secrets: Paths of the secrets bound to it.
    """
    body = render_key(key)
    dependents = [{"type": DNS_ZONE, "name": format_zone_name(Name(zone))} for zone in zones]
    dependents += [{"type": SECRET, "name": path} for path in secrets]
    if dependents:
        body["dependents"] = dependents
    return Reply(status, body, {"ETag": f'"{key.object_version}"'})


def render_key(key: Key) -> dict[str, JsonValue]:
    """Give a key. What was never set is left out."""
    body: dict[str, JsonValue] = {
        "identity": key.identity,
        "name": key.name,
        "slug": key.slug,
        "keyType": key.key_type.value,
        "status": key.status.value,
        "exportAllowed": key.export_allowed,
        "keyRotationEnabled": key.rotation_enabled,
        "imported": key.imported,
        "latestVersion": key.latest_version,
        "minDecryptionVersion": key.min_decryption_version,
        "versions": _render_versions(key),
        "createdAt": format_time(key.created_at),
        "updatedAt": format_time(key.updated_at),
        "objectVersion": key.object_version,
    }
    optional: dict[str, JsonValue] = {
        "description": key.description or None,
        "labels": dict(key.labels) or None,
        "annotations": dict(key.annotations) or None,
        "projectId": key.scope.project,
        "rotationPeriodInDays": key.rotation_period_in_days,
    }
    times = {
        "deletionScheduledAt": key.deletion_scheduled_at,
        "lastRotatedAt": key.last_rotated_at,
        "nextRotationAt": key.next_rotation_at,
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    body.update({name: format_time(at) for name, at in times.items() if at is not None})
    return body


def _render_versions(key: Key) -> list[JsonValue]:
    has_budget = SUITES.get(key.key_type, Suite.RSA_OAEP_SHA256) is not Suite.RSA_OAEP_SHA256
    versions: list[JsonValue] = []
    for version in key.versions:
        body: dict[str, JsonValue] = {
            "version": version.version,
            "status": version.status,
            "createdAt": format_time(version.created_at),
        }
        if has_budget:
            body |= {"reservedMessages": version.reserved_messages, "messageLimit": LIMIT}
        versions.append(body)
    return versions
