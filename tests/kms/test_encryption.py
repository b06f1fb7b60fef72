import base64
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kms_world import World
from signerd_kms import nonce_budget
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.encryption import Decrypt, Encrypt
from signerd_kms.errors import (
    DecryptFailed,
    InvalidRequest,
    KeyNotUsable,
    KeyVersionExhausted,
    KeyVersionNotUsable,
    KmsError,
    OperationUnsupported,
    SchemeUnsupported,
)
from signerd_kms.key import OPERATIONS, Key, KeyType, Operation
from signerd_kms.kms import Kms

AEAD = [KeyType.AES128_GCM96, KeyType.AES256_GCM96, KeyType.CHACHA20_POLY1305]
BY = Attribution("user:tester", request_id="req-1", credential="t-1", address="192.0.2.1")


def make(kms: Kms, world: World, key_type: KeyType, name: str = "a key") -> Key:
    return kms.create_key(world.scope, name, key_type, by=BY)


def encrypt(kms: Kms, world: World, key: Key, plaintext: bytes = b"plaintext") -> str:
    return kms.encrypt(world.scope, key.identity, plaintext, by=BY).text


def decrypt(kms: Kms, world: World, key: Key, ciphertext: str) -> bytes:
    return kms.decrypt(world.scope, key.identity, ciphertext, by=BY).plaintext


@pytest.mark.parametrize(
    ("key_type", "limit"),
    [*((kind, 65_535) for kind in AEAD), (KeyType.RSA_2048, 190), (KeyType.RSA_3072, 318)],
)
def test_decrypt_undoes_encrypt_up_to_the_limit(
    kms: Kms, world: World, key_type: KeyType, limit: int
) -> None:
    key = make(kms, world, key_type)
    for length in (1, 16, limit):
        plaintext = os.urandom(length)
        ciphertext = encrypt(kms, world, key, plaintext)
        assert ciphertext.startswith("thalassa:v1:")
        assert decrypt(kms, world, key, ciphertext) == plaintext
        assert encrypt(kms, world, key, plaintext) != ciphertext
    for length in (0, limit + 1):
        with pytest.raises(InvalidRequest, match=str(limit)):
            encrypt(kms, world, key, bytes(length))


