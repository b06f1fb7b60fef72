"""kms.md, sections 3 and 5: encrypt, decrypt, sign, verify, hmac, public-key, export; names quote them."""

import hashlib
import hmac
import re
from typing import Final

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from kms_api import call, decode, encode, make_key, path_of, refuse
from platform_api import Api, Json, items_of, object_of, text_of

CIPHERTEXT: Final = re.compile(r"thalassa:v[1-9][0-9]*:[A-Za-z0-9+/]+={0,2}")
BAD_BASE64: Final = ["eA", "eA=", "eA==\n", " eA==", "-_8=", "e A==", "eB==", "===="]
INPUT: Final = encode(b"what is signed")
FIELD_OCTETS: Final = {"ecdsa-p256": 32, "ecdsa-p384": 48, "ecdsa-p521": 66}


# encrypt, decrypt


@pytest.mark.parametrize("key_type", ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "rsa-2048"])
async def test_5_encrypt_and_decrypt_with_the_version_as_a_string(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    made = await call(admin, key, "encrypt", plaintext=encode(b"secret"))
    assert made.keys() == {"ciphertext", "keyVersion"}
    assert made["keyVersion"] == "1"
    assert CIPHERTEXT.fullmatch(text_of(made, "ciphertext"))
    opened = await call(admin, key, "decrypt", ciphertext=made["ciphertext"])
    assert opened == {"plaintext": encode(b"secret"), "keyVersion": "1"}


async def test_5_decrypt_works_for_all_versions_and_encrypt_for_any_from_1_to_n(admin: Api) -> None:
    key = await make_key(admin)
    first = await call(admin, key, "encrypt", plaintext=encode(b"one"))
    await admin.send("POST", path_of(key, "rotate"))
    second = await call(admin, key, "encrypt", plaintext=encode(b"two"))
    old = await call(admin, key, "encrypt", plaintext=encode(b"three"), keyVersion="1")
    assert [made["keyVersion"] for made in (first, second, old)] == ["1", "2", "1"]
    for made, plaintext in ((first, b"one"), (second, b"two"), (old, b"three")):
        opened = await call(admin, key, "decrypt", ciphertext=made["ciphertext"])
        assert opened == {"plaintext": encode(plaintext), "keyVersion": made["keyVersion"]}


@pytest.mark.parametrize("version", ["0", "3", "-1", "01", "1.0", " 1", "x", "99999999999", 1, 2.5, True])
async def test_5_other_versions_and_a_number_for_the_version_are_400(admin: Api, version: object) -> None:
    key = await make_key(admin)
    await refuse(admin, 400, key, "encrypt", plaintext=encode(b"x"), keyVersion=version)


@pytest.mark.parametrize("version", ["", None])
async def test_5_an_empty_version_is_the_latest(admin: Api, version: str | None) -> None:
    key = await make_key(admin)
    assert (await call(admin, key, "encrypt", plaintext="eA==", keyVersion=version))["keyVersion"] == "1"


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 200), (65_535, 200), (65_536, 400)])
async def test_5_plaintext_has_1_to_65535_octets(admin: Api, length: int, status: int) -> None:
    key = await make_key(admin)
    response = await admin.send("POST", path_of(key, "encrypt"), {"plaintext": encode(bytes(length))})
    assert response.status_code == status


@pytest.mark.parametrize(("key_type", "limit"), [("rsa-2048", 190), ("rsa-3072", 318), ("rsa-4096", 446)])
async def test_3_rsa_takes_190_318_or_446_octets(admin: Api, key_type: str, limit: int) -> None:
    key = await make_key(admin, keyType=key_type)
    await call(admin, key, "encrypt", plaintext=encode(bytes(limit)))
    await refuse(admin, 400, key, "encrypt", plaintext=encode(bytes(limit + 1)))


@pytest.mark.parametrize("text", BAD_BASE64)
async def test_3_base64_is_standard_with_padding_and_nothing_else(admin: Api, text: str) -> None:
    key = await make_key(admin)
    assert "plaintext" in await refuse(admin, 400, key, "encrypt", plaintext=text)
    signer = await make_key(admin, "signer", keyType="ed25519")
    assert "input" in await refuse(admin, 400, signer, "sign", input=text)


@pytest.mark.parametrize("body", [{}, {"plaintext": None}, {"plaintext": 1}, {"plaintext": ["eA=="]}])
async def test_5_plaintext_is_required(admin: Api, body: Json) -> None:
    key = await make_key(admin)
    await refuse(admin, 400, key, "encrypt", **body)


