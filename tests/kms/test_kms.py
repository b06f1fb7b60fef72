import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import text

from kms_world import World
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.errors import (
    AuditNotWritten,
    InvalidRequest,
    KeyNameTaken,
    KeyNotUsable,
    KeyUnknown,
    KeyVersionNotUsable,
    KeyVersionUnknown,
    SchemeUnsupported,
)
from signerd_kms.hash_name import HashName
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.signature import DEFAULT_FORM, RsaPadding, SignatureForm

MESSAGE = b"what is signed"


def make(kms: Kms, world: World, name: str = "a key", key_type: KeyType = KeyType.ECDSA_P256) -> Key:
    return kms.create_key(world.scope, name, key_type, by=Attribution("tester", request_id="req-1"))


def sign(kms: Kms, world: World, key: Key, form: SignatureForm = DEFAULT_FORM) -> bytes:
    by = Attribution("tester", request_id="req-2")
    return kms.sign(world.scope, key.identity, 1, MESSAGE, form=form, by=by).octets


PSS = ["-sigopt", "rsa_padding_mode:pss"]


@pytest.mark.parametrize(
    ("key_type", "form", "options"),
    [
        (KeyType.ECDSA_P256, SignatureForm(), ["-sha256"]),
        (KeyType.ECDSA_P384, SignatureForm(HashName.SHA2_384), ["-sha384"]),
        (KeyType.ECDSA_P521, SignatureForm(HashName.SHA3_512), ["-sha3-512"]),
        (KeyType.RSA_2048, SignatureForm(HashName.SHA2_256, RsaPadding.PKCS1V15), ["-sha256"]),
        (KeyType.RSA_2048, SignatureForm(), ["-sha256", *PSS, "-sigopt", "rsa_pss_saltlen:32"]),
        (KeyType.RSA_3072, SignatureForm(HashName.SHA2_512), ["-sha512", *PSS]),
        (KeyType.RSA_4096, SignatureForm(padding=RsaPadding.PKCS1V15), ["-sha256"]),
    ],
)
def test_openssl_verifies_signatures(
    kms: Kms, world: World, tmp_path: Path, key_type: KeyType, form: SignatureForm, options: list[str]
) -> None:
    key = make(kms, world, key_type=key_type)
    (tmp_path / "public").write_bytes(kms.public_key(world.scope, key.identity, 1))
    (tmp_path / "signature").write_bytes(sign(kms, world, key, form))
    (tmp_path / "message").write_bytes(MESSAGE)
    command = ["openssl", "dgst", *options, "-keyform", "DER", "-verify", "public", "-signature", "signature"]
    done = subprocess.run(
        [*command, "message"], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True
    )
    assert "Verified OK" in done.stdout


def test_a_new_key_is_complete_and_found_again(kms: Kms, world: World) -> None:
    key = make(kms, world, "DNSSEC example.com")
    assert (key.slug, key.status, key.latest_version) == ("dnssec-example-com", KeyStatus.ACTIVE, 1)
    assert kms.get_key(world.scope, key.identity) == key
    assert kms.find_key(world.scope, "DNSSEC example.com") == key
    assert kms.find_key(world.scope, "dnssec-example-com") is None
    assert kms.list_keys(world.scope) == [key]
    serialization.load_der_public_key(kms.public_key(world.scope, key.identity, 1))


def test_keys_are_listed_oldest_first(kms: Kms, world: World) -> None:
    made = [make(kms, world, f"key {number}") for number in range(5)]
    assert kms.list_keys(world.scope) == made


@pytest.mark.parametrize("name", ["a key", "A  KEY", "a-key"])
def test_a_name_or_slug_in_use_is_refused(kms: Kms, world: World, name: str) -> None:
    make(kms, world, "a key")
    with pytest.raises(KeyNameTaken):
        make(kms, world, name)
    assert len(kms.list_keys(world.scope)) == 1


