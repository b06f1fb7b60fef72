"""The self-test: a key of every type is made, used, checked by other means, and dropped.

Run at the start, at unsealing and at resealing. Symmetric, HMAC, ECDSA and Ed25519 keys are fresh each time;
the RSA keys are fixed, as making one of 4096 bits takes seconds: making them is tested when a customer makes
one, by signing and verifying once. Nothing of it touches the database.
"""

import logging
import os
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from signerd_kms.authentication_code import Mac, VerifyMac
from signerd_kms.ciphertext import SUITES, encode_associated_data, parse_ciphertext
from signerd_kms.encryption import Decrypt, Encrypt
from signerd_kms.errors import KmsError, SelfTestFailed, UnwrapFailed
from signerd_kms.hash_name import HashName
from signerd_kms.hierarchy import KEK_OCTETS, KeyHierarchy
from signerd_kms.key import Key, KeyType, Operation, Scope
from signerd_kms.key_material import (
    RSA_BITS,
    encode_private_key,
    encode_public_key,
    generate_material,
    load_material,
)
from signerd_kms.key_use import OpenKey
from signerd_kms.new_key import NewKey
from signerd_kms.nonce_budget import NonceBudget
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
    verify_ecdsa,
    verify_ed25519,
    verify_rsa_pkcs1v15,
    verify_rsa_pss,
)
from signerd_kms.root_key import new_root_key
from signerd_kms.self_test_keys import make_rsa_key
from signerd_kms.signature import DEFAULT_FORM, RsaPadding, SignatureForm
from signerd_kms.signing import Sign, Verify
from signerd_kms.wrapping import LiveKey, WrappedKey

logger = logging.getLogger(__name__)

MESSAGE = b"signerd self-test: a message that is longer than one block of any cipher or hash" * 2
_BOUND = b"bound"
_SCOPE = Scope("self-test", "self-test")
_CURVES = {KeyType.ECDSA_P256: P256, KeyType.ECDSA_P384: P384, KeyType.ECDSA_P521: P521}
_MAC_HASHES = {KeyType.HMAC_SHA512: HashName.SHA2_512}


class _Unlimited(NonceBudget):
    """Counts nothing: the key is dropped at once."""

    def __init__(self) -> None:  # without a store
        pass

    def spend(self, key: Key, version: int) -> None:
        """Let the message pass."""


def run_self_test(key_types: Iterable[KeyType] = tuple(KeyType)) -> list[KeyType]:
    """Test every key type.

    Returns:
        The types that were tested.

    Raises:
        SelfTestFailed: Something does not compute what it must; no key may be used.
    """
    tested: list[KeyType] = []
    root = new_root_key()
    hierarchy = KeyHierarchy("self-test", root)
    try:
        for key_type in key_types:
            try:
                _test(hierarchy, key_type)
            except SelfTestFailed:
                raise
            except (KmsError, ValueError) as error:
                raise SelfTestFailed(f"self-test of {key_type.value}: {error}") from error
            tested.append(key_type)
    finally:
        hierarchy.close()
    logger.debug("self-test of %d key types passed", len(tested))
    return tested


def _test(hierarchy: KeyHierarchy, key_type: KeyType) -> None:
    secret = LiveKey(
        encode_private_key(make_rsa_key(key_type)) if key_type in RSA_BITS else generate_material(key_type)
    )
    with secret, LiveKey(os.urandom(KEK_OCTETS)) as kek:
        public = encode_public_key(load_material(secret.octets, key_type, validated=True))
        key = NewKey("self-test", key_type).build(_SCOPE, public, 0)
        stored = hierarchy.wrap_material(kek, 1, key, 1, secret.octets)
        changed = WrappedKey(stored.wrapped.octets[:-1] + bytes((stored.wrapped.octets[-1] ^ 1,)), b"")
        try:
            hierarchy.unwrap_material(kek, key, 1, type(stored)(changed, 1))
        except UnwrapFailed:
            pass
        else:
            raise SelfTestFailed(f"self-test of {key_type.value}: a changed wrapped key opens")
        opened = OpenKey(key, hierarchy, _Unlimited(), {1: stored}, {1: kek})
        if Operation.ENCRYPT in key.operations:
            _test_encryption(opened, secret)
        if Operation.SIGN in key.operations:
            _test_signatures(opened)
        if Operation.HMAC in key.operations:
            _test_mac(opened, secret)
        hierarchy.forget(key.identity)


