import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_world import World
from openssl import run_openssl
from signerd_kms.attribution import Attribution
from signerd_kms.errors import InvalidRequest, SchemeUnsupported
from signerd_kms.hash_name import HashName, parse_hash_name
from signerd_kms.key import Key, KeyType
from signerd_kms.kms import Kms
from signerd_kms.merkle import compute_root
from signerd_kms.signature import Marshaling, RsaPadding, SignatureForm
from signerd_kms.versioned_text import VersionedOctets

BY = Attribution("user:tester")
MESSAGE = b"what is signed"
SIGNERS = [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.ECDSA_P521, KeyType.ED25519]
MACS = [KeyType.HMAC, KeyType.HMAC_SHA256, KeyType.HMAC_SHA512]


def make(kms: Kms, world: World, key_type: KeyType, name: str = "a key") -> Key:
    return kms.create_key(world.scope, name, key_type, by=BY)


def flip_each_octet(octets: bytes) -> list[bytes]:
    changed: list[bytes] = []
    for position in range(len(octets)):
        copy = bytearray(octets)
        copy[position] ^= 1 << (position % 8)
        changed.append(bytes(copy))
    return changed


@pytest.mark.parametrize("key_type", SIGNERS)
def test_every_changed_octet_of_a_signature_makes_it_invalid(
    kms: Kms, world: World, key_type: KeyType
) -> None:
    key, other = make(kms, world, key_type), make(kms, world, key_type, "another")
    made = kms.sign(world.scope, key.identity, None, MESSAGE, by=BY)
    assert kms.verify(world.scope, key.identity, MESSAGE, made.text, by=BY)
    step = 8 if key_type is KeyType.RSA_2048 else 1
    wrong = flip_each_octet(made.octets)[::step]
    wrong += [made.octets[:length] for length in (1, 2, len(made.octets) // 2, len(made.octets) - 1)]
    wrong += [made.octets + b"\0", bytes(len(made.octets)), b"\xff" * len(made.octets)]
    for octets in wrong:
        text = VersionedOctets(1, octets).text
        assert not kms.verify(world.scope, key.identity, MESSAGE, text, by=BY)
    assert not kms.verify(world.scope, key.identity, MESSAGE + b".", made.text, by=BY)
    assert not kms.verify(world.scope, other.identity, MESSAGE, made.text, by=BY)
    assert not kms.verify(world.scope, key.identity, MESSAGE, VersionedOctets(2, made.octets).text, by=BY)
    event = world.sink.events[-1]
    assert (event.action, event.succeeded, event.details["valid"]) == ("kms.verify", True, "no")


@pytest.mark.parametrize("key_type", MACS)
def test_every_changed_octet_of_a_mac_makes_it_invalid(kms: Kms, world: World, key_type: KeyType) -> None:
    key, other = make(kms, world, key_type), make(kms, world, key_type, "another")
    made = kms.mac(world.scope, key.identity, MESSAGE, by=BY)
    assert kms.verify_mac(world.scope, key.identity, MESSAGE, made.text, by=BY).is_valid
    wrong = [*flip_each_octet(made.octets), made.octets[:-1], made.octets[:1]]
    for octets in wrong:
        text = VersionedOctets(1, octets).text
        assert not kms.verify_mac(world.scope, key.identity, MESSAGE, text, by=BY).is_valid
    assert not kms.verify_mac(world.scope, other.identity, MESSAGE, made.text, by=BY).is_valid
    assert not kms.verify_mac(world.scope, key.identity, MESSAGE + b".", made.text, by=BY).is_valid
    with pytest.raises(InvalidRequest):
        kms.verify_mac(world.scope, key.identity, MESSAGE, VersionedOctets(1, bytes(65)).text, by=BY)


FORMS = st.builds(
    SignatureForm,
    st.one_of(st.none(), st.sampled_from(list(HashName))),
    marshaling=st.one_of(st.none(), st.sampled_from(list(Marshaling))),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SIGNERS[1:4]), st.binary(min_size=1, max_size=200), FORMS, FORMS)
def test_verify_accepts_exactly_what_sign_made(
    kms: Kms, world: World, key_type: KeyType, message: bytes, form: SignatureForm, other: SignatureForm
) -> None:
    name = f"{key_type} key"
    key = kms.find_key(world.scope, name) or make(kms, world, key_type, name)
    made = kms.sign(world.scope, key.identity, None, message, by=BY, form=form)
    assert kms.verify(world.scope, key.identity, message, made.text, by=BY, form=form)
    is_same = (form.effective_hash, form.marshaling or Marshaling.ASN1) == (
        other.effective_hash,
        other.marshaling or Marshaling.ASN1,
    )
    assert kms.verify(world.scope, key.identity, message, made.text, by=BY, form=other) is is_same
    digest = hashlib.new(form.effective_hash.library_name, message).digest()
    prehashed = SignatureForm(form.hash_name, marshaling=form.marshaling, is_prehashed=True)
    assert kms.verify(world.scope, key.identity, digest, made.text, by=BY, form=prehashed)


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.ED25519])
def test_signatures_made_by_openssl_with_an_exported_key_verify_here(
    kms: Kms, world: World, tmp_path: Path, key_type: KeyType
) -> None:
    key = kms.create_key(world.scope, "a key", key_type, by=BY, export_allowed=True)
    pem = kms.export(world.scope, key.identity, by=BY).text.encode()
    digest = () if key_type is KeyType.ED25519 else ("-digest", "sha256")
    for salt in ("32", "max") if key_type is KeyType.RSA_2048 else ("",):  # any salt length is accepted
        pss = ("-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", f"rsa_pss_saltlen:{salt}") if salt else ()
        made = run_openssl(
            tmp_path,
            *("pkeyutl", "-sign", "-inkey", "private", "-rawin", "-in", "message", *digest, *pss),
            private=pem,
            message=MESSAGE,
        )
        text = VersionedOctets(1, made).text
        assert kms.verify(world.scope, key.identity, MESSAGE, text, by=BY)


