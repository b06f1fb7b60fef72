import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from kms_world import World
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.errors import (
    KmsError,
    LastSeal,
    NoSealOpens,
    RootKeyMissing,
    RootKeyWrong,
    Sealed,
    SealFailed,
    SealNotReady,
    SealUnknown,
    StoreUnavailable,
    UnwrapFailed,
)
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seal import Seal
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.seals.passphrase import ArgonCost, PassphraseSeal
from signerd_kms.state import State
from signerd_kms.wrapping import LiveKey, WrappedKey

OPERATOR = Attribution("user:operator", request_id="r-1")
CHEAP = ArgonCost(memory_kib=64, passes=1, lanes=1)


def open_kms(world: World, *seals: Seal) -> Kms:
    return Kms.open(world.engine, list(seals), world.clock, world.sink)


def file_seal(world: World, name: str) -> FileSeal:
    return FileSeal(world.directory / f"{name}.key", seal_id=name)


def passphrase_seal(passphrase: str = "correct horse battery") -> PassphraseSeal:  # noqa: S107  # of the tests
    seal = PassphraseSeal(cost=CHEAP)
    seal.give(passphrase)
    return seal


def create(kms: Kms, world: World, name: str = "a") -> Key:
    return kms.create_key(world.scope, name, KeyType.ECDSA_P256, by=NOBODY)


def sign(kms: Kms, world: World, key: Key) -> bytes:
    return kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY).octets


def list_seal_ids(kms: Kms) -> list[str]:
    return [status.seal_id for status in kms.list_seals()]


def dump(world: World, table: str) -> list[tuple[object, ...]]:
    with world.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608


class BrokenSeal:
    """Wraps, and then gives something else, or nothing."""

    seal_id = "broken"
    kind = "broken"

    def __init__(self, gives: bytes | None) -> None:
        self._gives = gives

    def prepare(self) -> None: ...

    def forget(self) -> None: ...

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        return WrappedKey(b"w", b"k" * 16)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        if self._gives is None:
            raise UnwrapFailed("it does not open")
        return LiveKey(bytes(bytearray(self._gives)))


# Several seals


def test_two_seals_from_the_first_start_and_each_opens_alone(world: World) -> None:
    both = (file_seal(world, "one"), passphrase_seal())
    kms = open_kms(world, *both)
    key = create(kms, world)
    assert list_seal_ids(kms) == ["one", "passphrase"]
    for seal in (file_seal(world, "one"), passphrase_seal()):
        assert sign(open_kms(world, seal), world, key)


def test_seals_are_tried_in_order_until_one_opens(world: World, caplog: pytest.LogCaptureFixture) -> None:
    open_kms(world, file_seal(world, "one"), passphrase_seal())
    (world.directory / "one.key").unlink()
    kms = open_kms(world, file_seal(world, "one"), passphrase_seal())
    assert kms.state is State.UNSEALED
    assert dict(world.sink.events[-1].details) == {"seal": "passphrase", "failed_seals": 1}
    assert "one.key" in caplog.text


def test_what_each_seal_says_is_reported_when_none_opens(world: World) -> None:
    open_kms(world, file_seal(world, "one"), passphrase_seal()).seal()
    (world.directory / "one.key").unlink()
    sealed = Kms(world.engine, world.clock, world.sink)
    with pytest.raises(NoSealOpens, match=r"one\.key.*missing.*waits for its passphrase"):
        sealed.unseal(file_seal(world, "one"), PassphraseSeal())
    with pytest.raises(NoSealOpens, match=r"passphrase is wrong.*never wrapped"):
        sealed.unseal(passphrase_seal("wrong horse battery"), file_seal(world, "other"))
    assert sealed.state is State.SEALED


@pytest.mark.parametrize("gives", [None, b"x" * 32])
def test_a_seal_that_does_not_open_what_it_wrapped_is_not_accepted_at_the_first_start(
    world: World, gives: bytes | None
) -> None:
    kms = Kms(world.engine, world.clock, world.sink)
    with pytest.raises(SealFailed, match="'broken'"):
        kms.initialise(file_seal(world, "one"), BrokenSeal(gives))
    assert kms.state is State.UNINITIALISED
    assert dump(world, "kms_instance") == []
    assert dump(world, "kms_root_key_wraps") == []


@pytest.mark.parametrize("gives", [None, b"x" * 32])
def test_a_seal_that_does_not_open_what_it_wrapped_is_not_added(
    kms: Kms, world: World, gives: bytes | None
) -> None:
    before = dump(world, "kms_root_key_wraps")
    with pytest.raises(SealFailed, match="'broken'"):
        kms.reseal([world.seal, BrokenSeal(gives)], OPERATOR)
    assert dump(world, "kms_root_key_wraps") == before


