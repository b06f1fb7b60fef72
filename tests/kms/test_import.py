import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from sqlalchemy import text

from kms_world import World
from openssl import make_private_key, run_openssl, wrap_for_import
from signerd_kms import wrapping_keys
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.errors import (
    ImportFailed,
    InvalidRequest,
    KeyMaterialKnown,
    KeyNameTaken,
    OperationUnsupported,
    RotationNotAllowed,
    UnwrapFailed,
)
from signerd_kms.foreign_material import OaepHash, parse_oaep_hash
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.new_key import NewKey

BY = Attribution("user:tester")
DAY = 86_400
P256 = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve")


@pytest.fixture
def small_wrapping_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrap with 2048 bits: making 4096 takes seconds, and one test does it."""
    monkeypatch.setattr(wrapping_keys, "WRAPPING_TYPE", KeyType.RSA_2048)


def read_wrapping_key(kms: Kms, scope: Scope) -> bytes:
    return kms.wrapping_public_key(scope, by=BY).pem.encode()


def wrap(pem: bytes, target: bytes, *, ephemeral: bytes | None = None) -> bytes:
    """Wrap in this process, for what needs many blobs."""
    public = serialization.load_pem_public_key(pem)
    assert isinstance(public, rsa.RSAPublicKey)
    one_time = os.urandom(32) if ephemeral is None else ephemeral
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapping_key = one_time if len(one_time) in {16, 32} else one_time[:32]
    wrapped = keywrap.aes_key_wrap_with_padding(wrapping_key, target)
    return public.encrypt(one_time, oaep) + wrapped


def import_key(
    kms: Kms, world: World, blob: bytes, key_type: KeyType = KeyType.AES256_GCM96, name: str = "a key"
) -> Key:
    return kms.import_key(world.scope, NewKey(name, key_type, export_allowed=True), blob, by=BY)


@pytest.mark.parametrize(
    ("key_type", "octets"),
    [(KeyType.AES128_GCM96, 16), (KeyType.AES256_GCM96, 32), (KeyType.CHACHA20_POLY1305, 32)],
)
@pytest.mark.usefixtures("small_wrapping_keys")
def test_symmetric_keys_wrapped_by_openssl_are_imported(
    kms: Kms, world: World, tmp_path: Path, key_type: KeyType, octets: int
) -> None:
    target = os.urandom(octets)
    key = import_key(
        kms, world, wrap_for_import(tmp_path, read_wrapping_key(kms, world.scope), target), key_type
    )
    assert (key.imported, key.latest_version, key.rotation_allowed) == (True, 1, False)
    sealed = kms.encrypt(world.scope, key.identity, b"x", by=BY)
    assert kms.decrypt(world.scope, key.identity, sealed.text, by=BY).plaintext == b"x"
    exported = kms.export(world.scope, key.identity, by=BY)
    assert base64.b64decode(exported.text) == target
    event = next(event for event in world.sink.events if event.action == "kms.import")
    assert (event.succeeded, event.resource, event.actor) == (True, key.identity, "user:tester")


@pytest.mark.parametrize(
    ("key_type", "options"),
    [
        (KeyType.RSA_2048, ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
        (KeyType.ECDSA_P256, P256),
        (KeyType.ECDSA_P384, ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")),
        (KeyType.ECDSA_P521, ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521")),
        (KeyType.ED25519, ("-algorithm", "ED25519")),
    ],
)
@pytest.mark.usefixtures("small_wrapping_keys")
def test_private_keys_made_by_openssl_sign_here_and_openssl_verifies(
    kms: Kms, world: World, tmp_path: Path, key_type: KeyType, options: tuple[str, ...]
) -> None:
    target = make_private_key(tmp_path, *options)
    blob = wrap_for_import(tmp_path, read_wrapping_key(kms, world.scope), target)
    key = import_key(kms, world, blob, key_type)
    made = kms.sign(world.scope, key.identity, None, b"message", by=BY)
    public = run_openssl(
        tmp_path, "pkey", "-inform", "DER", "-in", "private.der", "-pubout", "-outform", "DER"
    )
    assert public == kms.public_key(world.scope, key.identity, 1)
    options = () if key_type is KeyType.ED25519 else ("-digest", "sha256")
    pss = ("-pkeyopt", "rsa_padding_mode:pss") if key_type is KeyType.RSA_2048 else ()
    done = run_openssl(
        tmp_path,
        *("pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public", "-rawin", *options, *pss),
        *("-in", "message", "-sigfile", "signature"),
        public=public,
        message=b"message",
        signature=made.octets,
    )
    assert b"Verified Successfully" in done


@pytest.mark.parametrize("oaep_hash", ["sha224", "sha384", "sha512"])
@pytest.mark.usefixtures("small_wrapping_keys")
def test_oaep_takes_the_hash_that_is_named(kms: Kms, world: World, tmp_path: Path, oaep_hash: str) -> None:
    pem = read_wrapping_key(kms, world.scope)
    blob = wrap_for_import(tmp_path, pem, os.urandom(32), oaep_hash=oaep_hash)
    new = NewKey("a key", KeyType.AES256_GCM96)
    with pytest.raises(ImportFailed):
        kms.import_key(world.scope, new, blob, by=BY)
    chosen = parse_oaep_hash(oaep_hash.upper(), is_sha1_allowed=False)
    assert kms.import_key(world.scope, new, blob, by=BY, oaep_hash=chosen).imported


def test_sha1_is_refused_unless_it_is_switched_on() -> None:
    assert parse_oaep_hash("SHA1", is_sha1_allowed=True) is OaepHash.SHA1
    for name in ("sha1", "SHA1", "md5", ""):
        with pytest.raises(InvalidRequest):
            parse_oaep_hash(name, is_sha1_allowed=False)


def test_the_wrapping_key_has_4096_bits_and_openssl_reads_it(kms: Kms, world: World, tmp_path: Path) -> None:
    given = kms.wrapping_public_key(world.scope, by=BY)
    assert given.algorithm == "RSA-OAEP-SHA256+AES-KWP"
    shown = run_openssl(
        tmp_path, "pkey", "-pubin", "-in", "key.pem", "-noout", "-text", **{"key.pem": given.pem.encode()}
    )
    assert b"4096 bit" in shown
    assert kms.wrapping_public_key(world.scope, by=BY) == given
    assert kms.wrapping_public_key(Scope("o-one", "reg-one", "prj-one"), by=BY) == given
    assert import_key(kms, world, wrap(given.pem.encode(), os.urandom(32))).imported


@dataclass
class Blobs:
    """Makes wrong blobs."""

    pem: bytes
    directory: Path
    made: dict[str, tuple[KeyType, bytes]] = field(default_factory=dict[str, tuple[KeyType, bytes]])

    def add(self, what: str, key_type: KeyType, target: bytes) -> None:
        self.made[what] = (key_type, wrap(self.pem, target))


def change(blob: bytes, position: int) -> bytes:
    changed = bytearray(blob)
    changed[position] ^= 0x40
    return bytes(changed)


def list_wrong_blobs(pem: bytes, directory: Path) -> dict[str, tuple[KeyType, bytes]]:
    blobs = Blobs(pem, directory)
    aes, p256 = KeyType.AES256_GCM96, KeyType.ECDSA_P256
    good = wrap(pem, os.urandom(32))
    for position in (0, 1, 100, 255, 256, 263, 264, len(good) - 1):
        blobs.made[f"octet {position} changed"] = (aes, change(good, position))
    for length in (0, 1, 255, 256, 257, 264, 272, len(good) - 8, len(good) - 1):
        blobs.made[f"cut to {length}"] = (aes, good[:length])
    blobs.made["longer"] = (aes, good + bytes(8))
    blobs.made["far too long"] = (aes, good + bytes(9000))
    blobs.made["one-time key of 16 octets"] = (aes, wrap(pem, os.urandom(32), ephemeral=os.urandom(16)))
    blobs.made["one-time key of 33 octets"] = (aes, wrap(pem, os.urandom(32), ephemeral=os.urandom(33)))
    blobs.made["another wrapping key"] = (
        aes,
        wrap(
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            os.urandom(32),
        ),
    )
    for octets in (1, 16, 31, 33, 64):
        blobs.add(f"AES-256 of {octets} octets", aes, os.urandom(octets))
    blobs.add("AES-128 of 32 octets", KeyType.AES128_GCM96, os.urandom(32))
    ec_key = make_private_key(directory, *P256)
    blobs.add("another curve", KeyType.ECDSA_P384, ec_key)
    blobs.add("another kind", KeyType.RSA_2048, ec_key)
    blobs.add("a private key as AES", aes, ec_key)
    blobs.add("random octets as a private key", p256, os.urandom(138))
    blobs.add("trailing octets", p256, ec_key + b"\0")
    sec1 = serialization.load_der_private_key(ec_key, None)
    assert isinstance(sec1, ec.EllipticCurvePrivateKey)
    encoding, none = serialization.Encoding, serialization.NoEncryption()
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    pkcs8 = serialization.PrivateFormat.PKCS8
    blobs.add("SEC 1 and not PKCS#8", p256, sec1.private_bytes(encoding.DER, traditional, none))
    blobs.add("PEM and not DER", p256, sec1.private_bytes(encoding.PEM, pkcs8, none))
    secret = serialization.BestAvailableEncryption(b"password")
    blobs.add("encrypted PKCS#8", p256, sec1.private_bytes(encoding.DER, pkcs8, secret))
    explicit = make_private_key(directory, *P256[:-1], "ec_param_enc:explicit")
    blobs.add("a curve given by parameters", p256, explicit)
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    blobs.add("RSA of 1024 bits", KeyType.RSA_2048, small.private_bytes(encoding.DER, pkcs8, none))
    odd = rsa.generate_private_key(public_exponent=3, key_size=2048)
    blobs.add("RSA with the exponent 3", KeyType.RSA_2048, odd.private_bytes(encoding.DER, pkcs8, none))
    right = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    blobs.add("PKCS#1", KeyType.RSA_2048, right.private_bytes(encoding.DER, traditional, none))
    der = right.private_bytes(encoding.DER, pkcs8, none)
    blobs.add("RSA with a changed prime", KeyType.RSA_2048, change(der, 700))
    return blobs.made


@pytest.mark.usefixtures("small_wrapping_keys")
def test_every_wrong_blob_gives_the_one_message(kms: Kms, world: World, tmp_path: Path) -> None:
    wrong = list_wrong_blobs(read_wrapping_key(kms, world.scope), tmp_path)
    messages: set[tuple[str, str, bool]] = set()
    for key_type, blob in wrong.values():
        with pytest.raises(ImportFailed) as failed:
            import_key(kms, world, blob, key_type)
        messages.add((failed.value.code, str(failed.value), failed.value.__cause__ is None))
        event = world.sink.events[-1]
        assert (event.action, event.succeeded, event.error) == ("kms.import", False, "kms.import_failed")
    assert len(messages) == 1
    assert kms.list_keys(world.scope) == []


@pytest.mark.usefixtures("small_wrapping_keys")
def test_a_blob_imports_once_even_if_its_key_is_gone(kms: Kms, world: World) -> None:
    blob = wrap(read_wrapping_key(kms, world.scope), os.urandom(32))
    key = import_key(kms, world, blob)
    with pytest.raises(ImportFailed):
        import_key(kms, world, blob, name="another")
    deleted = kms.schedule_deletion(world.scope, key.identity, by=BY)
    assert deleted.deletion_scheduled_at is not None
    assert kms.purge_due(deleted.deletion_scheduled_at) == [key.identity]
    with pytest.raises(ImportFailed):
        import_key(kms, world, blob, name="another")


@pytest.mark.usefixtures("small_wrapping_keys")
def test_the_same_material_is_not_imported_twice_in_an_organisation(kms: Kms, world: World) -> None:
    target = os.urandom(32)
    pem = read_wrapping_key(kms, world.scope)
    import_key(kms, world, wrap(pem, target))
    with pytest.raises(KeyMaterialKnown):
        import_key(kms, world, wrap(pem, target), name="another")
    with pytest.raises(KeyMaterialKnown):
        kms.import_key(
            Scope("o-one", "reg-one", "prj-one"),
            NewKey("a key", KeyType.CHACHA20_POLY1305),
            wrap(pem, target),
            by=BY,
        )
    other = Scope("o-two", "reg-one")
    foreign = wrap(read_wrapping_key(kms, other), target)
    assert kms.import_key(other, NewKey("a key", KeyType.AES256_GCM96), foreign, by=BY).imported
    made = kms.create_key(world.scope, "made here", KeyType.AES256_GCM96, by=BY, export_allowed=True)
    exported = base64.b64decode(kms.export(world.scope, made.identity, by=BY).text)
    with pytest.raises(KeyMaterialKnown):
        import_key(kms, world, wrap(pem, exported), name="back again")


@pytest.mark.usefixtures("small_wrapping_keys")
def test_a_name_in_use_leaves_the_blob_unused(kms: Kms, world: World) -> None:
    kms.create_key(world.scope, "a key", KeyType.AES256_GCM96, by=BY)
    blob = wrap(read_wrapping_key(kms, world.scope), os.urandom(32))
    with pytest.raises(KeyNameTaken):
        import_key(kms, world, blob)
    assert import_key(kms, world, blob, name="another").imported


@pytest.mark.parametrize("key_type", [KeyType.HMAC, KeyType.HMAC_SHA256, KeyType.HMAC_SHA512])
def test_hmac_keys_are_not_imported(kms: Kms, world: World, key_type: KeyType) -> None:
    with pytest.raises(OperationUnsupported, match=key_type.value):
        import_key(kms, world, b"x" * 600, key_type)


@pytest.mark.usefixtures("small_wrapping_keys")
def test_an_imported_key_is_rotated_only_with_leave(kms: Kms, world: World) -> None:
    pem = read_wrapping_key(kms, world.scope)
    fixed = import_key(kms, world, wrap(pem, os.urandom(32)), name="fixed")
    with pytest.raises(RotationNotAllowed):
        kms.rotate(world.scope, fixed.identity, by=BY)
    with pytest.raises(RotationNotAllowed):
        kms.update_rotation(world.scope, fixed.identity, by=BY, enabled=True, period_in_days=9)
    assert (
        kms.update_rotation(world.scope, fixed.identity, by=BY, period_in_days=9).rotation_period_in_days == 9
    )
    with pytest.raises(RotationNotAllowed):
        kms.import_key(
            world.scope,
            NewKey("b", KeyType.AES256_GCM96, rotation_enabled=True, rotation_period_in_days=9),
            wrap(pem, os.urandom(32)),
            by=BY,
        )
    free = kms.import_key(
        world.scope,
        NewKey("free", KeyType.AES256_GCM96),
        wrap(pem, os.urandom(32)),
        by=BY,
        rotation_allowed=True,
    )
    sealed = kms.encrypt(world.scope, free.identity, b"x", by=BY)
    assert kms.rotate(world.scope, free.identity, by=BY).latest_version == 2
    assert kms.decrypt(world.scope, free.identity, sealed.text, by=BY).plaintext == b"x"


@dataclass
class Calendar:
    """A clock that a test moves."""

    seconds: int = 1_800_000_000

    def now(self) -> int:
        return self.seconds


@pytest.mark.usefixtures("small_wrapping_keys")
def test_a_wrapping_key_is_new_each_month_and_the_one_before_accepted_for_7_days(world: World) -> None:
    clock = Calendar()
    kms = Kms.open(world.engine, world.seal, clock, world.sink)
    new = NewKey("a key", KeyType.AES256_GCM96)
    first = read_wrapping_key(kms, world.scope)
    clock.seconds += 30 * DAY - 1
    assert read_wrapping_key(kms, world.scope) == first
    clock.seconds += 1
    second = read_wrapping_key(kms, world.scope)
    assert second != first
    clock.seconds += 7 * DAY - 1
    assert kms.import_key(world.scope, new, wrap(first, os.urandom(32)), by=BY).imported
    clock.seconds += 1
    late = NewKey("late", KeyType.AES256_GCM96)
    with pytest.raises(ImportFailed):
        kms.import_key(world.scope, late, wrap(first, os.urandom(32)), by=BY)
    assert kms.import_key(world.scope, late, wrap(second, os.urandom(32)), by=BY).imported
    kms.purge_due(clock.seconds)
    with world.engine.connect() as connection:
        kept = connection.execute(text("SELECT generation FROM kms_wrapping_keys")).scalars()
        assert list(kept) == [2]


EDITS: dict[str, str] = {
    "wrapped": "UPDATE kms_wrapping_keys SET wrapped = zeroblob(length(wrapped))",
    "generation": "UPDATE kms_wrapping_keys SET generation = 5",
    "region": "UPDATE kms_wrapping_keys SET region = 'reg-one' WHERE region = 'reg-two'",
}


@pytest.mark.usefixtures("small_wrapping_keys")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_wrapping_key_does_not_open(kms: Kms, world: World, edit: str) -> None:
    scope = Scope("o-one", "reg-two") if edit == "region" else world.scope
    pem = read_wrapping_key(kms, scope)
    kms.create_key(world.scope, "makes the KEK", KeyType.AES256_GCM96, by=NOBODY)
    with world.engine.begin() as connection:
        connection.execute(text(EDITS[edit]))
    with pytest.raises(UnwrapFailed):
        import_key(kms, world, wrap(pem, os.urandom(32)))


@pytest.mark.usefixtures("small_wrapping_keys")
def test_rewrapping_takes_the_wrapping_keys_along(kms: Kms, world: World) -> None:
    pem = read_wrapping_key(kms, world.scope)
    kms.rotate_kek(NOBODY)
    kms.rewrap_keys()
    with world.engine.connect() as connection:
        assert connection.execute(text("SELECT kek_generation FROM kms_wrapping_keys")).scalar_one() == 2
    assert import_key(world.open(), world, wrap(pem, os.urandom(32))).imported
