"""A server that is killed while it makes, uses, rotates and destroys keys: what it answered holds."""

import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy import text

from kms_world import World
from signerd.platform.audit_log import list_chains, verify_chain
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import KeyIdentity, KeyType
from signerd_kms.kms import Kms

KILLS = 10

CHILD = """
import sys, itertools
from pathlib import Path
from signerd.clock import SystemClock
from signerd.platform.audit_log import AuditLog
from signerd.store.engine import open_database
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal

directory = Path(sys.argv[1])
engine = open_database(directory / "signerd.db")
clock = SystemClock()
kms = Kms.open(engine, FileSeal(directory / "root.key"), clock, AuditLog())
scope = Scope("o-one", "reg-one")

def say(*words):
    print(*words, flush=True)

say("ready")
for number in itertools.count():
    key = kms.create_key(scope, f"{sys.argv[2]} {number}", KeyType.AES256_GCM96, by=NOBODY)
    say("made", key.identity)
    for _ in range(2):
        text = kms.encrypt(scope, key.identity, key.identity.encode(), by=NOBODY).text
        say("encrypted", key.identity, text)
        say("rotated", key.identity, kms.rotate(scope, key.identity, by=NOBODY).latest_version)
    if number % 2:
        kms.schedule_deletion(scope, key.identity, by=NOBODY, pending_days=7)
        say("scheduled", key.identity)
        for identity in kms.purge_due(clock.now() + 8 * 86400):
            say("purged", identity)
"""


def run_and_kill(directory: Path, name: str, seconds: float) -> list[list[str]]:
    """Give what the child said that it had done, line by line."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, str(directory), name],
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
        lines = child.stdout.read().splitlines(keepends=True)
    return [line.split() for line in lines if line.endswith("\n")]


def check(kms: Kms, world: World, said: list[list[str]]) -> None:
    versions: dict[str, int] = defaultdict(lambda: 1)
    texts: dict[str, list[str]] = defaultdict(list)
    gone: set[str] = set()
    for what, identity, *rest in said:
        match what:
            case "made":
                versions[identity] = 1
            case "encrypted":
                texts[identity].append(rest[0])
            case "rotated":
                versions[identity] = int(rest[0])
            case _:
                gone.add(identity)  # scheduled: the purge may have been committed unanswered
    for identity, version in versions.items():
        name = KeyIdentity(identity)
        if identity in gone:
            continue
        try:
            key = kms.get_key(world.scope, name)
        except KeyUnknown:
            pytest.fail(f"{identity} was made and is not there")
        assert [known.version for known in key.versions] == list(range(1, key.latest_version + 1))
        assert key.latest_version >= version
        if str(key.status) == "active":  # else the deletion was scheduled, unanswered
            for ciphertext in texts[identity]:
                opened = kms.decrypt(world.scope, name, ciphertext, by=NOBODY)
                assert opened.plaintext == identity.encode()
    for what, identity, *_ in said:
        if what == "purged":
            with pytest.raises(KeyUnknown):
                kms.get_key(world.scope, KeyIdentity(identity))


def test_what_was_answered_before_a_kill_holds_after_it(world: World) -> None:
    chance = random.Random(9)
    world.open().create_key(world.scope, "first", KeyType.AES256_GCM96, by=NOBODY)
    said: list[list[str]] = []
    for number in range(KILLS):
        said += run_and_kill(world.directory, f"run {number}", chance.uniform(0.05, 0.5))
        check(world.open(), world, said)
    assert {line[0] for line in said} == {"made", "encrypted", "rotated", "scheduled", "purged"}
    with world.engine.connect() as connection:
        for chain in list_chains(connection):
            verify_chain(connection, chain)
        recorded = set(
            connection.execute(
                text("SELECT resource FROM audit_entries WHERE action = 'kms.create'")
            ).scalars()
        )
        assert {line[1] for line in said if line[0] == "made"} <= recorded
        destroyed = set(connection.execute(text("SELECT identity FROM kms_tombstones")).scalars())
        assert {line[1] for line in said if line[0] == "purged"} <= destroyed
        left = connection.execute(text("SELECT identity FROM kms_key_versions")).scalars()
        assert not destroyed & set(left)
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
