"""Giving key material out, where the key was made for it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography.hazmat.primitives import serialization

from signerd_kms.errors import ExportNotAllowed, ExportNotApproved
from signerd_kms.export_approval import ExportApproval
from signerd_kms.key import Key, Operation
from signerd_kms.key_material import AeadKey, MacKey
from signerd_kms.key_use import Done, OpenKey, Use


@dataclass(frozen=True, slots=True)
class ExportedKey:
    """Key material in clear.

    Attributes:
        text: Base64 of a symmetric or HMAC key; PKCS#8 PEM, unencrypted, of a private key.
        version: Of the key.
    """

    text: str = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class Export(Use[ExportedKey]):
    """Export a version; None is the newest.

    Attributes:
        version: Of the key.
        needs_approval: Whether a second person must have approved.
        approval: Their word, if there is one.
    """

    action: ClassVar[str] = "kms.export"
    operation: ClassVar[Operation | None] = None
    version: int | None = None
    needs_approval: bool = False
    approval: ExportApproval | None = None

    def choose_versions(self, key: Key) -> Sequence[int]:
        """Name the version asked for, or the newest."""
        return (key.latest_version if self.version is None else self.version,)

    def describe(self) -> Mapping[str, str | int]:
        """Say who approved, if somebody did."""
        return {} if self.approval is None else {"approvedBy": self.approval.approved_by}

    def perform(self, opened: OpenKey) -> Done[ExportedKey]:
        """Export it."""
        if not opened.key.export_allowed:
            raise ExportNotAllowed(f"key {opened.key.identity} was not made exportable")
        if self.needs_approval and self.approval is None:
            raise ExportNotApproved(
                f"the export of key {opened.key.identity} needs the approval of another person"
            )
        (version,) = self.choose_versions(opened.key)
        material = opened.load(version)  # compares the public key, too
        if isinstance(material, AeadKey | MacKey):
            with opened.reveal(version) as live:
                text = base64.b64encode(live.octets).decode()
        else:
            text = material.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
        return Done(ExportedKey(text, version), version, {"keyType": opened.key.key_type.value})
