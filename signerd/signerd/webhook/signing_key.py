"""The keys of the KMS that sign what is sent to receivers."""

import re
from collections.abc import Callable
from typing import Final

from signerd.webhook.message import KeySignature
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyNameTaken
from signerd_kms.export import ExportedKey
from signerd_kms.hash_name import HashName
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms

VIA: Final = "webhooks"
JOB: Final = Attribution(None, via=VIA)
_IDENTITY = re.compile(r"kms-[0-9a-v]{20}")
_TYPES: Final = frozenset({KeyType.HMAC, KeyType.HMAC_SHA256})  # receivers compute HMAC with SHA-256
_DESCRIPTION: Final = "Signs the events that are sent to webhooks; receivers have a copy"


class WebhookKeyRefused(Exception):
    """A key cannot sign events; the message says why."""

    code = "webhook.key_refused"


class WebhookKeys:
    """Signs with keys of the deployment's own organisation. Blocks: for worker threads."""

    def __init__(self, open_place: Callable[[], tuple[Kms, Scope]]) -> None:
        """Do nothing yet.

        Args:
            open_place: Gives the KMS and the scope of the keys; raises CustodyUnavailable while it is closed.
        """
        self._open_place = open_place

    def sign(self, reference: str, data: bytes) -> KeySignature:
        """Sign with the newest version of a key; one that is named and not there is made.

        Args:
            reference: Identity or name of the key.
            data: What is signed.

        Raises:
            CustodyUnavailable: The KMS is not open.
            WebhookKeyRefused: The key is not of a type that does, or not active, or not there.
            KmsError: The KMS cannot be used now.
        """
        kms, scope = self._open_place()
        key = _provide(kms, scope, reference)
        made = kms.mac(scope, key.identity, data, by=JOB, hash_name=HashName.SHA2_256)
        return KeySignature(key.identity, made.version, made.octets)

    def export(self, reference: str, version: int | None, by: Attribution) -> tuple[str, ExportedKey]:
        """Give the secret that a receiver needs to check signatures.

        Args:
            reference: Identity or name of the key; one that is named and not there is made.
            version: None for the newest.
            by: Who asks.

        Returns:
            Identity of the key, and its secret in base64.

        Raises:
            CustodyUnavailable: The KMS is not open.
            WebhookKeyRefused: As at signing.
            ExportNotAllowed: The key was not made exportable.
            KmsError: The KMS cannot be used now, or has no such version.
        """
        kms, scope = self._open_place()
        key = _provide(kms, scope, reference)
        return key.identity, kms.export(scope, key.identity, by=by, version=version)


def _provide(kms: Kms, scope: Scope, reference: str) -> Key:
    if _IDENTITY.fullmatch(reference):
        key = kms.get_key(scope, KeyIdentity(reference))
    else:
        found = kms.find_key(scope, reference)
        key = _make(kms, scope, reference) if found is None else found
    if key.key_type not in _TYPES:
        types = " or ".join(sorted(key_type.value for key_type in _TYPES))
        raise WebhookKeyRefused(f"key {reference!r} is of type {key.key_type.value}; {types} is needed")
    if key.status is not KeyStatus.ACTIVE:
        raise WebhookKeyRefused(f"key {reference!r} is {key.status.value}, not active")
    return key


def _make(kms: Kms, scope: Scope, name: str) -> Key:
    try:
        return kms.create_key(
            scope, name, KeyType.HMAC_SHA256, by=JOB, description=_DESCRIPTION, export_allowed=True
        )
    except KeyNameTaken as error:
        if (key := kms.find_key(scope, name)) is not None:  # another call made it in between
            return key
        raise WebhookKeyRefused(f"another key has a name too much like {name!r}: {error}") from error
