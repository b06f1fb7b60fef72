"""Signing and checking signatures with a key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from signerd_kms import request, signature
from signerd_kms.errors import InvalidRequest, OperationUnsupported
from signerd_kms.key import NO_TEXTS, Key, Operation
from signerd_kms.key_material import AeadKey, MacKey, PrivateKey
from signerd_kms.key_use import Done, OpenKey, Use
from signerd_kms.signature import DEFAULT_FORM, MAX_SIGNATURE, SignatureForm
from signerd_kms.versioned_text import MalformedText, VersionedOctets, parse_versioned
from signerd_kms.zone_statement import refuse_statement


@dataclass(frozen=True, slots=True)
class Sign(Use[VersionedOctets]):
    """Sign a message or a digest.

    Attributes:
        data: The message, up to 1 MiB, or its digest.
        version: Of the key; None is the newest.
        form: How.
        context: Up to 16 safe facts for the audit, such as the zone; printable ASCII.
    """

    action: ClassVar[str] = "kms.sign"
    operation: ClassVar[Operation | None] = Operation.SIGN
    data: bytes = field(repr=False)
    version: int | None = None
    form: SignatureForm = DEFAULT_FORM
    context: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    needs_zones: ClassVar[bool] = True

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for, or the newest."""
        return (key.latest_version if self.version is None else self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Give size and form."""
        return {**self.context, **_describe(self.data, self.form)}

    def perform(self, opened: OpenKey) -> Done[VersionedOctets]:
        """Sign."""
        request.check_message(self.data)
        request.check_context(self.context)
        signature.check_form(opened.key.key_type, self.form, len(self.data))
        refuse_statement(self.data, opened.zones, is_prehashed=self.form.is_prehashed)
        (version,) = self.choose_versions(opened.key)
        made = signature.sign(load_private_key(opened, version), self.data, self.form)
        return Done(VersionedOctets(version, made), version, {})


@dataclass(frozen=True, slots=True)
class Verify(Use[bool]):
    """Say whether a signature was made over a message by any version of the key.

    Attributes:
        data: The message, or its digest.
        signature: As `Sign` gave it.
        form: As at signing.
    """

    action: ClassVar[str] = "kms.verify"
    operation: ClassVar[Operation | None] = Operation.VERIFY
    data: bytes = field(repr=False)
    signature: str
    form: SignatureForm = DEFAULT_FORM

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version in the signature, or the newest to cost the same."""
        parsed = _parse(self.signature)
        return (choose_known_version(key, parsed),)

    def describe(self) -> Mapping[str, str | int]:
        """Give size and form."""
        return _describe(self.data, self.form)

    def perform(self, opened: OpenKey) -> Done[bool]:
        """Check it."""
        request.check_message(self.data)
        signature.check_form(opened.key.key_type, self.form, len(self.data))
        parsed = _parse(self.signature)
        if parsed is None:
            raise InvalidRequest("the signature is not of the form of signatures")
        version = choose_known_version(opened.key, parsed)
        private_key = load_private_key(opened, version)
        valid = signature.is_valid(private_key, parsed.octets, self.data, self.form)
        valid = valid and version == parsed.version
        return Done(valid, version, {"valid": "yes" if valid else "no"})


def load_private_key(opened: OpenKey, version: int) -> PrivateKey:
    """Load a version that can sign."""
    material = opened.load(version)
    if isinstance(material, AeadKey | MacKey):
        raise OperationUnsupported(f"a key of type {opened.key.key_type.value} cannot sign")
    return material


def choose_known_version(key: Key, parsed: VersionedOctets | None) -> int:
    """Give the version that made something, or the newest if the key has no such version."""
    if parsed is None or parsed.version > key.latest_version:
        return key.latest_version
    return parsed.version


def _parse(text: str) -> VersionedOctets | None:
    try:
        return parse_versioned(text, max_octets=MAX_SIGNATURE)
    except MalformedText:
        return None


def _describe(data: bytes, form: SignatureForm) -> Mapping[str, str | int]:
    facts: dict[str, str | int] = {"octets": len(data)}
    if form.hash_name is not None:
        facts["hash"] = form.hash_name.value
    if form.padding is not None:
        facts["padding"] = form.padding.value
    if form.is_prehashed:
        facts["prehashed"] = "yes"
    return facts