@pytest.mark.parametrize("hash_name", list(HashName))
def test_openssl_makes_the_same_mac(kms: Kms, world: World, tmp_path: Path, hash_name: HashName) -> None:

    key = kms.create_key(world.scope, "a key", KeyType.HMAC, by=BY, export_allowed=True)
    secret = base64.b64decode(kms.export(world.scope, key.identity, by=BY).text)
    made = kms.mac(world.scope, key.identity, MESSAGE, by=BY, hash_name=hash_name)
    name = hash_name.replace("sha2-", "sha")
    shown = run_openssl(
        tmp_path,
        *("mac", "-digest", name, "-macopt", f"hexkey:{secret.hex()}", "-binary", "-in", "message", "HMAC"),
        message=MESSAGE,
    )
    assert shown == made.octets


@pytest.mark.parametrize(
    ("key_type", "form"),
    [
        (KeyType.ED25519, SignatureForm(HashName.SHA2_512)),
        (KeyType.ED25519, SignatureForm(is_prehashed=True)),
        (KeyType.ED25519, SignatureForm(marshaling=Marshaling.JWS)),
        (KeyType.ECDSA_P256, SignatureForm(padding=RsaPadding.PSS)),
        (KeyType.RSA_2048, SignatureForm(marshaling=Marshaling.ASN1)),
    ],
)
def test_a_form_that_does_not_fit_is_refused_before_the_key_is_touched(
    kms: Kms, world: World, key_type: KeyType, form: SignatureForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(kms, world, key_type)
    monkeypatch.setattr("signerd_kms.key_use.OpenKey.load", None)
    with pytest.raises(SchemeUnsupported):
        kms.sign(world.scope, key.identity, None, bytes(32), by=BY, form=form)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sha256", HashName.SHA2_256),
        ("SHA-384", HashName.SHA2_384),
        ("sha2-512", HashName.SHA2_512),
        ("sha224", HashName.SHA2_224),
        ("Sha3-256", HashName.SHA3_256),
        ("sha-3-512", HashName.SHA3_512),
    ],
)
def test_hash_names(text: str, expected: HashName) -> None:
    assert parse_hash_name(text) is expected


@pytest.mark.parametrize(
    "text", ["", "sha1", "none", "sha", "sha3", "sha512/256", "sha2_256", "sha256 ", "sha٢56"]
)
def test_other_hash_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_hash_name(text)


def compute_root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = compute_root_by_definition(leaves[:split]), compute_root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40))
def test_the_merkle_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert compute_root(leaves) == compute_root_by_definition(leaves)
