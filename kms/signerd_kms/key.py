"""Keys and their versions, as values. Key material is in none of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from signerd_kms.errors import InvalidRequest

KeyIdentity = NewType("KeyIdentity", str)

NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class KeyType(StrEnum):
    """The key types of the wire contract."""

    AES128_GCM96 = "aes128-gcm96"
    AES256_GCM96 = "aes256-gcm96"
    CHACHA20_POLY1305 = "chacha20-poly1305"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    HMAC = "hmac"
    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA512 = "hmac-sha512"


class Operation(StrEnum):
    """What a key may be used for. The set of a key is fixed at creation and bound to its material."""

    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"
    SIGN = "sign"
    VERIFY = "verify"
    HMAC = "hmac"
    VERIFY_HMAC = "verify-hmac"


_AEAD = frozenset({Operation.ENCRYPT, Operation.DECRYPT})
_SIGNATURE = frozenset({Operation.SIGN, Operation.VERIFY})
_MAC = frozenset({Operation.HMAC, Operation.VERIFY_HMAC})

OPERATIONS: Mapping[KeyType, frozenset[Operation]] = MappingProxyType(
    {
        KeyType.AES128_GCM96: _AEAD,
        KeyType.AES256_GCM96: _AEAD,
        KeyType.CHACHA20_POLY1305: _AEAD,
        KeyType.RSA_2048: _AEAD | _SIGNATURE,
        KeyType.RSA_3072: _AEAD | _SIGNATURE,
        KeyType.RSA_4096: _AEAD | _SIGNATURE,
        KeyType.ECDSA_P256: _SIGNATURE,
        KeyType.ECDSA_P384: _SIGNATURE,
        KeyType.ECDSA_P521: _SIGNATURE,
        KeyType.ED25519: _SIGNATURE,
        KeyType.HMAC: _MAC,
        KeyType.HMAC_SHA256: _MAC,
        KeyType.HMAC_SHA512: _MAC,
    }
)


class KeyStatus(StrEnum):
    """Where a key is in its life."""

    ACTIVE = "active"
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a key lives. Nothing is inherited between an organisation and its projects.

    Attributes:
        organisation: Identity of the organisation.
        region: Identity of the region.
        project: Identity of the project, or None for keys of the organisation itself.
    """

    organisation: str
    region: str
    project: str | None = None

    def __post_init__(self) -> None:
        if not self.organisation or not self.region or self.project == "":
            raise InvalidRequest("a scope needs an organisation and a region, and its project is not empty")


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key.

    Attributes:
        version: From 1.
        status: `active`, or `destroyed` once its material is gone.
        created_at: Seconds since 1970, UTC.
        public_key: SubjectPublicKeyInfo in DER; None for symmetric types.
        reserved_messages: How many messages it may have encrypted so far, rounded up.
    """

    version: int
    status: str
    created_at: int
    public_key: bytes | None = field(repr=False)
    reserved_messages: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """A key with all its versions; times are seconds since 1970, UTC."""

    identity: KeyIdentity
    scope: Scope
    name: str
    slug: str
    description: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    key_type: KeyType
    status: KeyStatus
    operations: frozenset[Operation]
    export_allowed: bool
    imported: bool
    rotation_allowed: bool
    rotation_enabled: bool
    rotation_period_in_days: int | None
    latest_version: int
    min_decryption_version: int
    versions: tuple[KeyVersion, ...]
    created_at: int
    updated_at: int
    object_version: int
    deletion_scheduled_at: int | None

    @property
    def last_rotated_at(self) -> int | None:
        """When the newest version was made, if it is not the first."""
        return self.versions[-1].created_at if self.latest_version > 1 else None

    @property
    def next_rotation_at(self) -> int | None:
        """When the key is due for rotation, if it is rotated by itself."""
        if not self.rotation_enabled or self.rotation_period_in_days is None:
            return None
        return self.versions[-1].created_at + self.rotation_period_in_days * 86400


def encode_operations(operations: frozenset[Operation]) -> str:
    """Give the one text form of a set of operations: sorted, joined by commas."""
    return ",".join(sorted(operations))
