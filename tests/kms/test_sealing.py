import threading

import pytest

from kms_world import World
from signerd_kms.attribution import NOBODY
from signerd_kms.audit import AuditEvent
from signerd_kms.errors import AlreadyInitialised, NotInitialised, RootKeyMissing, Sealed, SealUnknown
from signerd_kms.key import KeyStatus, KeyType
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.state import State


def test_before_the_first_start_nothing_works_but_initialising(world: World) -> None:
    kms = Kms(world.engine, world.clock, world.sink)
    assert str(kms.state) == "uninitialised"
    for call in (kms.seal, lambda: kms.list_keys(world.scope), lambda: kms.unseal(world.seal)):
        with pytest.raises(NotInitialised):
            call()
    kms.initialise(world.seal)
    assert kms.state is State.UNSEALED
    with pytest.raises(AlreadyInitialised):
        kms.initialise(world.seal)


def test_sealed_only_reading_and_changing_a_status_work(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    wrapped = kms.wrap_service_key(world.scope, "p", "i", b"sixteen octets!!")
    kms.seal()
    kms.seal()
    assert world.sink.actions().count("kms.seal") == 1
    assert kms.state is State.SEALED
    for call in (
        lambda: kms.create_key(world.scope, "b", KeyType.ECDSA_P256, by=NOBODY),
        lambda: kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY),
        lambda: kms.wrap_service_key(world.scope, "p", "i", b"sixteen octets!!"),
        lambda: kms.unwrap_service_key(world.scope, "p", "i", wrapped),
        lambda: kms.derive_key(Label.TOKEN_PEPPER),
    ):
        with pytest.raises(Sealed):
            call()
    assert kms.public_key(world.scope, key.identity, 1) == key.versions[0].public_key
    assert kms.list_keys(world.scope) == [key]
    assert kms.count_keys("o-one") == {"reg-one": {KeyStatus.ACTIVE: 1}}
    assert kms.disable(world.scope, key.identity, by=NOBODY).status == "disabled"
    kms.enable(world.scope, key.identity, by=NOBODY)
    kms.unseal(world.seal)
    kms.unseal(world.seal)
    assert kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY)


def test_sealing_waits_for_what_is_under_way(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    reached, go = threading.Event(), threading.Event()

    def wait(event: AuditEvent) -> None:
        if event.action == "kms.sign":
            reached.set()
            assert go.wait(10)

    world.sink.before = wait
    made: list[bytes] = []
    signer = threading.Thread(
        target=lambda: made.append(kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY).octets)
    )
    signer.start()
    assert reached.wait(10)
    sealer = threading.Thread(target=kms.seal)
    sealer.start()
    while kms.state is State.UNSEALED:
        pass
    assert str(kms.state) == "draining"
    with pytest.raises(Sealed):
        kms.derive_key(Label.CURSOR)
    go.set()
    signer.join(10)
    sealer.join(10)
    assert len(made) == 1
    assert str(kms.state) == "sealed"


def test_a_missing_root_key_file_is_never_made_again(kms: Kms, world: World) -> None:
    kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    saved = world.root_key.read_bytes()
    world.root_key.unlink()
    with pytest.raises(RootKeyMissing, match="missing"):
        world.open()
    assert not world.root_key.exists()
    sealed = Kms(world.engine, world.clock, world.sink)
    assert len(sealed.list_keys(world.scope)) == 1
    world.root_key.touch(0o600)
    world.root_key.write_bytes(saved)
    sealed.unseal(world.seal)
    assert sealed.state is State.UNSEALED


def test_a_seal_that_never_wrapped_the_root_key_is_named(kms: Kms, world: World) -> None:
    kms.seal()
    with pytest.raises(SealUnknown, match="'usb'"):
        kms.unseal(FileSeal(world.root_key, seal_id="usb"))


def test_a_root_key_file_left_by_a_start_that_died_is_used(world: World) -> None:
    world.seal.prepare()
    before = world.root_key.read_bytes()
    world.open()
    assert world.root_key.read_bytes() == before


def test_derived_keys_differ_by_label_and_last(kms: Kms, world: World) -> None:
    labels = [label for label in Label if label is not Label.WRAP]
    made: set[bytes] = set()
    for label in labels:
        with kms.derive_key(label) as one, world.open().derive_key(label) as again:
            assert one.octets == again.octets
            made.add(bytes(bytearray(one.octets)))
    assert len(made) == len(labels)