def test_a_seal_is_added_and_then_opens_alone(kms: Kms, world: World) -> None:
    key = create(kms, world)
    assert kms.reseal([world.seal, file_seal(world, "usb")], OPERATOR) == ["usb"]
    event = world.sink.events[-1]
    assert (event.action, event.actor, event.request_id) == ("kms.reseal", "user:operator", "r-1")
    assert list_seal_ids(kms) == ["file", "usb"]
    assert sign(open_kms(world, file_seal(world, "usb")), world, key)


def test_resealing_wraps_anew(kms: Kms, world: World) -> None:
    before = dump(world, "kms_root_key_wraps")
    assert kms.reseal([world.seal], OPERATOR) == []
    after = dump(world, "kms_root_key_wraps")
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert after[0][2] != before[0][2]
    world.open()


def test_a_replaced_key_file_needs_the_previous_one_only_until_resealing(kms: Kms, world: World) -> None:
    key = create(kms, world)
    previous = world.directory / "previous.key"
    world.root_key.rename(previous)
    FileSeal(world.root_key).prepare()
    both = FileSeal(world.root_key, previous=previous)
    with pytest.raises(RootKeyWrong, match="wrapped under the seal key"):
        world.open()
    open_kms(world, both).reseal([both], OPERATOR)
    previous.unlink()
    assert sign(world.open(), world, key)


def test_a_seal_is_removed_once_another_was_seen_to_open(kms: Kms, world: World) -> None:
    usb = file_seal(world, "usb")
    kms.reseal([usb], OPERATOR)
    kms.remove_seal("file", [world.seal, usb], OPERATOR)
    assert list_seal_ids(kms) == ["usb"]
    assert dict(world.sink.events[-1].details) == {"seal": "file", "proven": "usb"}
    with pytest.raises(SealUnknown):
        world.open()
    open_kms(world, usb)


def test_the_last_seal_that_works_is_not_removed(kms: Kms, world: World) -> None:
    with pytest.raises(LastSeal, match="there is no other"):
        kms.remove_seal("file", [world.seal], OPERATOR)
    usb = file_seal(world, "usb")
    with pytest.raises(LastSeal, match="'usb' does not hold it"):
        kms.remove_seal("file", [world.seal, usb], OPERATOR)
    kms.reseal([usb], OPERATOR)
    (world.directory / "usb.key").unlink()
    with pytest.raises(LastSeal, match=r"usb\.key"):
        kms.remove_seal("file", [world.seal, usb], OPERATOR)
    (world.directory / "usb.key").touch(0o600)
    (world.directory / "usb.key").write_bytes(os.urandom(32))
    with pytest.raises(LastSeal, match="usb"):
        kms.remove_seal("file", [world.seal, usb], OPERATOR)
    with pytest.raises(SealUnknown):
        kms.remove_seal("none", [world.seal], OPERATOR)
    assert list_seal_ids(kms) == ["file", "usb"]


# Rotation


def test_after_a_rotation_everything_opens_under_the_new_root_key_only(kms: Kms, world: World) -> None:
    keys = [create(kms, world, name) for name in "ab"]
    other = kms.create_key(Scope("o-two", "reg-one"), "c", KeyType.ECDSA_P256, by=NOBODY)
    service = kms.wrap_service_key(world.scope, "p", "i", b"sixteen octets!!")
    old_wraps, old_keks = dump(world, "kms_root_key_wraps"), dump(world, "kms_keks")
    assert kms.rotate_root([world.seal], OPERATOR) == 2
    event = world.sink.events[-1]
    assert (event.action, event.actor) == ("kms.root.rotate", "user:operator")
    assert dict(event.details) == {"generation": 2, "keyEncryptionKeys": 2}
    for again in (kms, world.open()):
        assert all(sign(again, world, key) for key in keys)
        scope = Scope("o-two", "reg-one")
        again.sign(scope, other.identity, 1, b"x", by=NOBODY)
        with again.unwrap_service_key(world.scope, "p", "i", service) as live:
            assert live.octets == b"sixteen octets!!"
    wraps, keks = dump(world, "kms_root_key_wraps"), dump(world, "kms_keks")
    assert len(wraps) == len(old_wraps) == 1
    assert {row[3] for row in keks} == {2}
    assert not {row[4] for row in keks} & {row[4] for row in old_keks}