def _test_encryption(opened: OpenKey, secret: LiveKey) -> None:
    key = opened.key
    suite = SUITES[key.key_type]
    is_rsa = key.key_type in RSA_BITS
    bound = None if is_rsa else _BOUND
    text = Encrypt(MESSAGE, associated_data=bound).perform(opened).result.text
    _require(Decrypt(text, bound).perform(opened).result.plaintext == MESSAGE, key, "decrypts")
    parsed = parse_ciphertext(text, key.identity, suite)
    if is_rsa:
        numbers = make_rsa_key(key.key_type).private_numbers()
        found = open_rsa_oaep(numbers.p, numbers.q, numbers.d, parsed.body)
    else:
        open_body = open_chacha20_poly1305 if key.key_type is KeyType.CHACHA20_POLY1305 else open_aes_gcm
        context = encode_associated_data(key.identity, 1, suite, bound)
        found = open_body(secret.octets, parsed.nonce, parsed.body, context)
    _require(found == MESSAGE, key, "is opened by the reference")
    broken = text[:-8] + ("AAAAAAA=" if not text.endswith("AAAAAAA=") else "BBBBBBA=")
    try:
        Decrypt(broken, bound).perform(opened)
    except KmsError:
        return
    raise SelfTestFailed(f"self-test of {key.key_type.value}: a changed ciphertext decrypts")


def _test_signatures(opened: OpenKey) -> None:
    key = opened.key
    forms = [DEFAULT_FORM]
    if key.key_type in RSA_BITS:
        forms.append(SignatureForm(padding=RsaPadding.PKCS1V15))
    for form in forms:
        made = Sign(MESSAGE, form=form).perform(opened).result
        text = made.text
        _require(Verify(MESSAGE, text, form).perform(opened).result, key, "verifies")
        _require(not Verify(MESSAGE + b"x", text, form).perform(opened).result, key, "refuses a change")
        _require(_verify_by_reference(opened, made.octets, form), key, "is verified by the reference")


def _verify_by_reference(opened: OpenKey, signature: bytes, form: SignatureForm) -> bool:
    material = opened.load(1)
    if isinstance(material, ec.EllipticCurvePrivateKey):
        numbers = material.public_key().public_numbers()
        curve = _CURVES[opened.key.key_type]
        return verify_ecdsa(curve, (numbers.x, numbers.y), MESSAGE, signature)
    if isinstance(material, ed25519.Ed25519PrivateKey):
        return verify_ed25519(material.public_key().public_bytes_raw(), MESSAGE, signature)
    assert isinstance(material, rsa.RSAPrivateKey)  # noqa: S101  # it signs
    public = material.public_key().public_numbers()
    verify = verify_rsa_pkcs1v15 if form.padding is RsaPadding.PKCS1V15 else verify_rsa_pss
    return verify(public.n, public.e, MESSAGE, signature)


def _test_mac(opened: OpenKey, secret: LiveKey) -> None:
    key = opened.key
    made = Mac(MESSAGE).perform(opened).result
    text = made.text
    _require(VerifyMac(MESSAGE, text).perform(opened).result.is_valid, key, "verifies")
    _require(not VerifyMac(MESSAGE + b"x", text).perform(opened).result.is_valid, key, "refuses a change")
    hash_name = _MAC_HASHES.get(key.key_type, HashName.SHA2_256).library_name
    expected = compute_hmac(secret.octets, MESSAGE, hash_name)
    _require(made.octets == expected, key, "is what the reference makes")


def _require(holds: bool, key: Key, what: str) -> None:
    if not holds:
        raise SelfTestFailed(f"self-test of {key.key_type.value}: it is not so that what it makes {what}")
