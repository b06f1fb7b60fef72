import os
from pathlib import Path

import pytest
from sqlalchemy import text

from kms_world import World
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import KeyNotUsable, KeyUnknown, StoreUnavailable
from signerd_kms.key import Key, KeyType
from signerd_kms.kms import Kms
from signerd_kms.state import Task

DAY = 86_400


def make(kms: Kms, world: World, key_type: KeyType = KeyType.AES256_GCM96, name: str = "a key") -> Key:
    return kms.create_key(world.scope, name, key_type, by=NOBODY)


def schedule(kms: Kms, world: World, key: Key) -> int:
    deleted = kms.schedule_deletion(world.scope, key.identity, by=NOBODY)
    assert deleted.deletion_scheduled_at is not None
    return deleted.deletion_scheduled_at


def read_wrapped(world: World, key: Key) -> list[bytes]:
    with world.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT wrapped FROM kms_key_versions WHERE identity = :i"), {"i": key.identity}
        )
        return [bytes(row.wrapped) for row in rows]


def read_files(directory: Path) -> bytes:
    return b"".join(
        (directory / name).read_bytes()
        for name in os.listdir(directory)  # noqa: PTH208  # names only, while the files change
        if name.startswith("signerd.db")
    )


@pytest.mark.parametrize("key_type", [KeyType.AES256_GCM96, KeyType.ECDSA_P256, KeyType.RSA_2048])
def test_no_octet_of_the_wrapped_material_is_left_in_the_files(
    kms: Kms, world: World, key_type: KeyType
) -> None:
    key, other = make(kms, world, key_type), make(kms, world, name="other")
    kms.rotate(world.scope, key.identity, by=NOBODY)
    blobs = read_wrapped(world, key)
    assert len(blobs) == 2
    stored = read_files(world.directory)
    parts = [blob[start : start + 16] for blob in blobs for start in range(1, len(blob) - 16, 16)]
    for part in parts[:3]:
        assert part in stored
    assert kms.purge_due(schedule(kms, world, key)) == [key.identity]
    left = read_files(world.directory)
    for part in parts:
        assert part not in left
    assert read_wrapped(world, other)[0] in left


def test_a_destroyed_key_leaves_tombstones_and_an_audit_event(kms: Kms, world: World) -> None:
    key = make(kms, world)
    kms.rotate(world.scope, key.identity, by=NOBODY)
    due = schedule(kms, world, key)
    assert kms.purge_due(due - 1) == []
    assert kms.purge_due(due) == [key.identity]
    assert kms.purge_due(due) == []
    with world.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM kms_tombstones ORDER BY version")).all()
    assert [(row.identity, row.version, row.region, row.destroyed_at) for row in rows] == [
        (key.identity, 1, "reg-one", due),
        (key.identity, 2, "reg-one", due),
    ]
    assert all(len(row.key_check) == 16 for row in rows)
    event = world.sink.events[-1]
    assert (event.action, event.actor, event.resource) == ("kms.deleted", None, key.identity)
    assert event.details == {"keyType": "aes256-gcm96", "name": "a key", "versions": 2}
    for call in (
        lambda: kms.get_key(world.scope, key.identity),
        lambda: kms.encrypt(world.scope, key.identity, b"x", by=NOBODY),
        lambda: kms.cancel_deletion(world.scope, key.identity, by=NOBODY),
        lambda: kms.rotate(world.scope, key.identity, by=NOBODY),
    ):
        with pytest.raises(KeyUnknown):
            call()


def test_a_destroyed_key_leaves_the_memory(kms: Kms, world: World) -> None:
    key, other = make(kms, world), make(kms, world, name="other")
    for used in (key, other):
        kms.encrypt(world.scope, used.identity, b"x", by=NOBODY)
    with kms.custodian.unsealed(Task.USE) as hierarchy:
        assert hierarchy.list_loaded() == {key.identity, other.identity}
        kms.purge_due(schedule(kms, world, key))
        assert hierarchy.list_loaded() == {other.identity}


def test_destroying_works_while_sealed(kms: Kms, world: World) -> None:
    key = make(kms, world)
    kms.seal()
    due = schedule(kms, world, key)
    assert kms.purge_due(due) == [key.identity]
    assert kms.list_keys(world.scope) == []


def test_a_key_whose_deletion_is_cancelled_is_not_destroyed(kms: Kms, world: World) -> None:
    key = make(kms, world)
    due = schedule(kms, world, key)
    kms.cancel_deletion(world.scope, key.identity, by=NOBODY)
    assert kms.purge_due(due) == []
    assert kms.encrypt(world.scope, key.identity, b"x", by=NOBODY)


def test_without_its_audit_event_nothing_is_destroyed(kms: Kms, world: World) -> None:
    key = make(kms, world)
    due = schedule(kms, world, key)
    world.sink.failure = RuntimeError("the audit is full")
    with pytest.raises(Exception, match="not stored"):
        kms.purge_due(due)
    world.sink.failure = None
    assert len(read_wrapped(world, key)) == 1
    assert kms.cancel_deletion(world.scope, key.identity, by=NOBODY).status == "active"


def test_a_database_that_cannot_be_tidied_says_so(
    kms: Kms, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(kms, world)
    due = schedule(kms, world, key)

    def fail() -> None:
        raise StoreUnavailable("the database cannot be tidied")

    monkeypatch.setattr(kms.custodian.store, "overwrite_deleted", fail)
    with pytest.raises(StoreUnavailable):
        kms.purge_due(due)
    with pytest.raises(KeyUnknown):
        kms.get_key(world.scope, key.identity)


def test_the_zones_that_depend_on_a_key_are_listed(kms: Kms, world: World) -> None:
    key = make(kms, world, KeyType.ECDSA_P256)
    zone = b"\x07example\x03com\x00"
    assert kms.list_zones(world.scope, key.identity) == []
    kms.bind_zone(world.scope, key.identity, zone, by=NOBODY)
    assert kms.list_zones(world.scope, key.identity) == [zone]
    kms.purge_due(schedule(kms, world, key))
    with pytest.raises(KeyUnknown):
        kms.list_zones(world.scope, key.identity)


def test_a_key_pending_deletion_is_not_used(kms: Kms, world: World) -> None:
    key = make(kms, world)
    schedule(kms, world, key)
    with pytest.raises(KeyNotUsable, match="pending deletion"):
        kms.encrypt(world.scope, key.identity, b"x", by=NOBODY)


def test_the_cache_of_loaded_keys_is_bounded(kms: Kms, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signerd_kms.hierarchy.MAX_LOADED_KEYS", 3)
    keys = [make(kms, world, name=f"key {number}") for number in range(6)]
    sealed = {key.identity: kms.encrypt(world.scope, key.identity, b"x", by=NOBODY).text for key in keys}
    with kms.custodian.unsealed(Task.USE) as hierarchy:
        assert hierarchy.list_loaded() == {key.identity for key in keys[3:]}
    for identity, ciphertext in sealed.items():
        assert kms.decrypt(world.scope, identity, ciphertext, by=NOBODY).plaintext == b"x"