async def test_5_decrypt_400_has_one_message_for_malformed_unknown_version_and_failure(admin: Api) -> None:
    key, other = await make_key(admin, "one"), await make_key(admin, "two")
    made = text_of(await call(admin, key, "encrypt", plaintext=encode(b"x")), "ciphertext")
    foreign = text_of(await call(admin, other, "encrypt", plaintext=encode(b"x")), "ciphertext")
    octets = bytearray(decode(made.split(":")[2]))
    octets[-1] ^= 1
    changed = f"thalassa:v1:{encode(bytes(octets))}"
    wrong = ["", "x", "vault:v1:AAAA", "thalassa:v1:", "thalassa:v1:!", made + "=", foreign, changed]
    wrong += [made.replace("v1", "v2"), made.replace("v1", "v01"), made.replace("v1", "v4294967297")]
    messages = {await refuse(admin, 400, key, "decrypt", ciphertext=text) for text in wrong}
    assert len(messages) == 1
    await refuse(admin, 400, key, "decrypt")


@pytest.mark.parametrize(
    ("key_type", "operations"),
    [
        ("aes256-gcm96", ["sign", "verify", "hmac", "verify-hmac"]),
        ("rsa-2048", ["hmac", "verify-hmac"]),
        ("ecdsa-p256", ["encrypt", "decrypt", "hmac", "verify-hmac", "rewrap", "datakey"]),
        ("ed25519", ["encrypt", "decrypt", "hmac", "verify-hmac"]),
        ("hmac", ["encrypt", "decrypt", "sign", "verify"]),
    ],
)
async def test_2_an_operation_the_type_does_not_support_is_400(
    admin: Api, key_type: str, operations: list[str]
) -> None:
    key = await make_key(admin, keyType=key_type)
    body = {
        "plaintext": "eA==",
        "ciphertext": "thalassa:v1:AAAA",
        "input": "eA==",
        "signature": "thalassa:v1:AAAA",
        "hmac": "thalassa:v1:AAAA",
    }
    for operation in operations:
        sent = {"octets": 32} if operation == "datakey" else body
        assert key_type in await refuse(admin, 400, key, operation, **sent), operation


# sign, verify

