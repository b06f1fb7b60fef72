"""kms.md, section 7, and the wrapping key of section 5: keys that customers bring; test names quote them."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kms_api import ROOT, call, decode, encode, make_key, path_of, refuse
from openssl import make_private_key, wrap_for_import
from platform_api import Api, Json, PlatformApi, object_of, text_of
from signerd_kms import wrapping_keys
from signerd_kms.key import KeyType

WRAPPING_KEY = "/v1/kms/nl-01/wrapping-key"


@pytest.fixture(autouse=True)
def small_wrapping_keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrap with 2048 bits: making 4096 takes seconds, and one test does it."""
    if "4096" not in request.node.name:
        monkeypatch.setattr(wrapping_keys, "WRAPPING_TYPE", KeyType.RSA_2048)


async def wrap(admin: Api, directory: Path, target: bytes, oaep_hash: str = "sha256") -> str:
    """Follow the procedure of the contract: fetch the wrapping key, wrap with openssl."""
    given = await admin.get(WRAPPING_KEY)
    blob = wrap_for_import(directory, text_of(given, "publicKey").encode(), target, oaep_hash=oaep_hash)
    return encode(blob)


async def test_5_the_wrapping_key_is_a_pem_of_rsa_4096_with_its_algorithm(admin: Api) -> None:
    given = await admin.get(WRAPPING_KEY)
    assert given.keys() == {"publicKey", "algorithm"}
    assert given["algorithm"] == "RSA-OAEP-SHA256+AES-KWP"
    public = serialization.load_pem_public_key(text_of(given, "publicKey").encode())
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 4096
    assert await admin.get(WRAPPING_KEY) == given


@pytest.mark.parametrize(
    ("key_type", "octets"), [("aes128-gcm96", 16), ("aes256-gcm96", 32), ("chacha20-poly1305", 32)]
)
async def test_7_raw_16_or_32_octets_become_an_imported_key(
    admin: Api, tmp_path: Path, key_type: str, octets: int
) -> None:
    target = os.urandom(octets)
    key = await make_key(
        admin,
        keyType=key_type,
        importKeyMaterial=await wrap(admin, tmp_path, target),
        exportAllowed=True,
        hashFunction="sha256",
    )
    assert (key["imported"], key["latestVersion"]) == (True, 1)
    exported = await call(admin, key, "export")
    assert decode(exported["keyMaterial"]) == target
    made = await call(admin, key, "encrypt", plaintext="eA==")
    assert (await call(admin, key, "decrypt", ciphertext=made["ciphertext"]))["plaintext"] == "eA=="
    await refuse(admin, 400, key, "rotate")
    await admin.refused(
        400, "PATCH", path_of(key, "rotation"), {"keyRotationEnabled": True, "rotationPeriodInDays": 9}
    )


@pytest.mark.parametrize(
    ("key_type", "options"),
    [
        ("rsa-2048", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
        ("ecdsa-p256", ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")),
        ("ed25519", ("-algorithm", "ED25519")),
    ],
)
async def test_7_pkcs8_der_becomes_a_key_that_signs(
    admin: Api, tmp_path: Path, key_type: str, options: tuple[str, ...]
) -> None:
    target = make_private_key(tmp_path, *options)
    key = await make_key(admin, keyType=key_type, importKeyMaterial=await wrap(admin, tmp_path, target))
    made = await call(admin, key, "sign", input="eA==")
    assert await call(admin, key, "verify", input="eA==", signature=made["signature"]) == {"valid": True}
    pems = object_of(await admin.get(path_of(key, "public-key")), "keys")
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public = serialization.load_der_private_key(target, None).public_key().public_bytes(*form)
    assert pems == {"1": public.decode()}


async def test_7_allow_rotation_lets_the_platform_make_version_2(admin: Api, tmp_path: Path) -> None:
    key = await make_key(
        admin, importKeyMaterial=await wrap(admin, tmp_path, os.urandom(32)), allowRotation=True
    )
    rotated = await call(admin, key, "rotate")
    assert (rotated["latestVersion"], rotated["imported"]) == (2, True)


@pytest.mark.parametrize("name", ["SHA384", "sha512", "Sha224"])
async def test_7_the_oaep_hash_is_named_in_any_case(admin: Api, tmp_path: Path, name: str) -> None:
    material = await wrap(admin, tmp_path, os.urandom(32), name.lower())
    await make_key(admin, importKeyMaterial=material, hashFunction=name)


@pytest.mark.parametrize("name", ["SHA1", "sha1", "md5", "sha3-256"])
async def test_7_sha1_is_rejected_unless_configured_and_unknown_names_too(
    admin: Api, tmp_path: Path, name: str
) -> None:
    material = await wrap(admin, tmp_path, os.urandom(32), "sha1")
    body = {"name": "a", "importKeyMaterial": material, "hashFunction": name}
    await admin.refused(400, "POST", ROOT, body)


async def test_7_any_failure_to_unwrap_is_400_with_one_message(admin: Api, tmp_path: Path) -> None:
    good = decode(await wrap(admin, tmp_path, os.urandom(32)))
    wrong = [b"x", good[:-1], good[:256], b"\0" + good[1:], good[:-1] + b"\0", good + bytes(8)]
    messages = {
        await admin.refused(400, "POST", ROOT, {"name": "a", "importKeyMaterial": encode(blob)})
        for blob in wrong
    }
    for key_type in ("aes128-gcm96", "rsa-2048", "ecdsa-p256", "ed25519"):
        body: Json = {"name": "a", "keyType": key_type, "importKeyMaterial": encode(good)}
        messages.add(await admin.refused(400, "POST", ROOT, body))
    assert len(messages) == 1
    assert await admin.list(ROOT) == []
    await admin.refused(400, "POST", ROOT, {"name": "a", "importKeyMaterial": "not base64"})


@pytest.mark.parametrize("key_type", ["hmac", "hmac-sha256", "hmac-sha512"])
async def test_7_hmac_types_are_400(admin: Api, tmp_path: Path, key_type: str) -> None:
    material = await wrap(admin, tmp_path, os.urandom(32))
    body = {"name": "a", "keyType": key_type, "importKeyMaterial": material}
    assert key_type in await admin.refused(400, "POST", ROOT, body)


async def test_extension_a_blob_imports_once_and_the_same_material_is_409(admin: Api, tmp_path: Path) -> None:
    target = os.urandom(32)
    material = await wrap(admin, tmp_path, target)
    await make_key(admin, "one", importKeyMaterial=material)
    await admin.refused(400, "POST", ROOT, {"name": "two", "importKeyMaterial": material})
    again = await wrap(admin, tmp_path, target)
    await admin.refused(409, "POST", ROOT, {"name": "two", "importKeyMaterial": again})


async def test_9_the_wrapping_key_needs_create_and_is_403_without(platform: PlatformApi) -> None:
    member = platform.add_member("member")
    caller = platform.admin.as_token(member.token)
    await platform.grant("readers", ["list", "read", "update"], ["kms_key"], userIdentity=member.subject)
    await caller.refused(403, "GET", WRAPPING_KEY)
    await platform.grant("makers", ["create"], ["kms_key"], userIdentity=member.subject)
    await caller.get(WRAPPING_KEY)
