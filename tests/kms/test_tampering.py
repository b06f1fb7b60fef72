import logging
import os
import sqlite3

import pytest
from sqlalchemy import text

from kms_world import World
from signerd_kms import key_material
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import RootKeyWrong, UnwrapFailed
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms


def sign(kms: Kms, world: World, key: Key) -> bytes:
    return kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY).octets


def edit(world: World, statement: str, **values: object) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.execute(text(statement), values)


EDITS = {
    "export is turned on": "UPDATE kms_keys SET export_allowed = 1 WHERE identity = :a",
    "it is said to be imported": "UPDATE kms_keys SET imported = 1 WHERE identity = :a",
    "an operation is added": "UPDATE kms_keys SET operations = 'encrypt,sign,verify' WHERE identity = :a",
    "the type is changed": "UPDATE kms_keys SET key_type = 'ecdsa-p384' WHERE identity = :a",
    "another key's material is put in": (
        "UPDATE kms_key_versions SET (wrapped, key_check, public_key) = "
        "(SELECT wrapped, key_check, public_key FROM kms_key_versions "
        "WHERE identity = :b) WHERE identity = :a"
    ),
    "another key's public key is put in": (
        "UPDATE kms_key_versions SET public_key = (SELECT public_key FROM kms_key_versions "
        "WHERE identity = :b) WHERE identity = :a"
    ),
    "the check value is changed": "UPDATE kms_key_versions SET key_check = zeroblob(16) WHERE identity = :a",
    "the material is cut": "UPDATE kms_key_versions SET wrapped = substr(wrapped, 1, 40) WHERE identity = :a",
    "the KEK generation is changed": "UPDATE kms_key_versions SET kek_generation = 2 WHERE identity = :a",
    "the KEK is another organisation's": (
        "UPDATE kms_keks SET (wrapped, key_check) = (SELECT wrapped, key_check FROM kms_keks "
        "WHERE organisation = 'o-two') WHERE organisation = 'o-one'"
    ),
}


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("is_loaded", [True, False])
def test_an_edited_row_does_not_open(world: World, statement: str, is_loaded: bool) -> None:
    kms = world.open()
    key, other = (kms.create_key(world.scope, name, KeyType.ECDSA_P256, by=NOBODY) for name in "ab")
    kms.create_key(Scope("o-two", "reg-one"), "a", KeyType.ECDSA_P256, by=NOBODY)
    sign(kms, world, key)
    edit(
        world,
        statement,
        **{
            name: value
            for name, value in (("a", key.identity), ("b", other.identity))
            if f":{name}" in statement
        },
    )
    if "kms_keks" in statement or not is_loaded:  # a KEK in use is not read again
        kms = world.open()
    with pytest.raises(UnwrapFailed):
        sign(kms, world, key)
    refused = world.sink.events[-1]
    assert (refused.action, refused.error, refused.resource) == (
        "kms.sign",
        "kms.unwrap_failed",
        key.identity,
    )
    if "kms_keks" not in statement:
        assert sign(kms, world, other)


def test_a_key_moved_to_another_organisation_does_not_open(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    thief = Scope("o-two", "reg-one")
    kms.create_key(thief, "b", KeyType.ECDSA_P256, by=NOBODY)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table in ("kms_keys", "kms_key_versions"):
            connection.execute(
                text(f"UPDATE {table} SET organisation = 'o-two' WHERE identity = :i"),  # noqa: S608
                {"i": key.identity},
            )
    with pytest.raises(UnwrapFailed):
        kms.sign(thief, key.identity, 1, b"x", by=NOBODY)


def test_a_wrong_root_key_or_an_edited_instance_is_refused(kms: Kms, world: World) -> None:
    assert kms.state == "unsealed"
    right = world.root_key.read_bytes()
    world.root_key.write_bytes(os.urandom(32))
    with pytest.raises(RootKeyWrong, match="'file'"):
        world.open()
    world.root_key.write_bytes(right)
    edit(world, "UPDATE kms_instance SET identity = 'kmsi-00000000000000000000'")
    with pytest.raises(RootKeyWrong):
        world.open()


def test_a_service_key_opens_only_as_it_was_wrapped(kms: Kms, world: World) -> None:
    secret = os.urandom(32)
    bound = [b"example.com.", b"\x0d"]
    wrapped = kms.wrap_service_key(world.scope, "dnssec-zsk", "zsk-1", secret, bound=bound)
    stored = wrapped.octets
    again = world.open()
    with again.unwrap_service_key(world.scope, "dnssec-zsk", "zsk-1", stored, bound=bound) as live:
        assert live.octets == secret
    with again.unwrap_service_key(world.scope, "dnssec-zsk", "zsk-1", wrapped, bound=bound) as live:
        assert live.octets == secret
    kms.wrap_service_key(Scope("o-two", "reg-one"), "p", "i", secret)
    wrong = [
        (Scope("o-two", "reg-one"), "dnssec-zsk", "zsk-1", stored, bound),
        (Scope("o-one", "reg-two"), "dnssec-zsk", "zsk-1", stored, bound),
        (world.scope, "other", "zsk-1", stored, bound),
        (world.scope, "dnssec-zsk", "zsk-2", stored, bound),
        (world.scope, "dnssec-zsk", "zsk-1", stored, bound[:1]),
        (world.scope, "dnssec-zsk", "zsk-1", stored, [b"".join(bound)]),
        (world.scope, "dnssec-zsk", "zsk-1", b"", bound),
        (world.scope, "dnssec-zsk", "zsk-1", stored[:-1], bound),
    ]
    for position in range(len(stored)):
        changed = bytearray(stored)
        changed[position] ^= 1
        wrong.append((world.scope, "dnssec-zsk", "zsk-1", bytes(changed), bound))
    for scope, purpose, identity, octets, fields in wrong:
        with pytest.raises(UnwrapFailed):
            kms.unwrap_service_key(scope, purpose, identity, octets, bound=fields)


def test_no_private_key_is_in_the_files_the_log_or_the_events(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[bytes] = []
    generate = key_material.generate_material

    def remember(key_type: KeyType) -> bytes:
        octets = generate(key_type)
        made.append(bytes(bytearray(octets)))
        return octets

    caplog.set_level(logging.DEBUG)
    kms = world.open()
    monkeypatch.setattr(kms.ready_keys, "_generate", remember)
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    rsa = kms.create_key(world.scope, "b", KeyType.RSA_2048, by=NOBODY)
    zsk = os.urandom(32)
    kms.wrap_service_key(world.scope, "p", "i", zsk)
    sign(kms, world, key)
    seal_key = world.root_key.read_bytes()
    world.engine.dispose()
    with sqlite3.connect(world.directory / "signerd.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    stored = b"".join(
        path.read_bytes() for path in world.directory.iterdir() if path.name.startswith("signerd.db")
    )
    shown = f"{caplog.text}{world.sink.events!r}{key!r}{rsa!r}{kms!r}".encode()
    p256, rsa_2048 = made
    secrets = [zsk, seal_key, p256[36:68], rsa_2048[400:432], rsa_2048[-32:]]
    assert b"kms_keys" in stored
    assert kms.public_key(world.scope, key.identity, 1) in stored
    for secret in secrets:
        assert len(secret) == 32
        assert secret not in stored
        assert secret not in shown
        assert secret.hex().encode() not in shown