SIGNERS: Final = ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"]
HASHES: Final = {
    "sha2-224": hashes.SHA224(),
    "sha2-256": hashes.SHA256(),
    "sha2-384": hashes.SHA384(),
    "sha2-512": hashes.SHA512(),
    "sha3-224": hashes.SHA3_224(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}


async def read_public_key(
    admin: Api, key: Json
) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    pems = object_of(await admin.get(path_of(key, "public-key")), "keys")
    public = serialization.load_pem_public_key(text_of(pems, "1").encode())
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
    return public


@pytest.mark.parametrize("key_type", SIGNERS)
async def test_3_signatures_verify_with_the_public_key_and_another_library(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    public = await read_public_key(admin, key)
    names = [None] if key_type == "ed25519" else [None, *HASHES]
    for name in names:
        made = await call(admin, key, "sign", input=INPUT, hashAlgorithm=name)
        assert made.keys() == {"signature", "keyVersion"}
        prefix, version, body = text_of(made, "signature").split(":")
        assert (prefix, version, made["keyVersion"]) == ("thalassa", "v1", "1")
        signature, message = decode(body), decode(INPUT)
        algorithm = HASHES[name or "sha2-256"]
        if isinstance(public, ed25519.Ed25519PublicKey):
            assert len(signature) == 64
            public.verify(signature, message)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, message, ec.ECDSA(algorithm))
        else:
            pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
            public.verify(signature, message, pss, algorithm)
        verdict = await call(
            admin, key, "verify", input=INPUT, signature=made["signature"], hashAlgorithm=name
        )
        assert verdict == {"valid": True}


@pytest.mark.parametrize("name", ["sha256", "SHA-256", "Sha2-256", "SHA256"])
async def test_3_aliases_of_hash_names_in_any_case(admin: Api, name: str) -> None:
    key = await make_key(admin, keyType="ecdsa-p256")
    made = await call(admin, key, "sign", input=INPUT, hashAlgorithm=name)
    assert await call(admin, key, "verify", input=INPUT, signature=made["signature"]) == {"valid": True}


@pytest.mark.parametrize("name", ["sha1", "SHA-1", "none", "md5", "sha2-257", "sha3", "x" * 1000])
async def test_3_sha1_none_and_unknown_hash_names_are_400(admin: Api, name: str) -> None:
    key = await make_key(admin, keyType="ecdsa-p256")
    await refuse(admin, 400, key, "sign", input=INPUT, hashAlgorithm=name)
    mac = await make_key(admin, "mac", keyType="hmac")
    await refuse(admin, 400, mac, "hmac", input=INPUT, algorithm=name)


async def test_3_for_ed25519_the_default_name_is_ignored_and_another_or_prehashed_is_400(admin: Api) -> None:
    key = await make_key(admin, keyType="ed25519")
    made = await call(admin, key, "sign", input=INPUT, hashAlgorithm="sha2-256")
    assert await call(admin, key, "verify", input=INPUT, signature=made["signature"]) == {"valid": True}
    await refuse(admin, 400, key, "sign", input=INPUT, hashAlgorithm="sha2-512")
    digest = encode(hashlib.sha256(b"x").digest())
    await refuse(admin, 400, key, "sign", input=digest, prehashed=True)


@pytest.mark.parametrize("key_type", ["rsa-2048", "ecdsa-p256", "ecdsa-p521"])
@pytest.mark.parametrize("name", ["sha2-256", "sha2-512", "sha3-384"])
async def test_5_a_prehashed_signature_verifies_against_the_original_message(
    admin: Api, key_type: str, name: str
) -> None:
    key = await make_key(admin, keyType=key_type)
    digest = hashlib.new(name.replace("sha2-", "sha").replace("-", "_"), decode(INPUT)).digest()
    made = await call(admin, key, "sign", input=encode(digest), prehashed=True, hashAlgorithm=name)
    signature = made["signature"]
    whole = await call(admin, key, "verify", input=INPUT, signature=signature, hashAlgorithm=name)
    again = await call(
        admin,
        key,
        "verify",
        input=encode(digest),
        signature=signature,
        hashAlgorithm=name,
        prehashed=True,
    )
    assert whole == again == {"valid": True}
    for wrong in (digest[:-1], digest + b"\0"):
        await refuse(admin, 400, key, "sign", input=encode(wrong), prehashed=True, hashAlgorithm=name)


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": None}])
async def test_5_input_is_required_and_not_empty(admin: Api, body: Json) -> None:
    key = await make_key(admin, keyType="ed25519")
    await refuse(admin, 400, key, "sign", **body)
    await refuse(admin, 400, key, "verify", signature="thalassa:v1:AAAA", **body)
    mac = await make_key(admin, "mac", keyType="hmac")
    await refuse(admin, 400, mac, "hmac", **body)


async def test_5_a_context_is_400_unless_it_is_empty(admin: Api) -> None:
    key = await make_key(admin, keyType="ed25519")
    await call(admin, key, "sign", input=INPUT, context="")
    await refuse(admin, 400, key, "sign", input=INPUT, context="eA==")


async def test_5_verify_is_false_for_a_signature_that_does_not_match_and_400_for_no_signature(
    admin: Api,
) -> None:
    key, other = [await make_key(admin, name, keyType="ecdsa-p256") for name in ("one", "two")]
    made = text_of(await call(admin, key, "sign", input=INPUT), "signature")
    foreign = text_of(await call(admin, other, "sign", input=INPUT), "signature")
    for signature in (foreign, made.replace("v1", "v2"), "thalassa:v1:AAAA"):
        verdict = await call(admin, key, "verify", input=INPUT, signature=signature)
        assert verdict == {"valid": False}
    assert await call(admin, key, "verify", input=encode(b"other"), signature=made) == {"valid": False}
    wrong_hash = await call(admin, key, "verify", input=INPUT, signature=made, hashAlgorithm="sha2-512")
    assert wrong_hash == {"valid": False}
    for text in ("", "x", "thalassa:v1:", "thalassa:v0:AAAA", made + "\n", made[9:]):
        await refuse(admin, 400, key, "verify", input=INPUT, signature=text)


async def test_5_verify_works_with_every_version(admin: Api) -> None:
    key = await make_key(admin, keyType="ed25519")
    made = await call(admin, key, "sign", input=INPUT)
    await admin.send("POST", path_of(key, "rotate"))
    newer = await call(admin, key, "sign", input=INPUT)
    older = await call(admin, key, "sign", input=INPUT, keyVersion="1")
    assert [newer["keyVersion"], older["keyVersion"]] == ["2", "1"]
    for signature in (made, newer, older):
        verdict = await call(admin, key, "verify", input=INPUT, signature=signature["signature"])
        assert verdict == {"valid": True}


@pytest.mark.parametrize("key_type", FIELD_OCTETS)
async def test_extension_jws_marshaling_joins_the_numbers(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    made = await call(admin, key, "sign", input=INPUT, marshaling="jws")
    octets = FIELD_OCTETS[key_type]
    assert len(decode(text_of(made, "signature").split(":")[2])) == 2 * octets
    right = await call(admin, key, "verify", input=INPUT, signature=made["signature"], marshaling="jws")
    assert right == {"valid": True}
    assert await call(admin, key, "verify", input=INPUT, signature=made["signature"]) == {"valid": False}
    await refuse(admin, 400, key, "sign", input=INPUT, marshaling="raw")
    await refuse(admin, 400, key, "sign", input=INPUT, signatureAlgorithm="pss")


async def test_extension_rsa_signs_with_pkcs1v15_on_request(admin: Api) -> None:
    key = await make_key(admin, keyType="rsa-2048")
    made = await call(admin, key, "sign", input=INPUT, signatureAlgorithm="pkcs1v15")
    public = await read_public_key(admin, key)
    assert isinstance(public, rsa.RSAPublicKey)
    signature = decode(text_of(made, "signature").split(":")[2])
    public.verify(signature, decode(INPUT), padding.PKCS1v15(), hashes.SHA256())
    assert await call(admin, key, "verify", input=INPUT, signature=made["signature"]) == {"valid": False}


# hmac


@pytest.mark.parametrize(
    ("key_type", "names"),
    [
        ("hmac", [None, *HASHES]),
        ("hmac-sha256", [None, "sha2-256", "SHA256"]),
        ("hmac-sha512", [None, "sha2-512"]),
    ],
)
@pytest.mark.parametrize("member", ["algorithm", "hashAlgorithm"])
async def test_5_hmac_and_verify_hmac_take_the_hash_under_both_names(
    admin: Api, key_type: str, names: list[str | None], member: str
) -> None:
    key = await make_key(admin, keyType=key_type)
    for name in names:
        made = await call(admin, key, "hmac", input=INPUT, **{member: name})
        assert made.keys() == {"hmac", "keyVersion"}
        verdict = await call(admin, key, "verify-hmac", input=INPUT, hmac=made["hmac"], **{member: name})
        assert verdict == {"valid": True, "keyVersion": "1"}


@pytest.mark.parametrize(("key_type", "octets"), [("hmac", 32), ("hmac-sha256", 32), ("hmac-sha512", 64)])
async def test_3_hmac_is_the_full_mac_and_another_library_gets_the_same(
    admin: Api, key_type: str, octets: int
) -> None:
    key = await make_key(admin, keyType=key_type, exportAllowed=True)
    secret = decode((await call(admin, key, "export"))["keyMaterial"])
    assert len(secret) == octets
    made = await call(admin, key, "hmac", input=INPUT)
    name = "sha512" if key_type == "hmac-sha512" else "sha256"
    assert decode(text_of(made, "hmac").split(":")[2]) == hmac.digest(secret, decode(INPUT), name)


@pytest.mark.parametrize(("key_type", "name"), [("hmac-sha256", "sha2-512"), ("hmac-sha512", "sha2-256")])
async def test_3_another_hash_for_a_fixed_type_is_400(admin: Api, key_type: str, name: str) -> None:
    key = await make_key(admin, keyType=key_type)
    await refuse(admin, 400, key, "hmac", input=INPUT, algorithm=name)
    await refuse(admin, 400, key, "verify-hmac", input=INPUT, hmac="thalassa:v1:AAAA", algorithm=name)


async def test_5_verify_hmac_gives_the_version_of_the_mac_and_omits_it_if_unknown(admin: Api) -> None:
    key = await make_key(admin, keyType="hmac")
    made = text_of(await call(admin, key, "hmac", input=INPUT), "hmac")
    await admin.send("POST", path_of(key, "rotate"))
    assert await call(admin, key, "verify-hmac", input=INPUT, hmac=made) == {"valid": True, "keyVersion": "1"}
    moved = made.replace("v1", "v2")
    assert await call(admin, key, "verify-hmac", input=INPUT, hmac=moved) == {
        "valid": False,
        "keyVersion": "2",
    }
    unknown = made.replace("v1", "v3")
    assert await call(admin, key, "verify-hmac", input=INPUT, hmac=unknown) == {"valid": False}
    octets = decode(made.split(":")[2])
    for wrong in (octets[:-1], octets[:1], octets + b"\0", bytes(32)):
        text = f"thalassa:v1:{encode(wrong)}"
        verdict = await call(admin, key, "verify-hmac", input=INPUT, hmac=text)
        assert verdict == {"valid": False, "keyVersion": "1"}
    await refuse(admin, 400, key, "verify-hmac", input=INPUT, hmac="x")
    await refuse(admin, 400, key, "hmac", input=INPUT, algorithm="sha2-256", hashAlgorithm="sha2-512")


# public key, export


@pytest.mark.parametrize("key_type", SIGNERS)
async def test_5_public_keys_are_a_map_of_versions_to_spki_pem(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    await admin.send("POST", path_of(key, "rotate"))
    both = object_of(await admin.get(path_of(key, "public-key")), "keys")
    assert list(both) == ["1", "2"]
    for pem in both.values():
        assert str(pem).startswith("-----BEGIN PUBLIC KEY-----\n")
    assert both["1"] != both["2"]
    one = await admin.get(f"{path_of(key, 'public-key')}?version=2")
    assert one == {"keys": {"2": both["2"]}}
    await admin.send("POST", path_of(key, "disable"))
    assert await admin.get(f"{path_of(key, 'public-key')}?version=1") == {"keys": {"1": both["1"]}}


async def test_5_public_key_version_not_a_positive_integer_is_400_and_unknown_404(admin: Api) -> None:
    key = await make_key(admin, keyType="ed25519")
    for text in ("0", "-1", "x", "1.0", "01", "1e1", "99999999999"):
        await admin.refused(400, "GET", f"{path_of(key, 'public-key')}?version={text}")
    await admin.refused(404, "GET", f"{path_of(key, 'public-key')}?version=2")


@pytest.mark.parametrize("key_type", ["aes256-gcm96", "hmac"])
async def test_5_public_key_of_a_symmetric_or_hmac_key_is_400(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    await admin.refused(400, "GET", path_of(key, "public-key"))


@pytest.mark.parametrize(
    ("key_type", "octets"), [("aes128-gcm96", 16), ("aes256-gcm96", 32), ("chacha20-poly1305", 32)]
)
async def test_5_export_gives_raw_keys_in_base64(admin: Api, key_type: str, octets: int) -> None:
    key = await make_key(admin, keyType=key_type, exportAllowed=True)
    await admin.send("POST", path_of(key, "rotate"))
    newest = await call(admin, key, "export")
    oldest = await call(admin, key, "export", keyVersion="1")
    assert (newest["keyVersion"], oldest["keyVersion"]) == ("2", "1")
    assert newest["keyMaterial"] != oldest["keyMaterial"]
    assert len(decode(newest["keyMaterial"])) == octets
    await refuse(admin, 400, key, "export", keyVersion="3")


@pytest.mark.parametrize("key_type", SIGNERS)
async def test_5_export_gives_private_keys_as_pkcs8_pem(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type, exportAllowed=True)
    pem = text_of(await call(admin, key, "export"), "keyMaterial")
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    private = serialization.load_pem_private_key(pem.encode(), None)
    public = await read_public_key(admin, key)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert private.public_key().public_bytes(*form) == public.public_bytes(*form)


async def test_5_export_of_a_key_not_made_exportable_is_400(admin: Api) -> None:
    await refuse(admin, 400, await make_key(admin), "export")


# extensions


async def test_extension_associated_data_must_be_given_again(admin: Api) -> None:
    key = await make_key(admin)
    made = await call(admin, key, "encrypt", plaintext="eA==", associatedData=encode(b"ours"))
    text = made["ciphertext"]
    right = await call(admin, key, "decrypt", ciphertext=text, associatedData=encode(b"ours"))
    assert right["plaintext"] == "eA=="
    message = await refuse(admin, 400, key, "decrypt", ciphertext=text)
    assert message == await refuse(admin, 400, key, "decrypt", ciphertext=text, associatedData="eA==")
    await refuse(admin, 400, key, "encrypt", plaintext="eA==", associatedData="x")
    plain = await call(admin, key, "encrypt", plaintext="eA==", associatedData="")
    assert (await call(admin, key, "decrypt", ciphertext=plain["ciphertext"]))["plaintext"] == "eA=="


async def test_extension_rewrap_gives_the_newest_version_and_no_plaintext(admin: Api) -> None:
    key = await make_key(admin)
    made = await call(admin, key, "encrypt", plaintext=encode(b"secret"))
    await admin.send("POST", path_of(key, "rotate"))
    again = await call(admin, key, "rewrap", ciphertext=made["ciphertext"])
    assert again.keys() == {"ciphertext", "keyVersion"}
    assert again["keyVersion"] == "2"
    opened = await call(admin, key, "decrypt", ciphertext=again["ciphertext"])
    assert opened["plaintext"] == encode(b"secret")
    await refuse(admin, 400, key, "rewrap", ciphertext="thalassa:v1:AAAA")


async def test_extension_a_data_key_in_clear_or_not(admin: Api) -> None:
    key = await make_key(admin)
    made = await call(admin, key, "datakey")
    assert made.keys() == {"ciphertext", "keyVersion", "plaintext"}
    assert len(decode(made["plaintext"])) == 32
    opened = await call(admin, key, "decrypt", ciphertext=made["ciphertext"])
    assert opened["plaintext"] == made["plaintext"]
    hidden = await call(admin, key, "datakey", plaintext=False, octets=16)
    assert hidden.keys() == {"ciphertext", "keyVersion"}
    await refuse(admin, 400, key, "datakey", octets=17)


async def test_extension_random_octets(admin: Api) -> None:
    path = "/v1/kms/nl-01/random"
    answers = [await admin.send("POST", path, body) for body in (None, {}, {"octets": 4096})]
    assert [len(decode(answer.json()["random"])) for answer in answers] == [32, 32, 4096]
    assert answers[0].json() != answers[1].json()
    for octets in (0, 4097, -1, "32"):
        await admin.refused(400, "POST", path, {"octets": octets})


async def test_extension_each_item_of_a_batch_has_its_own_result(admin: Api) -> None:
    key = await make_key(admin)
    items: list[Json] = [
        {"plaintext": encode(b"one")},
        {"plaintext": "!"},
        {"plaintext": ""},
        {"plaintext": encode(b"two"), "keyVersion": "7"},
        {"plaintext": encode(b"three"), "associatedData": "eA=="},
    ]
    results = items_of(await call(admin, key, "encrypt", items=items), "items")
    assert [set(result) for result in results] == [
        {"ciphertext", "keyVersion"},
        {"error"},
        {"error"},
        {"error"},
        {"ciphertext", "keyVersion"},
    ]
    assert [object_of(result, "error")["status"] for result in results[1:4]] == [400, 400, 400]
    back = [
        {"ciphertext": results[0]["ciphertext"]},
        {"ciphertext": "x"},
        {"ciphertext": results[4]["ciphertext"], "associatedData": "eA=="},
    ]
    opened = items_of(await call(admin, key, "decrypt", items=back), "items")
    assert [result.get("plaintext") for result in opened] == [encode(b"one"), None, encode(b"three")]


async def test_extension_a_batch_has_1_to_256_items_and_stands_alone(admin: Api) -> None:
    key = await make_key(admin, keyType="hmac")
    results = items_of(await call(admin, key, "hmac", items=[{"input": "eA=="}] * 256), "items")
    assert len({str(result["hmac"]) for result in results}) == 1
    await refuse(admin, 400, key, "hmac", items=[])
    await refuse(admin, 400, key, "hmac", items=[{"input": "eA=="}] * 257)
    await refuse(admin, 400, key, "hmac", items=[{"input": "eA=="}], input="eA==")
    await refuse(admin, 400, key, "hmac", items=[{"keyVersion": "1"}])
    verdicts = await call(
        admin,
        key,
        "verify-hmac",
        items=[{"input": "eA==", "hmac": results[0]["hmac"]}, {"input": "eQ==", "hmac": results[0]["hmac"]}],
    )
    assert [verdict["valid"] for verdict in items_of(verdicts, "items")] == [True, False]


async def test_extension_the_message_budget_is_in_the_status_of_each_version(admin: Api) -> None:
    key = await make_key(admin)
    (version,) = items_of(key, "versions")
    assert (version["reservedMessages"], version["messageLimit"]) == (0, 2**32 - 2**20)
    await call(admin, key, "encrypt", plaintext="eA==")
    (version,) = items_of(await admin.get(path_of(key)), "versions")
    assert version["reservedMessages"] == 2**16
    (version,) = items_of(await make_key(admin, "rsa", keyType="rsa-2048"), "versions")
    assert version.keys() == {"version", "status", "createdAt"}
