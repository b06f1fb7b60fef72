import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from signerd_kms import self_test
from signerd_kms.errors import SelfTestFailed
from signerd_kms.hash_name import HashName
from signerd_kms.key import KeyType
from signerd_kms.key_material import AeadKey, PrivateKey
from signerd_kms.key_use import OpenKey
from signerd_kms.reference_ciphers import (
    compute_hmac,
    open_aes_gcm,
    open_chacha20_poly1305,
    open_rsa_oaep,
)
from signerd_kms.reference_signatures import (
    P256,
    P384,
    P521,
    Curve,
    verify_ecdsa,
    verify_ed25519,
    verify_rsa_pkcs1v15,
    verify_rsa_pss,
)
from signerd_kms.self_test import run_self_test
from signerd_kms.self_test_keys import make_rsa_key
from signerd_kms.signature import SignatureForm

RSA_TYPES = [KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096]


def flip(octets: bytes, position: int) -> bytes:
    changed = bytearray(octets)
    changed[position] ^= 1
    return bytes(changed)


def test_every_key_type_is_tested_and_passes() -> None:
    assert run_self_test() == list(KeyType)


def sign_badly(key: PrivateKey, data: bytes, form: SignatureForm) -> bytes:
    return bytes(256)


def accept_all(key: PrivateKey, signature: bytes, data: bytes, form: SignatureForm) -> bool:
    return True


def encrypt_nothing(self: AeadKey, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    return plaintext + bytes(16)


def compute_no_mac(opened: OpenKey, version: int, hash_name: HashName, data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("place", "broken", "key_types"),
    [
        ("signature.sign", sign_badly, [KeyType.ECDSA_P256, KeyType.RSA_2048, KeyType.ED25519]),
        ("signature.is_valid", accept_all, [KeyType.ECDSA_P521, KeyType.RSA_4096, KeyType.ED25519]),
        (
            "key_material.AeadKey.encrypt",
            encrypt_nothing,
            [KeyType.AES128_GCM96, KeyType.AES256_GCM96, KeyType.CHACHA20_POLY1305],
        ),
        (
            "authentication_code._compute",
            compute_no_mac,
            [KeyType.HMAC, KeyType.HMAC_SHA256, KeyType.HMAC_SHA512],
        ),
    ],
)
def test_a_broken_computation_fails_the_test_of_its_types(
    place: str, broken: object, key_types: list[KeyType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"signerd_kms.{place}", broken)
    for key_type in key_types:
        with pytest.raises(SelfTestFailed, match=key_type.value):
            run_self_test([key_type])


def test_an_encryption_that_only_the_library_understands_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_nothing(*arguments: object) -> None:
        del arguments

    monkeypatch.setattr(self_test, "open_aes_gcm", open_nothing)
    with pytest.raises(SelfTestFailed, match="opened by the reference"):
        run_self_test([KeyType.AES256_GCM96])


@pytest.mark.parametrize("octets", [0, 1, 15, 16, 17, 64, 200])
@pytest.mark.parametrize("bound", [b"", b"bound", b"b" * 16, b"b" * 33])
def test_the_reference_opens_what_the_library_encrypts_and_nothing_changed(octets: int, bound: bytes) -> None:
    for key_octets in (16, 32):
        key, nonce, plaintext = os.urandom(key_octets), os.urandom(12), os.urandom(octets)
        body = AESGCM(key).encrypt(nonce, plaintext, bound)
        assert open_aes_gcm(key, nonce, body, bound) == plaintext
        assert open_aes_gcm(key, nonce, flip(body, -1), bound) is None
        assert open_aes_gcm(key, nonce, flip(body, 0), bound) is None
        assert open_aes_gcm(key, nonce, body, bound + b"x") is None
    body = ChaCha20Poly1305(key).encrypt(nonce, plaintext, bound)
    assert open_chacha20_poly1305(key, nonce, body, bound) == plaintext
    assert open_chacha20_poly1305(key, nonce, flip(body, -1), bound) is None
    assert open_chacha20_poly1305(key, nonce, flip(body, 0), bound) is None
    assert open_chacha20_poly1305(key, nonce, body, bound + b"x") is None


@pytest.mark.parametrize(
    ("curve", "numbers"), [(ec.SECP256R1(), P256), (ec.SECP384R1(), P384), (ec.SECP521R1(), P521)]
)
def test_the_reference_verifies_ecdsa_as_the_library_signs(curve: ec.EllipticCurve, numbers: Curve) -> None:
    for private in (ec.derive_private_key(1, curve), ec.generate_private_key(curve)):
        public = private.public_key().public_numbers()
        made = private.sign(b"data", ec.ECDSA(hashes.SHA256()))
        assert verify_ecdsa(numbers, (public.x, public.y), b"data", made)
        assert not verify_ecdsa(numbers, (public.x, public.y), b"date", made)
        assert not verify_ecdsa(numbers, (public.x, public.y), b"data", flip(made, -1))


def test_the_reference_verifies_ed25519_as_the_library_signs() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    public, made = private.public_key().public_bytes_raw(), private.sign(b"data")
    assert verify_ed25519(public, b"data", made)
    assert not verify_ed25519(public, b"date", made)
    assert not any(verify_ed25519(public, b"data", flip(made, position)) for position in (0, 31, 32, 63))


@pytest.mark.parametrize("key_type", RSA_TYPES)
def test_the_reference_agrees_with_the_library_on_rsa(key_type: KeyType) -> None:
    private = make_rsa_key(key_type)
    numbers = private.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    made = private.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    assert verify_rsa_pkcs1v15(n, e, b"data", made)
    assert not verify_rsa_pkcs1v15(n, e, b"date", made)
    assert not verify_rsa_pkcs1v15(n, e, b"data", flip(made, -1))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    made = private.sign(b"data", pss, hashes.SHA256())
    assert verify_rsa_pss(n, e, b"data", made)
    assert not verify_rsa_pss(n, e, b"date", made)
    assert not verify_rsa_pss(n, e, b"data", flip(made, -1))
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    for plaintext in (b"", b"\x00\x01", b"data"):
        body = private.public_key().encrypt(plaintext, oaep)
        assert open_rsa_oaep(numbers.p, numbers.q, numbers.d, body) == plaintext
        assert open_rsa_oaep(numbers.p, numbers.q, numbers.d, flip(body, -1)) is None


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_the_reference_agrees_with_the_library_on_hmac(hash_name: str) -> None:
    for octets in (1, 32, 64):
        key = os.urandom(octets)
        assert compute_hmac(key, b"data", hash_name) == hmac.digest(key, b"data", hash_name)
