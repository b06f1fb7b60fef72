"""Making and checking message authentication codes (HMAC) with a key."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from signerd_kms import request
from signerd_kms.errors import InvalidRequest, OperationUnsupported, SchemeUnsupported
from signerd_kms.hash_name import HashName
from signerd_kms.key import Key, KeyType, Operation
from signerd_kms.key_material import MacKey
from signerd_kms.key_use import Done, OpenKey, Use
from signerd_kms.signing import choose_known_version
from signerd_kms.versioned_text import MalformedText, VersionedOctets, parse_versioned

MAX_MAC = 64  # octets
_FIXED_HASHES: Mapping[KeyType, HashName] = MappingProxyType(
    {KeyType.HMAC_SHA256: HashName.SHA2_256, KeyType.HMAC_SHA512: HashName.SHA2_512}
)


@dataclass(frozen=True, slots=True)
class Mac(Use[VersionedOctets]):
    """Make the MAC of a message.

    Attributes:
        data: The message, up to 1 MiB.
        version: Of the key; None is the newest.
        hash_name: None is that of the type, SHA-256 for `hmac`.
    """

    action: ClassVar[str] = "kms.hmac"
    operation: ClassVar[Operation | None] = Operation.HMAC
    data: bytes = field(repr=False)
    version: int | None = None
    hash_name: HashName | None = None

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for, or the newest."""
        return (key.latest_version if self.version is None else self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give the size."""
        return {"octets": len(self.data)}

    def perform(self, opened: OpenKey) -> Done[VersionedOctets]:
        """Make it."""
        request.check_message(self.data)
        hash_name = _choose_hash(opened.key, self.hash_name)
        (version,) = self.choose_versions(opened.key)
        made = _compute(opened, version, hash_name, self.data)
        return Done(VersionedOctets(version, made), version, {"hash": hash_name.value})


@dataclass(frozen=True, slots=True)
class MacVerdict:
    """Whether a MAC is right, and which version of the key made it; None if the key has no such version."""

    is_valid: bool
    version: int | None


@dataclass(frozen=True, slots=True)
class VerifyMac(Use[MacVerdict]):
    """Say whether a MAC was made of a message by any version of the key.

    Attributes:
        data: The message.
        mac: As `Mac` gave it.
        hash_name: As at making it.
    """

    action: ClassVar[str] = "kms.verify_hmac"
    operation: ClassVar[Operation | None] = Operation.VERIFY_HMAC
    data: bytes = field(repr=False)
    mac: str = field(repr=False)
    hash_name: HashName | None = None

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version in the MAC, or the newest to cost the same."""
        return (choose_known_version(key, _parse(self.mac)),)

    def describe(self) -> Mapping[str, str | int]:
        """Give the size."""
        return {"octets": len(self.data)}

    def perform(self, opened: OpenKey) -> Done[MacVerdict]:
        """Check it."""
        request.check_message(self.data)
        hash_name = _choose_hash(opened.key, self.hash_name)
        parsed = _parse(self.mac)
        if parsed is None:
            raise InvalidRequest("the MAC is not of the form of MACs")
        version = choose_known_version(opened.key, parsed)
        right = hmac.compare_digest(_compute(opened, version, hash_name, self.data), parsed.octets)
        is_known = version == parsed.version
        valid = right and is_known
        verdict = MacVerdict(valid, version if is_known else None)
        return Done(verdict, version, {"hash": hash_name.value, "valid": "yes" if valid else "no"})


def _choose_hash(key: Key, wanted: HashName | None) -> HashName:
    fixed = _FIXED_HASHES.get(key.key_type)
    if fixed is None:
        return wanted or HashName.SHA2_256
    if wanted not in {None, fixed}:
        raise SchemeUnsupported(f"a key of type {key.key_type.value} works with {fixed} only")
    return fixed


def _compute(opened: OpenKey, version: int, hash_name: HashName, data: bytes) -> bytes:
    material = opened.load(version)
    if not isinstance(material, MacKey):
        raise OperationUnsupported(f"a key of type {opened.key.key_type.value} makes no MACs")
    return hmac.digest(material.octets, data, hash_name.library_name)


def _parse(text: str) -> VersionedOctets | None:
    try:
        return parse_versioned(text, max_octets=MAX_MAC)
    except MalformedText:
        return None