def test_what_is_derived_stays_the_same_over_rotations(kms: Kms, world: World) -> None:
    def derive(source: Kms) -> dict[Label, bytes]:
        made: dict[Label, bytes] = {}
        for label in Label:
            if label is not Label.WRAP:
                with source.derive_key(label) as key:
                    made[label] = bytes(bytearray(key.octets))
        return made

    before = derive(kms)
    for _ in range(2):
        kms.rotate_root([world.seal], OPERATOR)
        assert derive(kms) == before
        assert derive(world.open()) == before


def test_a_changed_derived_key_stops_the_start(kms: Kms, world: World) -> None:
    kms.rotate_root([world.seal], OPERATOR)
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE kms_derived_keys SET (wrapped, key_check) = (SELECT wrapped, key_check FROM "
                "kms_derived_keys WHERE label = 'cursor') WHERE label = 'token-pepper'"
            )
        )
    with pytest.raises(UnwrapFailed):
        world.open()


def test_a_rotation_needs_every_seal_that_holds_the_root_key(kms: Kms, world: World) -> None:
    kms.reseal([passphrase_seal()], OPERATOR)
    before = dump(world, "kms_root_key_wraps")
    with pytest.raises(SealNotReady, match="'passphrase' holds the root key and is not configured"):
        kms.rotate_root([world.seal], OPERATOR)
    with pytest.raises(SealNotReady, match="waits for its passphrase"):
        kms.rotate_root([world.seal, PassphraseSeal()], OPERATOR)
    with pytest.raises(SealFailed, match="passphrase is wrong"):
        kms.rotate_root([world.seal, passphrase_seal("mistyped horse battery")], OPERATOR)
    assert dump(world, "kms_root_key_wraps") == before
    assert kms.rotate_root([world.seal, passphrase_seal()], OPERATOR) == 2
    for seal in (world.seal, passphrase_seal()):
        open_kms(world, seal)


def test_a_rotation_with_a_kek_that_does_not_open_changes_nothing(kms: Kms, world: World) -> None:
    create(kms, world)
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE kms_keks SET key_check = zeroblob(16)"))
    before = [dump(world, table) for table in ("kms_instance", "kms_root_key_wraps", "kms_keks")]
    with pytest.raises(UnwrapFailed):
        kms.rotate_root([world.seal], OPERATOR)
    assert [dump(world, table) for table in ("kms_instance", "kms_root_key_wraps", "kms_keks")] == before


def test_a_rotation_that_cannot_be_stored_changes_nothing(kms: Kms, world: World) -> None:
    key = create(kms, world)
    world.sink.failure = RuntimeError("the audit is full")
    with pytest.raises(KmsError):
        kms.rotate_root([world.seal], OPERATOR)
    world.sink.failure = None
    assert sign(kms, world, key)
    assert sign(world.open(), world, key)
    assert kms.rotate_root([world.seal], OPERATOR) == 2


def test_a_full_disk_stops_resealing_and_loses_nothing(kms: Kms, world: World) -> None:
    keys = [
        kms.create_key(Scope(f"o-{number}", "reg-one"), "a", KeyType.ECDSA_P256, by=NOBODY)
        for number in range(40)
    ]

    def limit(pages: int) -> None:
        for connection in [world.engine.connect() for _ in range(2)]:
            with connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with world.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit(pages)
    with pytest.raises(StoreUnavailable, match="full"):
        kms.reseal([file_seal(world, f"seal-{number}") for number in range(60)], OPERATOR)
    limit(1 << 30)
    assert list_seal_ids(kms) == ["file"]
    kms.rotate_root([world.seal], OPERATOR)
    again = world.open()
    for key in keys:
        again.sign(key.scope, key.identity, 1, b"x", by=NOBODY)


def test_sealed_nothing_is_rotated(kms: Kms, world: World) -> None:
    kms.seal()
    for call in (
        lambda: kms.rotate_root([world.seal], OPERATOR),
        lambda: kms.reseal([world.seal], OPERATOR),
        lambda: kms.remove_seal("file", [world.seal], OPERATOR),
        lambda: kms.rotate_kek(OPERATOR),
        kms.rewrap_keys,
    ):
        with pytest.raises(Sealed):
            call()
    assert list_seal_ids(kms) == ["file"]