@pytest.mark.parametrize("key_type", [*AEAD, KeyType.RSA_2048])
def test_every_changed_octet_gives_the_one_message(kms: Kms, world: World, key_type: KeyType) -> None:
    key = make(kms, world, key_type)
    other = make(kms, world, key_type, "another key")
    head, _, body = encrypt(kms, world, key).rpartition(":")
    octets = base64.b64decode(body)
    wrong = [encrypt(kms, world, other), "thalassa:v2:" + body, "thalassa:v01:" + body, "vault:v1:" + body]
    positions = range(len(octets)) if key_type in AEAD else range(0, len(octets), 16)
    for position in positions:
        changed = bytearray(octets)
        changed[position] ^= 1 << (position % 8)
        wrong.append(f"{head}:{base64.b64encode(changed).decode()}")
    for length in {0, 1, 8, 9, 10, 21, 36, len(octets) // 2, len(octets) - 1}:
        if length < len(octets):
            wrong.append(f"{head}:{base64.b64encode(octets[:length]).decode()}")
    wrong.append(f"{head}:{base64.b64encode(octets + bytes(1)).decode()}")
    wrong += ["", "thalassa:v1:", f"{head}:{body}\n", f" {head}:{body}", f"{head}:!{body}", "x" * 200_000]
    messages: set[tuple[str, str]] = set()
    for text_ in wrong:
        with pytest.raises(DecryptFailed) as failed:
            decrypt(kms, world, key, text_)
        messages.add((failed.value.code, str(failed.value)))
        event = world.sink.events[-1]
        assert (event.action, event.succeeded, event.error) == ("kms.decrypt", False, "kms.decrypt_failed")
    assert len(messages) == 1
    assert decrypt(kms, world, key, f"{head}:{body}") == b"plaintext"


def test_base64_that_decodes_but_is_not_canonical_is_refused(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    for length in (1, 2, 3):
        ciphertext = encrypt(kms, world, key, bytes(length))
        if ciphertext.endswith("="):
            stem = ciphertext.rstrip("=")
            alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            twin = stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + "=" * (len(ciphertext) - len(stem))
            assert base64.b64decode(twin.split(":")[2], validate=True) == base64.b64decode(
                ciphertext.split(":")[2]
            )
            with pytest.raises(DecryptFailed):
                decrypt(kms, world, key, twin)


def test_associated_data_must_be_the_same(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    made = kms.encrypt(world.scope, key.identity, b"x", by=BY, associated_data=b"ours")
    for wrong in (None, b"our", b"theirs", b"ours\0"):
        with pytest.raises(DecryptFailed):
            kms.decrypt(world.scope, key.identity, made.text, by=BY, associated_data=wrong)
    opened = kms.decrypt(world.scope, key.identity, made.text, by=BY, associated_data=b"ours")
    assert opened.plaintext == b"x"
    plain = encrypt(kms, world, key)
    with pytest.raises(DecryptFailed):
        kms.decrypt(world.scope, key.identity, plain, by=BY, associated_data=b"ours")
    with pytest.raises(InvalidRequest, match="8192"):
        kms.encrypt(world.scope, key.identity, b"x", by=BY, associated_data=bytes(8193))
    rsa = make(kms, world, KeyType.RSA_2048, "rsa")
    with pytest.raises(SchemeUnsupported):
        kms.encrypt(world.scope, rsa.identity, b"x", by=BY, associated_data=b"ours")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.booleans(), min_size=1, max_size=8), data=st.data())
def test_every_version_decrypts_after_any_row_of_rotations(
    kms: Kms, world: World, steps: list[bool], data: st.DataObject
) -> None:
    key_type = data.draw(st.sampled_from(AEAD))
    key = make(kms, world, key_type, f"key {len(kms.list_keys(world.scope))}")
    made: list[tuple[str, bytes, int]] = []
    version = 1
    for is_rotation in steps:
        if is_rotation:
            version = kms.rotate(world.scope, key.identity, by=BY).latest_version
        plaintext = data.draw(st.binary(min_size=1, max_size=40))
        chosen = data.draw(st.one_of(st.none(), st.integers(1, version)))
        sealed = kms.encrypt(world.scope, key.identity, plaintext, by=BY, version=chosen)
        assert sealed.version == (chosen or version)
        made.append((sealed.text, plaintext, sealed.version))
    for ciphertext, plaintext, used in made:
        opened = kms.decrypt(world.scope, key.identity, ciphertext, by=BY)
        assert (opened.plaintext, opened.version) == (plaintext, used)
        again = kms.rewrap(world.scope, key.identity, ciphertext, by=BY)
        assert again.version == version
        assert decrypt(kms, world, key, again.text) == plaintext


def test_a_version_that_does_not_exist_is_refused(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    for version in (0, 2, -1, 1 << 40):
        with pytest.raises(KeyVersionNotUsable):
            kms.encrypt(world.scope, key.identity, b"x", by=BY, version=version)


@pytest.mark.parametrize(
    "key_type", sorted(kind for kind, can in OPERATIONS.items() if Operation.ENCRYPT not in can)
)
def test_types_that_cannot_encrypt_say_so(kms: Kms, world: World, key_type: KeyType) -> None:
    key = make(kms, world, key_type)
    with pytest.raises(OperationUnsupported, match=key_type.value):
        encrypt(kms, world, key)
    with pytest.raises(OperationUnsupported, match=key_type.value):
        decrypt(kms, world, key, "thalassa:v1:AAAA")
    assert world.sink.events[-1].error == "kms.operation_unsupported"


def test_a_data_key_is_given_in_clear_only_on_request(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    for octets in (16, 32, 64):
        made = kms.make_data_key(world.scope, key.identity, by=BY, octets=octets)
        assert made.plaintext is not None
        assert len(made.plaintext) == octets
        assert decrypt(kms, world, key, made.ciphertext.text) == made.plaintext
    hidden = kms.make_data_key(world.scope, key.identity, by=BY, is_plaintext_wanted=False)
    assert hidden.plaintext is None
    assert len(decrypt(kms, world, key, hidden.ciphertext.text)) == 32
    with pytest.raises(InvalidRequest, match="16, 32 or 64"):
        kms.make_data_key(world.scope, key.identity, by=BY, octets=24)


def test_each_item_of_a_batch_has_its_own_result_and_event(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    before = len(world.sink.events)
    outcomes = kms.use_all(
        world.scope, key.identity, [Encrypt(b"one"), Encrypt(b""), Encrypt(b"three", version=9)], by=BY
    )
    assert [isinstance(outcome, KmsError) for outcome in outcomes] == [False, True, True]
    events = world.sink.events[before:]
    assert [event.succeeded for event in events] == [True, False, False]
    assert {(event.actor, event.request_id, event.credential, event.address) for event in events} == {
        ("user:tester", "req-1", "t-1", "192.0.2.1")
    }
    with pytest.raises(InvalidRequest):
        kms.use_all(world.scope, key.identity, [Decrypt("x")] * 257, by=BY)
    with pytest.raises(InvalidRequest):
        kms.use_all(world.scope, key.identity, [], by=BY)


def test_a_disabled_key_refuses_a_whole_batch(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    kms.disable(world.scope, key.identity, by=BY)
    outcomes = kms.use_all(world.scope, key.identity, [Encrypt(b"one"), Encrypt(b"two")], by=BY)
    assert [type(outcome) for outcome in outcomes] == [KeyNotUsable, KeyNotUsable]


def read_reserved(kms: Kms, world: World, key: Key) -> int:
    return kms.get_key(world.scope, key.identity).versions[-1].reserved_messages


def set_reserved(world: World, count: int) -> None:
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE kms_key_versions SET reserved_messages = :n"), {"n": count})


def test_messages_are_reserved_in_blocks_before_they_are_encrypted(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    assert read_reserved(kms, world, key) == 0
    for _ in range(3):
        encrypt(kms, world, key)
    assert read_reserved(kms, world, key) == nonce_budget.BLOCK
    encrypt(world.open(), world, key)  # a restart counts too many, never too few
    assert read_reserved(kms, world, key) == 2 * nonce_budget.BLOCK


def test_a_spent_block_makes_another(kms: Kms, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonce_budget, "BLOCK", 3)
    key = make(kms, world, KeyType.CHACHA20_POLY1305)
    for _ in range(7):
        encrypt(kms, world, key)
    assert read_reserved(kms, world, key) == 9


@pytest.mark.parametrize(("lost", "blocks"), [(0, 1), (1, 1), (1 << 16, 2), (200_000, 4)])
def test_what_an_older_copy_does_not_know_of_is_counted_for_every_key_that_encrypts(
    kms: Kms, world: World, lost: int, blocks: int
) -> None:
    used = kms.create_key(world.scope, "used", KeyType.AES256_GCM96, by=BY)
    unused = kms.create_key(world.scope, "unused", KeyType.CHACHA20_POLY1305, by=BY)
    signing = kms.create_key(world.scope, "signing", KeyType.ECDSA_P256, by=BY)
    encrypt(kms, world, used)
    assert kms.skip_lost_messages(lost) == blocks * nonce_budget.BLOCK
    assert read_reserved(kms, world, used) == (1 + blocks) * nonce_budget.BLOCK
    assert read_reserved(kms, world, unused) == blocks * nonce_budget.BLOCK
    assert read_reserved(kms, world, signing) == 0
    event = world.sink.events[-1]
    assert event.action == "kms.skip_messages"
    assert event.details == {"messages": blocks * nonce_budget.BLOCK, "versions": 2}
    encrypt(kms, world, used)  # what was left of the block is not spent
    assert read_reserved(kms, world, used) == (2 + blocks) * nonce_budget.BLOCK


def test_a_version_that_may_have_encrypted_too_much_in_what_is_lost_refuses(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    kms.skip_lost_messages(1 << 33)
    assert read_reserved(kms, world, key) == nonce_budget.LIMIT
    with pytest.raises(KeyVersionExhausted):
        encrypt(kms, world, key)


def test_a_version_refuses_at_its_last_block_with_an_error_of_its_own(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.AES256_GCM96)
    ciphertext = encrypt(kms, world, key)
    set_reserved(world, nonce_budget.LIMIT - nonce_budget.BLOCK)
    again = world.open()
    encrypt(again, world, key)
    assert read_reserved(kms, world, key) == nonce_budget.LIMIT == (1 << 32) - (1 << 20)
    third = world.open()
    with pytest.raises(KeyVersionExhausted):
        encrypt(third, world, key)
    assert world.sink.events[-1].error == "kms.key_version_exhausted"
    assert decrypt(third, world, key, ciphertext) == b"plaintext"
    third.rotate(world.scope, key.identity, by=NOBODY)
    encrypt(third, world, key)


def test_a_key_that_has_encrypted_much_is_rotated(kms: Kms, world: World) -> None:
    worn, fresh = (make(kms, world, KeyType.AES256_GCM96, name) for name in ("worn", "fresh"))
    set_reserved(world, nonce_budget.ROTATE_AT - nonce_budget.BLOCK)
    assert kms.rotate_due(world.clock.now()) == []
    encrypt(kms, world, worn)
    assert kms.rotate_due(world.clock.now()) == [worn.identity]
    event = world.sink.events[-1]
    assert (event.action, event.actor, event.details) == (
        "kms.rotate.scheduled",
        None,
        {"reason": "messages"},
    )
    assert kms.rotate_due(world.clock.now()) == []
    assert kms.get_key(world.scope, fresh.identity).latest_version == 1
