"""kill -9 at every statement of every write: what was there before is there, or what was asked for, whole."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from kms_world import FakeClock, MemorySink
from secrets_world import ALICE, BY, SecretsWorld, allow_key, make_secrets_world, make_text
from signerd.platform.audit_log import AuditLog, verify_chain
from signerd.store.engine import open_database
from signerd_kms.key import Key, Scope
from signerd_kms.kms import Kms
from signerd_kms.seals.key_file import FileSeal
from signerd_secrets.access_policy import parse_policy
from signerd_secrets.errors import SecretUnknown, VersionUnknown
from signerd_secrets.path import SecretPath
from signerd_secrets.secret import VersionStatus
from signerd_secrets.secrets_manager import NewSecret, SecretsManager

SCOPE = Scope("o-one", "reg-one")
PATH = SecretPath("/app/password")
NEW = SecretPath("/app/new")
POLICY = {"statements": [{"effect": "Deny", "actions": ["write"]}]}
MOST_STATEMENTS = 60
Operation = Callable[[SecretsManager, Key], object]

OPERATIONS: dict[str, Operation] = {
    "create": lambda manager, key: manager.create(
        SCOPE, NewSecret(NEW, key.identity, make_text("new")), by=BY
    ),
    "put": lambda manager, key: manager.put(SCOPE, PATH, make_text("third"), ALICE, allow_key, by=BY),
    "reveal": lambda manager, key: manager.reveal(SCOPE, PATH, None, ALICE, allow_key, by=BY),
    "policy": lambda manager, key: manager.set_policy(SCOPE, PATH, parse_policy(POLICY), by=BY),
    "destroy": lambda manager, key: manager.destroy_version(SCOPE, PATH, 2, by=BY),
    "delete": lambda manager, key: manager.delete(SCOPE, PATH, by=BY),
}


def run_until_killed(directory: Path, operation: Operation, key: Key, statement: int) -> bool:
    """Run in a child that kills itself before its n-th statement; say whether it got through."""
    child = os.fork()
    if child == 0:  # no return from here: the child must not go on with the tests
        status = 1
        try:
            engine = open_database(directory / "signerd.db")
            kms = Kms.open(engine, FileSeal(directory / "root.key"), FakeClock(), AuditLog())
            manager = SecretsManager(kms.custodian.store, kms)
            count = 0

            def count_down(*arguments: object) -> None:
                del arguments
                nonlocal count
                count += 1
                if count == statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(engine, "before_cursor_execute", count_down)
            event.listen(engine, "commit", count_down)
            operation(manager, key)
            status = 0
        finally:
            os._exit(status)
    _, result = os.waitpid(child, 0)
    if os.WIFSIGNALED(result):
        assert os.WTERMSIG(result) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(result) == 0
    return True


def describe(here: SecretsWorld) -> dict[str, object]:
    """Say what there is, in values that can be compared."""
    described: dict[str, object] = {}
    for path in (PATH, NEW):
        try:
            secret = here.manager.get(here.scope, path, with_versions=True)
        except SecretUnknown:
            continue
        values: dict[int, str | None] = {}
        for version in secret.versions:
            try:
                values[version.version] = here.read(path, version.version)
            except VersionUnknown:
                assert version.status is VersionStatus.DESTROYED
                values[version.version] = None
        described[path] = (values, secret.access_policy is None)
    return described


BEFORE: dict[str, object] = {PATH: ({1: "first", 2: "second"}, True)}
AFTER: dict[str, dict[str, object]] = {
    "create": {**BEFORE, NEW: ({1: "new"}, True)},
    "put": {PATH: ({1: "first", 2: "second", 3: "third"}, True)},
    "reveal": BEFORE,
    "policy": {PATH: ({1: "first", 2: "second"}, False)},
    "destroy": {PATH: ({1: "first", 2: None}, True)},
    "delete": {},
}


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_a_kill_leaves_the_state_before_or_after(tmp_path: Path, name: str) -> None:
    pattern = tmp_path / "pattern"
    pattern.mkdir()
    with make_secrets_world(pattern) as here:
        here.create(PATH, "first")
        here.put(PATH, "second")
        here.kms.seal()
    seen_before = False
    for statement in range(1, MOST_STATEMENTS):
        directory = tmp_path / str(statement)
        shutil.copytree(pattern, directory)
        is_through = run_until_killed(directory, OPERATIONS[name], here.key, statement)
        engine = open_database(directory / "signerd.db")
        kms = Kms.open(engine, FileSeal(directory / "root.key"), FakeClock(), MemorySink())
        here.kms, here.manager = kms, SecretsManager(kms.custodian.store, kms)
        found = describe(here)
        assert found in (BEFORE, AFTER[name])
        seen_before |= found == BEFORE
        with engine.connect() as connection:
            verify_chain(connection, SCOPE.organisation)
        engine.dispose()
        if is_through:
            assert found == AFTER[name]
            assert seen_before
            return
    raise AssertionError(f"{name} takes more statements than expected")
