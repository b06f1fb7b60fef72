"""What the KMS's calls work with: the place of a call, the key it names, and whether the caller may."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signerd.api.call import Call
from signerd.api.errors import InvalidBody, MalformedRequest, PartNotAvailable
from signerd.platform import region as regions
from signerd.platform.change import PlatformStore
from signerd.platform.rights import KMS_KEY
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import Key, Scope
from signerd_kms.kms import Kms
from signerd_kms.versioned_text import MalformedText, decode_base64

_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_OBJECT_VERSION: Final = re.compile(r'"([1-9][0-9]{0,17})"|([1-9][0-9]{0,17})', re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


def ignore_event(code: str, text: str) -> None:
    """Tell nobody."""
    del code, text


@dataclass(frozen=True, slots=True)
class KmsBackend:
    """The KMS and the regions it serves.

    Attributes:
        kms: Keys and their use.
        store: The platform's database, which knows the regions.
        is_sha1_import_allowed: Whether imports may be wrapped with SHA-1 inside OAEP.
        needs_export_approval: Whether a second person must approve each export.
        note_event: Tells people of what is rare and worth looking into at once: its code, and what happened.
    """

    kms: Kms
    store: PlatformStore
    is_sha1_import_allowed: bool = False
    needs_export_approval: bool = False
    note_event: Callable[[str, str], None] = ignore_event


OpenKms = Callable[[], KmsBackend]
"""Gives the backend; raises PartNotAvailable while there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call works.

    Attributes:
        backend: The KMS.
        scope: Organisation, region, and the project in effect.
    """

    backend: KmsBackend
    scope: Scope

    @property
    def kms(self) -> Kms:
        """Keys and their use."""
        return self.backend.kms


def find_place(open_kms: OpenKms, call: Call) -> Place:
    """Find the region of a call.

    Raises:
        RegionUnknown: There is none of that identity or slug.
        PartNotAvailable: It has no KMS.
    """
    backend = open_kms()
    name = call.path["region"]
    region = backend.store.recall(("place", name), lambda read: regions.find_place(read, name))
    if not region.is_kms_available:
        raise PartNotAvailable("the KMS is not available in this region")
    project = None if call.project is None else call.project.identity
    return Place(backend, Scope(call.organisation.identity, region.identity, project))


def find_key(place: Place, call: Call, *verbs: str) -> Key:
    """Find the key that the path names. What the caller may not use looks exactly like what is not there.

    Raises:
        KeyUnknown: There is none in the scope, or one of the verbs is not allowed on it.
    """
    reference = call.path["key"]
    key = place.kms.resolve_key(place.scope, reference)
    if not all(call.rights.allows(KMS_KEY, verb, key.identity) for verb in verbs):
        raise KeyUnknown(f"no key {reference}")
    return key


def read_octets(name: str, text: str) -> bytes:
    """Decode a member of a body.

    Raises:
        InvalidBody: It is not the canonical form of standard base64 with padding.
    """
    try:
        return decode_base64(text)
    except MalformedText as error:
        raise InvalidBody(f"{name}: must be standard base64 with padding") from error


def read_optional_octets(name: str, text: str | None) -> bytes | None:
    """Decode a member that may be missing; an empty one counts as missing."""
    return read_octets(name, text) if text else None


def read_version(text: str | None) -> int | None:
    """Read a key version of a body, which is a string of digits; None is the newest.

    Raises:
        InvalidBody: It is no such string.
    """
    if not text:
        return None
    if _VERSION.fullmatch(text) is None:
        raise InvalidBody("keyVersion: must be a string with the decimal number of a version")
    return int(text)


def read_version_parameter(call: Call) -> int | None:
    """Read `?version=`; None if it is absent.

    Raises:
        MalformedRequest: It is no positive integer.
    """
    text = call.query.first("version")
    if text is None:
        return None
    if _VERSION.fullmatch(text) is None:
        raise MalformedRequest("version must be a positive integer")
    return int(text)


def read_number_parameter(call: Call, name: str) -> int | None:
    """Read a parameter that is a number; None if it is absent.

    Raises:
        MalformedRequest: It is no number.
    """
    text = call.query.first(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise MalformedRequest(f"{name} must be a number")
    return int(text)


def read_expected_version(call: Call) -> int | None:
    """Read the object version that `If-Match` asks for; None if it asks for none.

    Raises:
        MalformedRequest: It is no object version.
    """
    values = call.headers.getlist("If-Match")
    if not values or values == ["*"]:
        return None
    found = _OBJECT_VERSION.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        raise MalformedRequest("If-Match must be one objectVersion")
    return int(found[1] or found[2])
