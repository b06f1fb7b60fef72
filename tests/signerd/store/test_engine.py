import stat
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from signerd.store.engine import DatabaseRefused, connect_to_read, open_database
from signerd.store.migration import upgrade


def test_the_file_is_private_from_the_start_and_so_is_what_sqlite_puts_beside_it(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    assert len(list(tmp_path.iterdir())) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    engine.dispose()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.db"
    path.touch()
    path.chmod(mode)
    with pytest.raises(DatabaseRefused, match=f"{mode:04o}.*0600"):
        open_database(path)


def test_a_link_or_directory_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db").dispose()
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    for path in (tmp_path / "link.db", tmp_path):
        with pytest.raises(DatabaseRefused):
            open_database(path)


def test_settings_are_those_the_promises_need(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    with engine.connect() as connection:
        for setting, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("secure_delete", 1),
            ("busy_timeout", 10_000),
        ):
            assert connection.exec_driver_sql(f"PRAGMA {setting}").scalar_one() == value
    engine.dispose()


def test_foreign_keys_are_kept(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    upgrade(engine)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO organisation_gates VALUES ('o-none', 'kms', 1)"))
    engine.dispose()


def test_a_reader_does_not_wait_for_a_writer_and_sees_one_state(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    upgrade(engine)
    wrote, read = threading.Event(), threading.Event()

    def write() -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO clock_marks VALUES ('one', 1)"))
            wrote.set()
            assert read.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    assert wrote.wait(10)
    with connect_to_read(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM clock_marks")).scalar_one() == 0
        read.set()
        writer.join(10)
        assert connection.execute(text("SELECT count(*) FROM clock_marks")).scalar_one() == 0
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM clock_marks")).scalar_one() == 1
    engine.dispose()


def test_writers_on_many_threads_take_turns(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO clock_marks VALUES ('n', 0)"))

    def count() -> None:
        for _ in range(10):
            with engine.begin() as connection:
                before = connection.execute(text("SELECT at FROM clock_marks")).scalar_one()
                connection.execute(text("UPDATE clock_marks SET at = :n"), {"n": before + 1})

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT at FROM clock_marks")).scalar_one() == 80
    engine.dispose()


class NotedLock:
    """A lock that says who has it."""

    def __init__(self) -> None:
        self.holders = 0

    def acquire(self, timeout: float) -> bool:
        assert timeout > 0
        self.holders += 1
        return True

    def release(self) -> None:
        self.holders -= 1


def test_a_writer_ends_its_turn_however_its_transaction_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = NotedLock()
    monkeypatch.setattr("signerd.store.engine.threading", SimpleNamespace(Lock=lambda: lock))
    engine = open_database(tmp_path / "a.db")
    monkeypatch.undo()
    upgrade(engine)
    insert = text("INSERT INTO clock_marks VALUES (:name, 1)")
    with engine.begin() as connection:
        connection.execute(insert, {"name": "one"})
        assert lock.holders == 1
    assert lock.holders == 0
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert, {"name": "one"})
    assert lock.holders == 0
    with engine.connect() as connection:
        for name in ("two", "three"):  # two transactions on one connection are one turn
            with connection.begin():
                connection.execute(insert, {"name": name})
            assert lock.holders == 1
    assert lock.holders == 0
    with connect_to_read(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM clock_marks")).scalar_one() == 3
        assert lock.holders == 0
    with engine.connect() as connection:
        connection.execute(insert, {"name": "lost"})
        connection.invalidate()
    assert lock.holders == 0
    engine.dispose()
