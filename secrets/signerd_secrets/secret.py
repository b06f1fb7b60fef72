"""Secrets and their versions, as values. The values that are kept secret are in none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from signerd_kms.key import KeyIdentity, Scope
from signerd_secrets.access_policy import AccessPolicy
from signerd_secrets.path import SecretPath
from signerd_secrets.value import ValueFormat

SecretIdentity = NewType("SecretIdentity", str)


class VersionStatus(StrEnum):
    """Whether a version still has its value."""

    ACTIVE = "active"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One value of a secret, or what is remembered of it. Times are seconds since 1970, UTC."""

    version: int
    status: VersionStatus
    value_format: ValueFormat
    created_at: int
    destroyed_at: int | None
    last_accessed_at: int | None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without its values. Times are seconds since 1970, UTC.

    Attributes:
        identity: Unlike the path, never used again; bound to the values.
        current_version: The latest one that is active; 0 if none is left.
        versions: All that ever were, ascending; empty where they were not asked for.
    """

    identity: SecretIdentity
    scope: Scope
    path: SecretPath
    kms_key: KeyIdentity
    description: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    access_policy: AccessPolicy | None
    current_version: int
    object_version: int
    created_at: int
    updated_at: int
    last_accessed_at: int | None
    versions: tuple[SecretVersion, ...] = ()
