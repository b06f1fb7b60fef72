"""`/v1/kms/{region}/keys/{key}/sign`, `verify`, `hmac`, `verify-hmac`, `public-key`."""

import logging
from enum import StrEnum
from typing import TypeVar

from cryptography.hazmat.primitives import serialization

from signerd.api.call import Call
from signerd.api.errors import InvalidBody
from signerd.api.kms_backend import (
    OpenKms,
    find_key,
    find_place,
    read_octets,
    read_version,
    read_version_parameter,
)
from signerd.api.kms_batch import ItemErrorBody, Json, KeyCall
from signerd.api.kms_keys import GATES, ONE
from signerd.api.reply import Reply
from signerd.api.route import BATCH_BODY_OCTETS, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.rights import KMS_KEY
from signerd_kms.authentication_code import Mac, MacVerdict, VerifyMac
from signerd_kms.hash_name import HashName, parse_hash_name
from signerd_kms.signature import Marshaling, RsaPadding, SignatureForm
from signerd_kms.signing import Sign, Verify
from signerd_kms.versioned_text import VersionedOctets

logger = logging.getLogger(__name__)
E = TypeVar("E", bound=StrEnum)


class FormItem(WireModel):
    """How something is signed; `signatureAlgorithm` is for RSA and `marshaling` for ECDSA."""

    hash_algorithm: str | None = None
    prehashed: bool | None = None
    signature_algorithm: str | None = None
    marshaling: str | None = None

    def read_form(self) -> SignatureForm:
        """Give the form."""
        return SignatureForm(
            _read_hash(self.hash_algorithm),
            _read_choice(RsaPadding, "signatureAlgorithm", self.signature_algorithm),
            _read_choice(Marshaling, "marshaling", self.marshaling),
            self.prehashed or False,
        )


class SignItem(FormItem):
    """One message or digest."""

    input: str
    key_version: str | None = None
    context: str | None = None

    def build(self) -> Sign:
        """Give what is to be done."""
        if self.context:
            raise InvalidBody("context: is not supported, as nothing can verify it")
        return Sign(read_octets("input", self.input), read_version(self.key_version), self.read_form())


class SignRequest(FormItem):
    """One message or digest, or many as items."""

    input: str | None = None
    key_version: str | None = None
    context: str | None = None
    items: list[SignItem] | None = None

    def split(self) -> tuple[list[SignItem] | None, SignItem | None]:
        """Give items, or the one."""
        if self.input is None:
            return self.items, None
        return self.items, SignItem(**self.model_dump(exclude={"items"}))


class SignedItemBody(WireModel):
    """One signature, or why there is none."""

    signature: str | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class SignedBody(WireModel):
    """One signature, or the results of items in their order."""

    signature: str | None = None
    key_version: str | None = None
    items: list[SignedItemBody] | None = None


class VerifyItem(FormItem):
    """One signature over a message or digest."""

    input: str
    signature: str

    def build(self) -> Verify:
        """Give what is to be done."""
        return Verify(read_octets("input", self.input), self.signature, self.read_form())


class VerifyRequest(FormItem):
    """One signature, or many as items."""

    input: str | None = None
    signature: str | None = None
    items: list[VerifyItem] | None = None

    def split(self) -> tuple[list[VerifyItem] | None, VerifyItem | None]:
        """Give items, or the one."""
        if self.input is None and self.signature is None:
            return self.items, None
        if self.input is None or self.signature is None:
            raise InvalidBody("input and signature are required")
        return self.items, VerifyItem(**self.model_dump(exclude={"items"}))


class VerdictItemBody(WireModel):
    """Whether it is valid, or why that cannot be said."""

    valid: bool | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class VerdictBody(WireModel):
    """Whether it is valid, or the results of items in their order."""

    valid: bool | None = None
    key_version: str | None = None
    items: list[VerdictItemBody] | None = None


class MacForm(WireModel):
    """How a MAC is made; the two names mean the same."""

    algorithm: str | None = None
    hash_algorithm: str | None = None

    def read_hash(self) -> HashName | None:
        """Give the hash function."""
        found = {_read_hash(text) for text in (self.algorithm, self.hash_algorithm) if text}
        if len(found) > 1:
            raise InvalidBody("algorithm and hashAlgorithm: name two functions")
        return found.pop() if found else None


class MacItem(MacForm):
    """One message."""

    input: str
    key_version: str | None = None

    def build(self) -> Mac:
        """Give what is to be done."""
        return Mac(read_octets("input", self.input), read_version(self.key_version), self.read_hash())


class MacRequest(MacForm):
    """One message, or many as items."""

    input: str | None = None
    key_version: str | None = None
    items: list[MacItem] | None = None

    def split(self) -> tuple[list[MacItem] | None, MacItem | None]:
        """Give items, or the one."""
        if self.input is None:
            return self.items, None
        return self.items, MacItem(**self.model_dump(exclude={"items"}))


