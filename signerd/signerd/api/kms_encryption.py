"""`/v1/kms/{region}/keys/{key}/encrypt`, `decrypt`, `rewrap`, `datakey`; `/v1/kms/{region}/random`."""

import base64
from typing import Final

from signerd.api.call import Call
from signerd.api.kms_backend import (
    OpenKms,
    find_place,
    read_octets,
    read_optional_octets,
    read_version,
)
from signerd.api.kms_batch import ItemErrorBody, Json, KeyCall
from signerd.api.kms_keys import GATES, ONE
from signerd.api.reply import Reply
from signerd.api.route import BATCH_BODY_OCTETS, Endpoint
from signerd.api.wire import WireModel
from signerd.platform.errors import Forbidden
from signerd.platform.rights import KMS_KEY
from signerd_kms.encryption import DataKey, Decrypt, Decrypted, Encrypt, MakeDataKey, Rewrap
from signerd_kms.versioned_text import VersionedOctets

DEFAULT_OCTETS: Final = 32


class EncryptItem(WireModel):
    """One plaintext."""

    plaintext: str
    key_version: str | None = None
    associated_data: str | None = None

    def build(self) -> Encrypt:
        """Give what is to be done."""
        return Encrypt(
            read_octets("plaintext", self.plaintext),
            read_version(self.key_version),
            read_optional_octets("associatedData", self.associated_data),
        )


class EncryptRequest(WireModel):
    """One plaintext, or many as items."""

    plaintext: str | None = None
    key_version: str | None = None
    associated_data: str | None = None
    items: list[EncryptItem] | None = None

    def split(self) -> tuple[list[EncryptItem] | None, EncryptItem | None]:
        """Give items, or the one."""
        if self.plaintext is None:
            return self.items, None
        single = EncryptItem(
            plaintext=self.plaintext, key_version=self.key_version, associated_data=self.associated_data
        )
        return self.items, single


class EncryptedItemBody(WireModel):
    """One ciphertext, or why there is none."""

    ciphertext: str | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class EncryptedBody(WireModel):
    """One ciphertext, or the results of items in their order."""

    ciphertext: str | None = None
    key_version: str | None = None
    items: list[EncryptedItemBody] | None = None


class DecryptItem(WireModel):
    """One ciphertext."""

    ciphertext: str
    associated_data: str | None = None

    def build(self) -> Decrypt:
        """Give what is to be done."""
        return Decrypt(self.ciphertext, read_optional_octets("associatedData", self.associated_data))

    def build_rewrap(self) -> Rewrap:
        """Give what is to be done when the plaintext stays inside."""
        return Rewrap(self.ciphertext, read_optional_octets("associatedData", self.associated_data))


class DecryptRequest(WireModel):
    """One ciphertext, or many as items."""

    ciphertext: str | None = None
    associated_data: str | None = None
    items: list[DecryptItem] | None = None

    def split(self) -> tuple[list[DecryptItem] | None, DecryptItem | None]:
        """Give items, or the one."""
        if self.ciphertext is None:
            return self.items, None
        return self.items, DecryptItem(ciphertext=self.ciphertext, associated_data=self.associated_data)


class DecryptedItemBody(WireModel):
    """One plaintext, or why there is none."""

    plaintext: str | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class DecryptedBody(WireModel):
    """One plaintext, or the results of items in their order."""

    plaintext: str | None = None
    key_version: str | None = None
    items: list[DecryptedItemBody] | None = None


class DataKeyItem(WireModel):
    """One data key; `plaintext` false keeps it from being given in clear."""

    octets: int | None = None
    plaintext: bool | None = None
    key_version: str | None = None
    associated_data: str | None = None

    def build(self) -> MakeDataKey:
        """Give what is to be done."""
        return MakeDataKey(
            DEFAULT_OCTETS if self.octets is None else self.octets,
            self.plaintext is not False,
            read_optional_octets("associatedData", self.associated_data),
            read_version(self.key_version),
        )


class DataKeyRequest(DataKeyItem):
    """One data key, or many as items."""

    items: list[DataKeyItem] | None = None

    def split(self) -> tuple[list[DataKeyItem] | None, DataKeyItem | None]:
        """Give items, or the one, which may be all defaults."""
        is_single = bool(self.model_fields_set - {"items"})
        return self.items, self if is_single or self.items is None else None


