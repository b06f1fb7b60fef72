import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text

from signerd.store.engine import open_database
from signerd.store.migration import DatabaseTooNew, read_revision, upgrade
from signerd.store.tables import join_tables

ROOT = Path(__file__).parents[3]
VERSIONS = ROOT / "signerd/signerd/store/migrations/versions"
HEAD = max(path.name[1:5] for path in VERSIONS.glob("m*.py"))


def test_the_migrations_add_up_to_the_tables(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, join_tables()) == []
        looked_at = inspect(connection)
        for table in join_tables().sorted_tables:  # the comparison leaves check constraints out
            made = {str(found["name"]) for found in looked_at.get_check_constraints(table.name)}
            assert made == {
                str(constraint.name)
                for constraint in table.constraints
                if isinstance(constraint, CheckConstraint)
            }
    engine.dispose()


def test_upgrading_again_changes_nothing(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    for _ in range(3):
        upgrade(engine)
        with engine.connect() as connection:
            assert read_revision(connection) == HEAD
    engine.dispose()


def test_several_may_upgrade_at_once(tmp_path: Path) -> None:
    def start(_: int) -> None:
        engine = open_database(tmp_path / "a.db")
        upgrade(engine)
        engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))


def test_several_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    def start(path: Path) -> str:
        engine = open_database(path)
        with engine.connect() as connection:
            mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):  # without the wait for the lock, about one in sixteen rounds fails
            path = tmp_path / f"{number}.db"
            assert list(pool.map(start, [path] * 4)) == ["wal"] * 4


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match=r"9999.*newer version"):
        upgrade(engine)
    engine.dispose()


def test_a_path_with_spaces_and_signs_works(tmp_path: Path) -> None:
    directory = tmp_path / "a state ? 100% #1"
    directory.mkdir()
    engine = open_database(directory / "b c.db")
    upgrade(engine)
    engine.dispose()
    assert (directory / "b c.db").exists()


def test_migrations_work_without_the_source_tree(tmp_path: Path) -> None:
    packages = ROOT / "signerd/signerd", ROOT / "kms/signerd_kms"
    installed = tmp_path / "site packages"
    with zipfile.ZipFile(tmp_path / "copy.zip", "w") as archive:
        for package in packages:
            for path in package.rglob("*.py"):
                archive.write(path, path.relative_to(package.parent))
        archive.extractall(installed)
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); "
        "from pathlib import Path; import signerd.store; "
        f"assert signerd.store.__file__.startswith({str(installed)!r}); "
        "from signerd.store.engine import open_database; from signerd.store.migration import upgrade; "
        f"upgrade(open_database(Path({str(tmp_path / 'b.db')!r})))"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)
