"""Secrets as the API shows them; values are shown by reveal alone."""

from collections.abc import Iterable

from signerd.api.kms_views import KeyBody, render_key
from signerd.api.region_endpoints import RegionBody, render_region
from signerd.api.reply import JsonValue
from signerd.api.secret_backend import SecretPlace
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import KeyIdentity
from signerd_secrets.secret import Secret, VersionStatus

GONE = "deleted"  # status of a key that was destroyed; only its identity is left


class SecretVersionBody(WireModel):
    """One version of a secret."""

    version: int
    status: str
    stage: str | None = None
    value_format: str
    created_at: str
    destroyed_at: str | None = None
    last_accessed_at: str | None = None


class GoneKeyBody(WireModel):
    """What is left of a key that was destroyed."""

    identity: str
    name: str
    slug: str
    key_type: str
    status: str
    created_at: str
    updated_at: str


class SecretBody(WireModel):
    """A secret without its values."""

    path: str
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    kms_key: KeyBody | GoneKeyBody
    current_version: int
    object_version: int
    created_at: str
    updated_at: str
    last_accessed_at: str | None = None
    region: RegionBody
    access_policy: dict[str, object] | None = None
    versions: list[SecretVersionBody] | None = None


class LevelBody(WireModel):
    """What lies in one directory."""

    path: str
    prefixes: list[str]
    secrets: list[SecretBody]


class VersionAddedBody(WireModel):
    """The number that a value got."""

    path: str
    version: int


class RevealedBody(WireModel):
    """A value in the clear."""

    path: str
    version: int
    secret_string: str | None = None
    secret_key_values: dict[str, str] | None = None
    kms_key_identity: str
    kms_key_version: str


def render_secrets(place: SecretPlace, secrets: Iterable[Secret]) -> list[JsonValue]:
    """Give secrets, looking up each key once."""
    region: JsonValue = render_region(place.region)
    keys: dict[KeyIdentity, JsonValue] = {}
    bodies: list[JsonValue] = []
    for secret in secrets:
        if secret.kms_key not in keys:
            keys[secret.kms_key] = _render_bound_key(place, secret)
        bodies.append(_render(secret, keys[secret.kms_key], region))
    return bodies


def render_secret(place: SecretPlace, secret: Secret, *, with_versions: bool = False) -> JsonValue:
    """Give one secret, with the history of its versions if that is asked for."""
    body = _render(secret, _render_bound_key(place, secret), render_region(place.region))
    if with_versions:
        body["versions"] = _render_versions(secret)
    return body


def _render(secret: Secret, key: JsonValue, region: JsonValue) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {
        "path": secret.path,
        "kmsKey": key,
        "currentVersion": secret.current_version,
        "objectVersion": secret.object_version,
        "createdAt": format_time(secret.created_at),
        "updatedAt": format_time(secret.updated_at),
        "region": region,
    }
    optional: dict[str, JsonValue] = {
        "description": secret.description or None,
        "labels": dict(secret.labels) or None,
        "annotations": dict(secret.annotations) or None,
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    if secret.last_accessed_at is not None:
        body["lastAccessedAt"] = format_time(secret.last_accessed_at)
    if secret.access_policy is not None:
        body["accessPolicy"] = secret.access_policy.as_json()
    return body


def _render_versions(secret: Secret) -> list[JsonValue]:
    bodies: list[JsonValue] = []
    for version in secret.versions:
        body: dict[str, JsonValue] = {
            "version": version.version,
            "status": version.status.value,
            "valueFormat": version.value_format.value,
            "createdAt": format_time(version.created_at),
        }
        if version.status is VersionStatus.ACTIVE and version.version == secret.current_version:
            body["stage"] = "current"
        if version.destroyed_at is not None:
            body["destroyedAt"] = format_time(version.destroyed_at)
        if version.last_accessed_at is not None:
            body["lastAccessedAt"] = format_time(version.last_accessed_at)
        bodies.append(body)
    return bodies


def _render_bound_key(place: SecretPlace, secret: Secret) -> JsonValue:
    try:
        return render_key(place.backend.kms.get_key(secret.scope, secret.kms_key))
    except KeyUnknown:
        return {
            "identity": secret.kms_key,
            "name": "",
            "slug": "",
            "keyType": "",
            "status": GONE,
            "createdAt": format_time(secret.created_at),
            "updatedAt": format_time(secret.updated_at),
        }
