"""Rotations that are killed at any moment, or find the database locked: nothing may be lost."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from kms_world import World, make_world
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import KmsError, StoreUnavailable
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seals.key_file import FileSeal

KEYS = 70  # more than a batch
KILLS = 12

CHILD = """
import sys
from pathlib import Path
from signerd.clock import SystemClock
from signerd.platform.audit_log import AuditLog
from signerd.store.engine import open_database
from signerd_kms.attribution import NOBODY
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal

directory = Path(sys.argv[1])
seals = [FileSeal(directory / "root.key"), FileSeal(directory / "usb.key", seal_id="usb")]
engine = open_database(directory / "signerd.db")
kms = Kms.open(engine, seals, SystemClock(), AuditLog())
kms.rewrap_keys()  # what an earlier one left
print("ready", flush=True)
while True:
    kms.rotate_root(seals, NOBODY)
    kms.rotate_kek(NOBODY)
    kms.rewrap_keys()
    kms.reseal(seals, NOBODY)
"""


def open_kms(world: World) -> Kms:
    seals = [world.seal, FileSeal(world.directory / "usb.key", seal_id="usb")]
    return Kms.open(world.engine, seals, world.clock, world.sink)


def sign(kms: Kms, key: Key) -> bytes:
    return kms.sign(key.scope, key.identity, 1, b"x", by=NOBODY).octets


def run_and_kill(directory: Path, seconds: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child.stdout, child.stderr:
        if child.stdout.readline() != "ready\n":
            child.wait()
            pytest.fail(child.stderr.read())
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
        else:
            pytest.fail(child.stderr.read())
        child.wait()


def test_rotations_killed_at_any_moment_lose_nothing(world: World) -> None:
    kms = open_kms(world)
    keys = [kms.create_key(world.scope, f"k{n}", KeyType.ECDSA_P256, by=NOBODY) for n in range(KEYS)]
    keys += [kms.create_key(Scope("o-two", "reg-one"), "k", KeyType.ECDSA_P256, by=NOBODY)]
    service = kms.wrap_service_key(world.scope, "p", "i", b"sixteen octets!!")
    with kms.derive_key(Label.TOKEN_PEPPER) as pepper:
        before = bytes(bytearray(pepper.octets))
    chance = random.Random(4)
    generations: set[int] = set()
    for _ in range(KILLS):
        run_and_kill(world.directory, chance.uniform(0.0, 0.4))
        again = open_kms(world)
        assert all(sign(again, key) for key in keys)
        with again.unwrap_service_key(world.scope, "p", "i", service) as live:
            assert live.octets == b"sixteen octets!!"
        with again.derive_key(Label.TOKEN_PEPPER) as pepper:
            assert pepper.octets == before
        statuses = again.list_seals()
        assert [status.seal_id for status in statuses] == ["file", "usb"]
        generations.update(status.root_generation for status in statuses)
    assert len(generations) > 1
    for seal in (world.seal, FileSeal(world.directory / "usb.key", seal_id="usb")):
        Kms.open(world.engine, seal, world.clock, world.sink)
    last = open_kms(world)
    last.rewrap_keys()
    with world.engine.connect() as connection:
        newest = connection.execute(
            text("SELECT organisation, max(generation) FROM kms_keks GROUP BY organisation")
        )
        used = connection.execute(text("SELECT DISTINCT organisation, kek_generation FROM kms_key_versions"))
        assert {tuple(row) for row in used} == {tuple(row) for row in newest}
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    assert all(sign(last, key) for key in keys)


@pytest.fixture
def impatient_world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path, busy_timeout_seconds=0.05) as made:
        yield made


def test_a_locked_database_stops_a_rotation_and_loses_nothing(impatient_world: World) -> None:
    world = impatient_world
    kms = open_kms(world)
    key = kms.create_key(world.scope, "k", KeyType.ECDSA_P256, by=NOBODY)
    with world.engine.connect() as locker:
        locker.exec_driver_sql("SELECT 1")  # the engine begins every transaction as a writer
        seals = [world.seal, FileSeal(world.directory / "usb.key", seal_id="usb")]
        for call in (
            lambda: kms.rotate_root(seals, NOBODY),
            lambda: kms.reseal(seals, NOBODY),
            lambda: kms.rotate_kek(NOBODY),
        ):
            with pytest.raises(StoreUnavailable, match="locked"):
                call()
    assert kms.list_seals()[0].root_generation == 1
    assert kms.rotate_root(seals, NOBODY) == 2
    assert sign(kms, key)
    assert sign(open_kms(world), key)
    with pytest.raises(KmsError):
        Kms.open(world.engine, FileSeal(world.directory / "none.key"), world.clock, world.sink)
