"""Fifty callers at once: no version is lost, and nothing is used after it was forbidden."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import text

from kms_world import World
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import (
    KeyChanged,
    KeyNameTaken,
    KeyNotUsable,
    KeyUnknown,
    KmsError,
    StoreUnavailable,
)
from signerd_kms.key import Key, KeyType
from signerd_kms.kms import Kms
from signerd_kms.versioned_text import VersionedOctets

CALLERS = 50


def make(kms: Kms, world: World, name: str = "a key") -> Key:
    return kms.create_key(world.scope, name, KeyType.AES256_GCM96, by=NOBODY)


def run_all(works: list[Callable[[], object]]) -> list[object]:
    """Start all at the same moment; give results and KMS errors in order."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        barrier.wait(30)
        try:
            return work()
        except KmsError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_fifty_rotations_make_fifty_versions_that_all_work(kms: Kms, world: World) -> None:
    key = make(kms, world)
    results = run_all([lambda: kms.rotate(world.scope, key.identity, by=NOBODY)] * CALLERS)
    made = sorted(result.latest_version for result in results if isinstance(result, Key))
    assert made == list(range(2, CALLERS + 2))
    stored = kms.get_key(world.scope, key.identity)
    assert [version.version for version in stored.versions] == list(range(1, CALLERS + 2))
    assert (stored.latest_version, stored.object_version) == (CALLERS + 1, CALLERS + 1)
    for version in (1, 2, 25, CALLERS + 1):
        sealed = kms.encrypt(world.scope, key.identity, b"x", by=NOBODY, version=version)
        assert kms.decrypt(world.scope, key.identity, sealed.text, by=NOBODY).version == version


def test_of_fifty_that_expect_one_object_version_one_changes_it(kms: Kms, world: World) -> None:
    key = make(kms, world)
    results = run_all(
        [lambda: kms.rotate(world.scope, key.identity, by=NOBODY, expected_version=1)] * CALLERS
    )
    assert sum(isinstance(result, Key) for result in results) == 1
    assert sum(isinstance(result, KeyChanged) for result in results) == CALLERS - 1


