import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from kms_world import World
from signerd.clock import SystemClock
from signerd.platform.audit_log import AuditLog, list_chains, verify_chain
from signerd.store.engine import open_database
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.errors import KeyNameTaken, KeyNotUsable, KmsError, StoreUnavailable
from signerd_kms.group_commit import GroupCommit
from signerd_kms.key import KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal

CHILD = """
import sys
from pathlib import Path
from signerd.clock import SystemClock
from signerd.platform.audit_log import AuditLog
from signerd.store.engine import open_database
from signerd.store.migration import upgrade
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyNameTaken
from signerd_kms.key import KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal

directory, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
engine = open_database(directory / "signerd.db")
upgrade(engine)
kms = Kms.open(engine, FileSeal(directory / "root.key"), SystemClock(), AuditLog())
scope = Scope("o-one", "reg-one")
print("ready", flush=True)
for number in range(rounds):
    key = kms.create_key(scope, f"{name} {number}", KeyType.ECDSA_P256, by=Attribution(name))
    kms.sign(scope, key.identity, 1, b"x", by=Attribution(name))
    try:
        kms.create_key(scope, f"shared {number}", KeyType.ECDSA_P256, by=Attribution(name))
        print("won", flush=True)
    except KeyNameTaken:
        pass
    print("did", number, flush=True)
"""


def start(directory: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, str(directory), name, str(rounds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_start_at_once_and_share_one_kms(tmp_path: Path) -> None:
    children = [start(tmp_path, name, 8) for name in ("one", "two")]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert sum(output.count("won") for output, _ in outputs) == 8
    engine = open_database(tmp_path / "signerd.db")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM kms_instance")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM kms_keks")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM kms_keys")).scalar_one() == 24
        assert verify_chain(connection, "o-one").sequence == 1 + 24 + 16
    engine.dispose()


def test_kill_9_leaves_whole_keys_and_a_whole_chain(tmp_path: Path) -> None:
    done = 0
    for attempt in range(6):
        child = start(tmp_path, f"run {attempt}", 1000)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        for _ in range(attempt):  # further in each time, and in the middle of something
            child.stdout.readline()
        child.kill()
        output, _ = child.communicate(timeout=20)
        done += output.count("did")
    engine = open_database(tmp_path / "signerd.db")
    kms = Kms.open(engine, FileSeal(tmp_path / "root.key"), SystemClock(), AuditLog())
    scope = Scope("o-one", "reg-one")
    for key in kms.list_keys(scope):
        assert len(key.versions) == 1
        assert kms.sign(scope, key.identity, 1, b"x", by=NOBODY)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        chains = list_chains(connection)
        for chain in chains:
            verify_chain(connection, chain)
        created = connection.execute(
            text("SELECT resource FROM audit_entries WHERE action = 'kms.create' ORDER BY 1")
        ).scalars()
        kept = connection.execute(text("SELECT identity FROM kms_keys ORDER BY 1")).scalars()
        assert list(created) == list(kept)
    assert chains == ["instance", "o-one"]
    engine.dispose()


def test_many_threads_share_commits_and_lose_nothing(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    commits: list[object] = []
    event.listen(world.engine, "commit", commits.append)
    barrier = threading.Barrier(50)

    def sign(number: int) -> bytes:
        barrier.wait(20)
        return kms.sign(
            world.scope,
            key.identity,
            1,
            b"%d" % number,
            by=Attribution(f"thread {number}"),
        ).octets

    writer = kms.custodian.store._writer  # pyright: ignore[reportPrivateUsage]
    with ThreadPoolExecutor(50) as pool:
        with world.engine.begin():  # keeps the first of them waiting until all are there
            running = [pool.submit(sign, number) for number in range(50)]
            while writer.waiting < 49:
                pass
        made = [future.result(30) for future in running]
    assert len(set(made)) == 50
    assert {f"thread {number}" for number in range(50)} <= {event.actor for event in world.sink.events}
    assert len(commits) <= 1 + 3  # that of this test, and of two groups, or of three


def test_of_many_creating_the_same_name_one_wins(kms: Kms, world: World) -> None:
    def create(_: int) -> bool:
        try:
            kms.create_key(world.scope, "the name", KeyType.ECDSA_P256, by=NOBODY)
        except KeyNameTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1
    assert len(kms.list_keys(world.scope)) == 1


def test_no_signature_comes_back_after_a_disable_has_returned(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)
    disabled = threading.Event()
    late: list[bytes] = []

    def sign_until_refused(_: int) -> int:
        number = 0
        while True:
            was_disabled = disabled.is_set()
            try:
                made = kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY).octets
            except KeyNotUsable:
                return number
            number += 1
            if was_disabled:
                late.append(made)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(sign_until_refused, number) for number in range(4)]
        kms.disable(world.scope, key.identity, by=NOBODY)
        disabled.set()
        for future in running:
            future.result(20)
    assert late == []


def test_work_that_fails_leaves_the_rest_of_its_group_alone(world: World) -> None:
    writer = GroupCommit(world.engine)
    started, go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> str:
        started.set()
        assert go.wait(10)
        return mark("first")(connection)

    def mark(name: str) -> Callable[[Connection], str]:
        def work(connection: Connection) -> str:
            connection.execute(text("INSERT INTO clock_marks VALUES (:name, 1)"), {"name": name})
            if name == "bad":
                raise KmsError("no")
            return name

        return work

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(writer.write, hold)
        assert started.wait(10)
        others = {name: pool.submit(writer.write, mark(name)) for name in ("good", "bad", "fine")}
        while writer.waiting < 3:
            pass
        go.set()
        assert first.result(10) == "first"
        assert others["good"].result(10) == "good"
        assert others["fine"].result(10) == "fine"
        with pytest.raises(KmsError, match="no"):
            others["bad"].result(10)
    with world.engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM clock_marks ORDER BY name")).scalars()
        assert list(names) == ["fine", "first", "good"]


def test_a_commit_that_fails_gives_no_signature(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)

    def fail(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, OSError("disk full"))

    event.listen(world.engine, "commit", fail)
    with pytest.raises(StoreUnavailable, match="disk full"):
        kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY)
    event.remove(world.engine, "commit", fail)
    assert kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY)


def test_a_full_disk_drops_the_whole_group_and_heals(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "a", KeyType.ECDSA_P256, by=NOBODY)

    def limit(pages: int) -> None:
        with world.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    world.engine.dispose()  # one connection from here on, as the limit is the connection's
    limit(1)  # SQLite takes the present size as the least

    def fill() -> None:
        for number in range(2000):
            kms.create_key(world.scope, f"{number} {'x' * 200}", KeyType.ECDSA_P256, by=NOBODY)

    with pytest.raises(StoreUnavailable, match="full"):
        fill()
    limit(1 << 30)
    with world.engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    for known in kms.list_keys(world.scope):
        assert len(known.versions) == 1
    assert kms.sign(world.scope, key.identity, 1, b"x", by=NOBODY)