class DataKeyItemBody(WireModel):
    """One data key, or why there is none."""

    ciphertext: str | None = None
    plaintext: str | None = None
    key_version: str | None = None
    error: ItemErrorBody | None = None


class DataKeyBody(WireModel):
    """One data key, or the results of items in their order."""

    ciphertext: str | None = None
    plaintext: str | None = None
    key_version: str | None = None
    items: list[DataKeyItemBody] | None = None


class RandomRequest(WireModel):
    """How many random octets."""

    octets: int | None = None


class RandomBody(WireModel):
    """Random octets in base64."""

    random: str


def _encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _render_ciphertext(made: VersionedOctets) -> Json:
    return {"ciphertext": made.text, "keyVersion": str(made.version)}


def _render_plaintext(opened: Decrypted) -> Json:
    return {"plaintext": _encode(opened.plaintext), "keyVersion": str(opened.version)}


def _render_data_key(made: DataKey) -> Json:
    body = _render_ciphertext(made.ciphertext)
    if made.plaintext is not None:
        body["plaintext"] = _encode(made.plaintext)
    return body


def list_encryption_endpoints(open_kms: OpenKms) -> list[Endpoint]:
    """Give the calls."""
    encrypt = KeyCall(
        open_kms, ("encrypt",), EncryptRequest, EncryptRequest.split, EncryptItem.build, _render_ciphertext
    )
    decrypt = KeyCall(
        open_kms, ("decrypt",), DecryptRequest, DecryptRequest.split, DecryptItem.build, _render_plaintext
    )
    rewrap = KeyCall(
        open_kms,
        ("decrypt", "encrypt"),
        DecryptRequest,
        DecryptRequest.split,
        DecryptItem.build_rewrap,
        _render_ciphertext,
    )
    data_key = KeyCall(
        open_kms, ("encrypt",), DataKeyRequest, DataKeyRequest.split, DataKeyItem.build, _render_data_key
    )

    def give_random(call: Call) -> Reply:
        place = find_place(open_kms, call)
        if not call.rights.allows_some(KMS_KEY, "encrypt"):
            raise Forbidden(KMS_KEY, "encrypt")
        request = call.read(RandomRequest)
        octets = DEFAULT_OCTETS if request.octets is None else request.octets
        return Reply(body={"random": _encode(place.kms.random(place.scope, octets, by=call.attribution))})

    statuses = (200, 400, 401, 403, 404, 503)
    return [
        Endpoint(
            "POST",
            f"{ONE}/encrypt",
            encrypt.handle,
            "kms:Encrypt",
            "Encrypt small payloads",
            gates=GATES,
            resource_type=KMS_KEY,
            request=EncryptRequest,
            body_octets=BATCH_BODY_OCTETS,
            response=EncryptedBody,
            statuses=(*statuses, 409),
        ),
        Endpoint(
            "POST",
            f"{ONE}/decrypt",
            decrypt.handle,
            "kms:Decrypt",
            "Decrypt what `encrypt` gave",
            gates=GATES,
            resource_type=KMS_KEY,
            request=DecryptRequest,
            body_octets=BATCH_BODY_OCTETS,
            response=DecryptedBody,
            statuses=statuses,
        ),
        Endpoint(
            "POST",
            f"{ONE}/rewrap",
            rewrap.handle,
            "kms:Rewrap",
            "Encrypt again under the newest version",
            gates=GATES,
            resource_type=KMS_KEY,
            request=DecryptRequest,
            body_octets=BATCH_BODY_OCTETS,
            response=EncryptedBody,
            statuses=(*statuses, 409),
        ),
        Endpoint(
            "POST",
            f"{ONE}/datakey",
            data_key.handle,
            "kms:GenerateDataKey",
            "Make a data key",
            gates=GATES,
            resource_type=KMS_KEY,
            request=DataKeyRequest,
            body_octets=BATCH_BODY_OCTETS,
            response=DataKeyBody,
            statuses=(*statuses, 409),
        ),
        Endpoint(
            "POST",
            "/v1/kms/{region}/random",
            give_random,
            "kms:Random",
            "Random octets",
            gates=GATES,
            request=RandomRequest,
            response=RandomBody,
            statuses=statuses,
        ),
    ]