def test_names_without_a_slug_are_still_unique(kms: Kms, world: World) -> None:
    key = make(kms, world, "鍵")
    assert key.slug == key.identity
    make(kms, world, "別")
    with pytest.raises(KeyNameTaken):
        make(kms, world, "鍵")


def test_a_name_is_free_in_other_scopes_and_after_deletion_is_scheduled(kms: Kms, world: World) -> None:
    key = make(kms, world)
    for scope in (Scope("o-two", "reg-one"), Scope("o-one", "reg-two"), Scope("o-one", "reg-one", "prj-one")):
        kms.create_key(scope, "a key", KeyType.ECDSA_P256, by=NOBODY)
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE kms_keys SET status = 'pending_deletion' WHERE identity = :i"), {"i": key.identity}
        )
    again = make(kms, world)
    assert kms.find_key(world.scope, "a key") == again


@pytest.mark.parametrize(
    "other", [Scope("o-two", "reg-one"), Scope("o-one", "reg-two"), Scope("o-one", "reg-one", "prj-one")]
)
def test_a_key_is_unknown_outside_its_scope(kms: Kms, world: World, other: Scope) -> None:
    key = make(kms, world)
    assert kms.list_keys(other) == []
    assert kms.find_key(other, key.name) is None
    with pytest.raises(KeyUnknown) as foreign:
        kms.sign(other, key.identity, 1, MESSAGE, by=NOBODY)
    with pytest.raises(KeyUnknown):
        kms.get_key(other, key.identity)
    with pytest.raises(KeyUnknown):
        kms.disable(other, key.identity, by=NOBODY)
    assert str(foreign.value) == f"no key {key.identity}"


def test_unknown_versions_are_refused(kms: Kms, world: World) -> None:
    key = make(kms, world)
    for version in (0, 2, -1):
        with pytest.raises(KeyVersionUnknown):
            kms.public_key(world.scope, key.identity, version)
        with pytest.raises(KeyVersionNotUsable):
            kms.sign(world.scope, key.identity, version, MESSAGE, by=NOBODY)


@pytest.mark.parametrize("name", ["", "x" * 256, "tab\there", "line\nbreak", "nul\0"])
def test_bad_names_are_refused(kms: Kms, world: World, name: str) -> None:
    with pytest.raises(InvalidRequest):
        make(kms, world, name)


def test_a_form_must_fit_the_key(kms: Kms, world: World) -> None:
    key = make(kms, world)
    with pytest.raises(SchemeUnsupported, match="RSA padding"):
        sign(kms, world, key, SignatureForm(padding=RsaPadding.PSS))
    assert world.sink.events[-1].error == "kms.scheme_unsupported"


@pytest.mark.parametrize("data", [b"", bytes((1 << 20) + 1)])
def test_messages_are_bounded(kms: Kms, world: World, data: bytes) -> None:
    key = make(kms, world)
    with pytest.raises(InvalidRequest):
        kms.sign(world.scope, key.identity, 1, data, by=NOBODY)


@pytest.mark.parametrize("context", [{"zone": "ex\nample"}, {"é": "x"}, {str(n): "" for n in range(17)}])
def test_context_is_safe_for_a_log(kms: Kms, world: World, context: dict[str, str]) -> None:
    key = make(kms, world)
    with pytest.raises(InvalidRequest):
        kms.sign(
            world.scope,
            key.identity,
            1,
            MESSAGE,
            by=NOBODY,
            context=context,
        )


def test_a_disabled_key_does_not_sign_until_it_is_enabled(kms: Kms, world: World) -> None:
    key = make(kms, world)
    disabled = kms.disable(world.scope, key.identity, by=Attribution("tester"))
    assert (disabled.status, disabled.object_version) == (KeyStatus.DISABLED, 2)
    with pytest.raises(KeyNotUsable, match="disabled"):
        sign(kms, world, key)
    refused = world.sink.events[-1]
    assert (refused.action, refused.succeeded, refused.error) == ("kms.sign", False, "kms.key_not_usable")
    assert kms.disable(world.scope, key.identity, by=Attribution("tester")) == disabled
    kms.enable(world.scope, key.identity, by=Attribution("tester"))
    assert sign(kms, world, key)