def test_signing_and_new_organisations_go_on_while_root_keys_rotate(kms: Kms, world: World) -> None:
    key = create(kms, world)
    stop = threading.Event()
    failures: list[Exception] = []
    made: list[Key] = []

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            scope = Scope(f"o-{threading.get_ident()}-{number}", "reg-one")
            try:
                sign(kms, world, key)
                made.append(kms.create_key(scope, "n", KeyType.ECDSA_P256, by=NOBODY))
            except Exception as error:  # reported below
                failures.append(error)
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        kms.rotate_root([world.seal], OPERATOR)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    again = world.open()
    assert made
    for one in made:
        again.sign(one.scope, one.identity, 1, b"x", by=NOBODY)


# Tampering


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kms_root_key_wraps SET wrapped = substr(wrapped, 1, 60)",
        "UPDATE kms_root_key_wraps SET wrapped = x''",
        "UPDATE kms_root_key_wraps SET key_check = zeroblob(16)",
        "UPDATE kms_root_key_wraps SET seal_id = 'x' WHERE seal_id = 'usb'; "
        "UPDATE kms_root_key_wraps SET seal_id = 'usb' WHERE seal_id = 'file'",
        "UPDATE kms_root_key_wraps SET (wrapped, key_check) = (SELECT wrapped, key_check FROM "
        "kms_root_key_wraps WHERE seal_id = 'usb') WHERE seal_id = 'file'",
        "UPDATE kms_root_key_wraps SET generation = 2; UPDATE kms_instance SET root_generation = 2",
    ],
)
def test_a_changed_root_wrap_does_not_open(kms: Kms, world: World, statement: str) -> None:
    same_key = FileSeal(world.root_key, seal_id="usb")
    kms.reseal([world.seal, same_key], OPERATOR)
    with world.engine.begin() as connection:
        for part in statement.split("; "):
            connection.exec_driver_sql(part)
    for seal in (world.seal, same_key):
        if "WHERE seal_id = 'file'" in statement and seal is same_key:
            continue
        with pytest.raises((RootKeyWrong, SealUnknown)):
            open_kms(world, seal)


def test_every_octet_of_a_root_wrap_counts(kms: Kms, world: World) -> None:
    with world.engine.connect() as connection:
        wrapped = bytes(connection.execute(text("SELECT wrapped FROM kms_root_key_wraps")).scalar_one())
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 0x40
        with world.engine.begin() as connection:
            connection.execute(text("UPDATE kms_root_key_wraps SET wrapped = :w"), {"w": bytes(changed)})
        with pytest.raises(RootKeyWrong):
            world.open()


def test_an_old_root_wrap_put_back_after_a_rotation_does_not_open(kms: Kms, world: World) -> None:
    (old,) = dump(world, "kms_root_key_wraps")
    kms.rotate_root([world.seal], OPERATOR)
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE kms_root_key_wraps SET wrapped = :w, key_check = :k"), {"w": old[2], "k": old[3]}
        )
    with pytest.raises(RootKeyWrong):
        world.open()


def test_a_lost_key_file_is_not_made_again_when_resealing(kms: Kms, world: World, tmp_path: Path) -> None:
    world.root_key.unlink()
    with pytest.raises(RootKeyMissing):
        kms.reseal([world.seal], OPERATOR)
    assert not (tmp_path / "root.key").exists()


def test_a_commit_that_fails_leaves_the_old_root_key_in_use(kms: Kms, world: World) -> None:
    key = create(kms, world)

    def fail(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, OSError("disk full"))

    event.listen(world.engine, "commit", fail)
    with pytest.raises(StoreUnavailable, match="disk full"):
        kms.rotate_root([world.seal], OPERATOR)
    event.remove(world.engine, "commit", fail)
    assert kms.list_seals()[0].root_generation == 1
    other = Scope("o-two", "reg-one")
    kms.create_key(other, "n", KeyType.ECDSA_P256, by=NOBODY)  # a key-encryption key under the right root key
    assert sign(kms, world, key)
    assert kms.rotate_root([world.seal], OPERATOR) == 2
    again = world.open()
    assert sign(again, world, key)
    (made,) = again.list_keys(other)
    assert again.sign(other, made.identity, 1, b"x", by=NOBODY)


def test_a_kms_whose_root_key_another_process_rotated_says_what_to_do(kms: Kms, world: World) -> None:
    key = create(kms, world)
    stale = world.open()
    kms.rotate_root([world.seal], OPERATOR)
    with pytest.raises(UnwrapFailed, match="seal and unseal again"):
        sign(stale, world, key)
    with pytest.raises(UnwrapFailed, match="seal and unseal again"):
        stale.rotate_root([world.seal], OPERATOR)
    stale.seal()
    stale.unseal(world.seal)
    assert sign(stale, world, key)