def test_what_is_encrypted_while_others_rotate_can_be_decrypted(kms: Kms, world: World) -> None:
    key = make(kms, world)
    sealed: dict[bytes, str] = {}

    def encrypt(plaintext: bytes) -> None:
        sealed[plaintext] = kms.encrypt(world.scope, key.identity, plaintext, by=NOBODY).text

    rotate = partial(kms.rotate, world.scope, key.identity, by=NOBODY)
    results = run_all(
        [partial(encrypt, b"%d" % number) if number % 5 else rotate for number in range(CALLERS)]
    )
    assert not any(isinstance(result, KmsError) for result in results)
    assert len(sealed) == CALLERS * 4 // 5
    for plaintext, ciphertext in sealed.items():
        assert kms.decrypt(world.scope, key.identity, ciphertext, by=NOBODY).plaintext == plaintext
    with world.engine.connect() as connection:
        reserved = connection.execute(
            text("SELECT sum(reserved_messages) FROM kms_key_versions")
        ).scalar_one()
    assert reserved <= (CALLERS // 5 + 1) << 16  # one block a version, however many threads waited for it


@pytest.mark.parametrize("how", ["disable", "schedule_deletion"])
def test_no_use_is_returned_after_it_was_forbidden(kms: Kms, world: World, how: str) -> None:
    key = make(kms, world)
    forbidden = threading.Event()
    late: list[str] = []
    running = threading.Barrier(CALLERS)

    def use_until_refused() -> int:
        running.wait(30)
        done = 0
        while True:
            was_forbidden = forbidden.is_set()
            try:
                made = kms.encrypt(world.scope, key.identity, b"x", by=NOBODY)
            except KeyNotUsable:
                return done
            done += 1
            if was_forbidden:
                late.append(made.text)

    def forbid() -> None:
        running.wait(30)
        change = kms.disable if how == "disable" else kms.schedule_deletion
        change(world.scope, key.identity, by=NOBODY)
        forbidden.set()

    with ThreadPoolExecutor(CALLERS) as pool:
        futures = [pool.submit(use_until_refused) for _ in range(CALLERS - 1)]
        pool.submit(forbid).result(60)
        for future in futures:
            future.result(60)
    assert late == []
    events = [event for event in world.sink.events if event.action in {"kms.encrypt", f"kms.{how}"}]
    after = events[[event.action for event in events].index(f"kms.{how}") + 1 :]
    assert not any(event.succeeded for event in after)


def test_destroying_in_the_middle_of_use_leaves_no_half_key(kms: Kms, world: World) -> None:
    keys = [make(kms, world, f"key {number}") for number in range(5)]
    dates = [
        kms.schedule_deletion(world.scope, key.identity, by=NOBODY).deletion_scheduled_at for key in keys[:2]
    ]
    now = max(date or 0 for date in dates)
    works: list[Callable[[], object]] = []
    for number in range(CALLERS):
        key = keys[number % 5]
        if number < 4:
            works.append(lambda: kms.purge_due(now))
        elif number % 3:
            works.append(partial(kms.encrypt, world.scope, key.identity, b"x", by=NOBODY))
        else:
            works.append(partial(kms.cancel_deletion, world.scope, key.identity, by=NOBODY))
    for result in run_all(works):
        assert not isinstance(result, KmsError) or type(result) in {KeyNotUsable, KeyUnknown}
    with world.engine.connect() as connection:
        orphans = connection.execute(
            text(
                "SELECT count(*) FROM kms_key_versions WHERE identity NOT IN (SELECT identity FROM kms_keys)"
            )
        ).scalar_one()
        empty = connection.execute(
            text("SELECT count(*) FROM kms_key_versions WHERE wrapped IS NULL")
        ).scalar_one()
        destroyed = set(connection.execute(text("SELECT identity FROM kms_tombstones")).scalars())
    assert (orphans, empty) == (0, 0)
    left = {key.identity for key in kms.list_keys(world.scope)}
    assert left | destroyed == {key.identity for key in keys}
    assert left.isdisjoint(destroyed)
    deleted = [event.resource for event in world.sink.events if event.action == "kms.deleted"]
    assert sorted(deleted, key=str) == sorted(destroyed)


def test_any_mixture_of_calls_loses_nothing(kms: Kms, world: World) -> None:
    key = make(kms, world)
    chooser = random.Random(7)
    choices: list[Callable[[], object]] = [
        lambda: kms.rotate(world.scope, key.identity, by=NOBODY),
        lambda: kms.disable(world.scope, key.identity, by=NOBODY),
        lambda: kms.enable(world.scope, key.identity, by=NOBODY),
        lambda: kms.encrypt(world.scope, key.identity, b"x", by=NOBODY),
        lambda: kms.update_rotation(world.scope, key.identity, by=NOBODY, enabled=True, period_in_days=9),
        lambda: kms.schedule_deletion(world.scope, key.identity, by=NOBODY),
        lambda: kms.cancel_deletion(world.scope, key.identity, by=NOBODY),
    ]
    results = run_all([chooser.choice(choices) for _ in range(CALLERS)])
    for result in results:
        assert not isinstance(result, StoreUnavailable | KeyNameTaken | KeyUnknown)
    stored = kms.get_key(world.scope, key.identity)
    rotated = [event for event in world.sink.events if event.action == "kms.rotate" and event.succeeded]
    assert stored.latest_version == len(stored.versions) == len(rotated) + 1
    if stored.status != "active":
        kms.cancel_deletion(world.scope, key.identity, by=NOBODY)
        kms.enable(world.scope, key.identity, by=NOBODY)
    again = world.open()
    for result in results:
        if isinstance(result, VersionedOctets):
            opened = again.decrypt(world.scope, key.identity, result.text, by=NOBODY)
            assert opened.plaintext == b"x"


def test_sealing_in_the_middle_lets_what_began_end(kms: Kms, world: World) -> None:
    key = make(kms, world)
    works: list[Callable[[], object]] = [
        lambda: kms.encrypt(world.scope, key.identity, b"x", by=NOBODY) for _ in range(CALLERS - 1)
    ]
    results = run_all([kms.seal, *works])
    kms.unseal(world.seal)
    for result in results[1:]:
        if isinstance(result, KmsError):
            assert result.code == "kms.sealed"
        else:
            assert isinstance(result, VersionedOctets)
            opened = kms.decrypt(world.scope, key.identity, result.text, by=NOBODY)
            assert opened.plaintext == b"x"