class MacItemBody(WireModel):
    """One MAC, or why there is none."""

    hmac: str | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class MacBody(WireModel):
    """One MAC, or the results of items in their order."""

    hmac: str | None = None
    key_version: str | None = None
    items: list[MacItemBody] | None = None


class VerifyMacItem(MacForm):
    """One MAC of a message."""

    input: str
    hmac: str

    def build(self) -> VerifyMac:
        """Give what is to be done."""
        return VerifyMac(read_octets("input", self.input), self.hmac, self.read_hash())


class VerifyMacRequest(MacForm):
    """One MAC, or many as items."""

    input: str | None = None
    hmac: str | None = None
    items: list[VerifyMacItem] | None = None

    def split(self) -> tuple[list[VerifyMacItem] | None, VerifyMacItem | None]:
        """Give items, or the one."""
        if self.input is None and self.hmac is None:
            return self.items, None
        if self.input is None or self.hmac is None:
            raise InvalidBody("input and hmac are required")
        return self.items, VerifyMacItem(**self.model_dump(exclude={"items"}))


class PublicKeysBody(WireModel):
    """Public keys as PEM, by version."""

    keys: dict[str, str]


def _read_hash(text: str | None) -> HashName | None:
    return parse_hash_name(text) if text else None


def _read_choice(kind: type[E], name: str, text: str | None) -> E | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidBody(f"{name}: must be one of {', '.join(kind)}") from error


def _render_signature(made: VersionedOctets) -> Json:
    return {"signature": made.text, "keyVersion": str(made.version)}


def _render_mac(made: VersionedOctets) -> Json:
    return {"hmac": made.text, "keyVersion": str(made.version)}


def _render_validity(is_valid: bool) -> Json:
    return {"valid": is_valid}


def _render_verdict(verdict: MacVerdict) -> Json:
    body: Json = {"valid": verdict.is_valid}
    if verdict.version is not None:
        body["keyVersion"] = str(verdict.version)
    return body


def list_signing_endpoints(open_kms: OpenKms) -> list[Endpoint]:
    """Give the calls."""
    sign = KeyCall(open_kms, ("sign",), SignRequest, SignRequest.split, SignItem.build, _render_signature)
    verify = KeyCall(
        open_kms, ("verify",), VerifyRequest, VerifyRequest.split, VerifyItem.build, _render_validity
    )
    mac = KeyCall(open_kms, ("hmac",), MacRequest, MacRequest.split, MacItem.build, _render_mac)
    verify_mac = KeyCall(
        open_kms,
        ("verifyHmac",),
        VerifyMacRequest,
        VerifyMacRequest.split,
        VerifyMacItem.build,
        _render_verdict,
    )

    def get_public_key(call: Call) -> Reply:
        place = find_place(open_kms, call)
        key = find_key(place, call, "read")
        version = read_version_parameter(call)
        found = place.kms.public_keys(place.scope, key.identity, by=call.attribution, version=version)
        return Reply(body={"keys": {str(number): _encode_pem(spki) for number, spki in found.items()}})

    def make(
        name: str,
        call: KeyCall[SignRequest, SignItem, VersionedOctets]
        | KeyCall[VerifyRequest, VerifyItem, bool]
        | KeyCall[MacRequest, MacItem, VersionedOctets]
        | KeyCall[VerifyMacRequest, VerifyMacItem, MacVerdict],
        action: str,
        summary: str,
        response: type[WireModel],
    ) -> Endpoint:
        return Endpoint(
            "POST",
            f"{ONE}/{name}",
            call.handle,
            action,
            summary,
            gates=GATES,
            resource_type=KMS_KEY,
            request=call.model,
            body_octets=BATCH_BODY_OCTETS,
            response=response,
            statuses=statuses,
        )

    statuses = (200, 400, 401, 403, 404, 503)
    return [
        make("sign", sign, "kms:Sign", "Sign messages or digests", SignedBody),
        make("verify", verify, "kms:Verify", "Check signatures", VerdictBody),
        make("hmac", mac, "kms:HMAC", "Make message authentication codes", MacBody),
        make("verify-hmac", verify_mac, "kms:VerifyHMAC", "Check them", VerdictBody),
        Endpoint(
            "GET",
            f"{ONE}/public-key",
            get_public_key,
            "kms:GetPublicKey",
            "The public keys of all versions or one",
            gates=GATES,
            resource_type=KMS_KEY,
            response=PublicKeysBody,
            statuses=statuses,
        ),
    ]


def _encode_pem(spki: bytes) -> str:
    key = serialization.load_der_public_key(spki)
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