def test_a_key_disabled_while_it_signs_gives_no_signature(
    kms: Kms, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(kms, world)

    def sign_slowly(*_: object) -> bytes:
        kms.disable(world.scope, key.identity, by=Attribution("other"))
        return b"a signature"

    monkeypatch.setattr("signerd_kms.signature.sign", sign_slowly)
    with pytest.raises(KeyNotUsable):
        sign(kms, world, key)
    assert not world.sink.events[-1].succeeded


def test_a_key_pending_deletion_is_neither_used_nor_enabled(kms: Kms, world: World) -> None:
    key = make(kms, world)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE kms_keys SET status = 'pending_deletion'"))
    with pytest.raises(KeyNotUsable, match="pending deletion"):
        sign(kms, world, key)
    with pytest.raises(KeyNotUsable):
        kms.enable(world.scope, key.identity, by=NOBODY)


def test_every_use_is_in_the_audit_with_who_and_why(kms: Kms, world: World) -> None:
    key = make(kms, world)
    kms.sign(
        world.scope,
        key.identity,
        1,
        MESSAGE,
        by=Attribution("alice", "dns-dnssec", "req-9"),
        context={"zone": "example.com."},
    )
    assert world.sink.actions() == ["kms.init", "kms.kek.create", "kms.create", "kms.sign"]
    event = world.sink.events[-1]
    assert (event.organisation, event.region, event.resource) == ("o-one", "reg-one", key.identity)
    assert (event.actor, event.via, event.request_id, event.key_version) == (
        "alice",
        "dns-dnssec",
        "req-9",
        1,
    )
    assert event.details == {"zone": "example.com.", "octets": len(MESSAGE)}


def test_without_an_audit_event_there_is_no_signature_and_no_key(kms: Kms, world: World) -> None:
    key = make(kms, world)
    world.sink.failure = RuntimeError("the audit is full")
    with pytest.raises(AuditNotWritten) as failed:
        sign(kms, world, key)
    assert isinstance(failed.value.__cause__, RuntimeError)
    with pytest.raises(AuditNotWritten):
        make(kms, world, "another")
    with pytest.raises(AuditNotWritten):
        kms.disable(world.scope, key.identity, by=NOBODY)
    world.sink.failure = None
    assert kms.list_keys(world.scope) == [key]
    assert sign(kms, world, key)


def test_keys_are_counted_by_region_and_status(kms: Kms, world: World) -> None:
    make(kms, world, "one")
    kms.disable(world.scope, make(kms, world, "two").identity, by=NOBODY)
    kms.create_key(Scope("o-one", "reg-two"), "three", KeyType.ECDSA_P256, by=NOBODY)
    kms.create_key(Scope("o-one", "reg-two", "prj-one"), "four", KeyType.ECDSA_P256, by=NOBODY)
    kms.create_key(Scope("o-two", "reg-one"), "five", KeyType.ECDSA_P256, by=NOBODY)
    assert kms.count_keys("o-one") == {
        "reg-one": {KeyStatus.ACTIVE: 1, KeyStatus.DISABLED: 1},
        "reg-two": {KeyStatus.ACTIVE: 1},
    }
    assert kms.count_keys("o-one", "prj-one") == {"reg-two": {KeyStatus.ACTIVE: 1}}
    assert kms.count_keys("o-none") == {}


def test_keys_outlive_a_restart(kms: Kms, world: World) -> None:
    key = make(kms, world)
    again = world.open()
    assert again.get_key(world.scope, key.identity) == key
    assert sign(again, world, key)


def test_an_unknown_key_is_named(kms: Kms, world: World) -> None:
    with pytest.raises(KeyUnknown, match="kms-none"):
        kms.get_key(world.scope, KeyIdentity("kms-none"))
