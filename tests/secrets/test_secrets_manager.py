import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from secrets_world import ALICE, BY, SecretsWorld, allow_key, make_secrets_world, make_text
from signerd_kms.errors import KeyNotUsable, KeyUnknown, OperationUnsupported, Sealed, StoreUnavailable
from signerd_kms.key import KeyIdentity, KeyType, Scope
from signerd_secrets.access_policy import parse_policy
from signerd_secrets.errors import (
    AccessDenied,
    SecretExists,
    SecretUnknown,
    ValueDamaged,
    VersionUnknown,
)
from signerd_secrets.path import SecretPath
from signerd_secrets.secret import VersionStatus
from signerd_secrets.secrets_manager import NewSecret
from signerd_secrets.value import make_value

PATH = SecretPath("/app/prod/password")


class NotAllowed(Exception):
    code = "test.not_allowed"


def refuse_key(key: KeyIdentity) -> None:
    raise NotAllowed(key)


def list_actions(here: SecretsWorld) -> list[tuple[str, bool]]:
    return [
        (event.action, event.succeeded)
        for event in here.world.sink.events
        if event.action.startswith("secrets.") or event.action in ("kms.encrypt", "kms.decrypt")
    ]


def test_a_value_comes_back_as_it_was_stored(here: SecretsWorld) -> None:
    secret = here.create(PATH, "first")
    assert (secret.current_version, secret.object_version) == (1, 1)
    assert here.read(PATH) == "first"
    assert here.put(PATH, "second") == 2
    assert here.put(PATH, "third") == 3
    assert here.read(PATH) == "third"
    assert here.read(PATH, 1) == "first"
    assert here.read(PATH, 2) == "second"
    revealed = here.reveal(PATH)
    assert (revealed.version, revealed.kms_key, revealed.kms_key_version) == (3, here.key.identity, 1)


@pytest.mark.parametrize("key_type", [KeyType.AES128_GCM96, KeyType.CHACHA20_POLY1305])
def test_every_symmetric_key_can_be_bound(here: SecretsWorld, key_type: KeyType) -> None:
    key = here.kms.create_key(here.scope, "Other", key_type, by=BY)
    here.create(PATH, "first", key.identity)
    assert here.read(PATH) == "first"


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.HMAC])
def test_other_keys_cannot_be_bound(here: SecretsWorld, key_type: KeyType) -> None:
    key = here.kms.create_key(here.scope, "Other", key_type, by=BY)
    with pytest.raises(OperationUnsupported):
        here.create(PATH, "first", key.identity)
    with pytest.raises(SecretUnknown):
        here.manager.get(here.scope, PATH)


def test_key_values_keep_their_form(here: SecretsWorld) -> None:
    value = make_value(secret_key_values={"b": "not base64!", "a": "eA=="})
    here.manager.create(here.scope, NewSecret(PATH, here.key.identity, value), by=BY)
    assert here.reveal(PATH).value.render_key_values() == {"b": "not base64!", "a": "eA=="}


def test_a_path_is_taken_once_in_a_scope(here: SecretsWorld) -> None:
    here.create(PATH)
    with pytest.raises(SecretExists):
        here.create(PATH)
    elsewhere = Scope(here.scope.organisation, here.scope.region, "prj-one")
    key = here.kms.create_key(elsewhere, "Secrets", KeyType.AES256_GCM96, by=BY)
    here.manager.create(elsewhere, NewSecret(PATH, key.identity, make_text("in the project")), by=BY)
    assert here.read(PATH) == "value"


def test_nothing_is_found_in_another_scope(here: SecretsWorld) -> None:
    here.create(PATH)
    for scope in (
        Scope("o-two", here.scope.region),
        Scope(here.scope.organisation, "reg-two"),
        Scope(here.scope.organisation, here.scope.region, "prj-one"),
    ):
        with pytest.raises(SecretUnknown):
            here.manager.get(scope, PATH)
        with pytest.raises(SecretUnknown):
            here.manager.reveal(scope, PATH, None, ALICE, allow_key, by=BY)
        with pytest.raises(SecretUnknown):
            here.manager.delete(scope, PATH, by=BY)


def test_a_key_of_another_scope_is_unknown(here: SecretsWorld) -> None:
    other = here.kms.create_key(
        Scope(here.scope.organisation, here.scope.region, "prj-one"), "K", KeyType.AES256_GCM96, by=BY
    )
    with pytest.raises(KeyUnknown):
        here.create(PATH, "x", other.identity)


def test_destroying_erases_the_value_and_keeps_the_history(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.put(PATH, "second")
    here.manager.destroy_version(here.scope, PATH, 2, by=BY)
    here.manager.destroy_version(here.scope, PATH, 2, by=BY)
    secret = here.manager.get(here.scope, PATH, with_versions=True)
    assert secret.current_version == 1
    assert [(each.version, each.status) for each in secret.versions] == [
        (1, VersionStatus.ACTIVE),
        (2, VersionStatus.DESTROYED),
    ]
    assert secret.versions[1].destroyed_at is not None
    assert here.read(PATH) == "first"
    with pytest.raises(VersionUnknown):
        here.read(PATH, 2)
    here.manager.destroy_version(here.scope, PATH, 1, by=BY)
    assert here.manager.get(here.scope, PATH).current_version == 0
    with pytest.raises(VersionUnknown):
        here.read(PATH)
    assert here.put(PATH, "third") == 3, "a number is never used again"
    with pytest.raises(VersionUnknown):
        here.manager.destroy_version(here.scope, PATH, 4, by=BY)


def test_a_deleted_path_begins_anew(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.put(PATH, "second")
    here.manager.delete(here.scope, PATH, by=BY)
    with pytest.raises(SecretUnknown):
        here.manager.get(here.scope, PATH)
    assert here.create(PATH, "again").current_version == 1
    assert here.put(PATH, "more") == 2


def test_versions_keep_their_key_version_after_a_rotation(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.kms.rotate(here.scope, here.key.identity, by=BY)
    here.put(PATH, "second")
    assert (here.reveal(PATH, 1).kms_key_version, here.read(PATH, 1)) == (1, "first")
    assert (here.reveal(PATH, 2).kms_key_version, here.read(PATH, 2)) == (2, "second")


def test_only_a_successful_reveal_is_an_access(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.put(PATH, "second")
    before = here.manager.get(here.scope, PATH)
    assert before.last_accessed_at is None
    with pytest.raises(VersionUnknown):
        here.reveal(PATH, 7)
    assert here.manager.get(here.scope, PATH) == before
    here.reveal(PATH, 1)
    after = here.manager.get(here.scope, PATH, with_versions=True)
    assert after.last_accessed_at is not None
    assert (after.object_version, after.updated_at) == (before.object_version, before.updated_at)
    assert [each.last_accessed_at is not None for each in after.versions] == [True, False]


def test_a_key_that_is_not_active_gives_and_takes_no_value(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.kms.disable(here.scope, here.key.identity, by=BY)
    for attempt in (lambda: here.read(PATH), lambda: here.put(PATH, "x"), lambda: here.create("/other")):
        with pytest.raises(KeyNotUsable):
            attempt()
    assert here.manager.get(here.scope, PATH).current_version == 1
    here.manager.destroy_version(here.scope, PATH, 1, by=BY)
    here.manager.delete(here.scope, PATH, by=BY)


def test_a_sealed_kms_gives_no_value(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.kms.seal()
    with pytest.raises(Sealed):
        here.read(PATH)
    here.kms.unseal(here.world.seal)
    assert here.read(PATH) == "first"


def test_every_write_and_reveal_is_one_use_of_the_key_in_the_audit(here: SecretsWorld) -> None:
    here.create(PATH)
    here.put(PATH, "x")
    here.reveal(PATH)
    assert list_actions(here) == [
        ("kms.encrypt", True),
        ("secrets.create", True),
        ("kms.encrypt", True),
        ("secrets.put_value", True),
        ("kms.decrypt", True),
        ("secrets.get_value", True),
    ]
    for recorded in here.world.sink.events[-6:]:
        assert (recorded.actor, recorded.request_id) == ("user:alice", "r-1")
        if recorded.action.startswith("kms."):
            assert (recorded.via, recorded.resource_type, recorded.resource) == (
                "secrets-manager",
                "kms_key",
                here.key.identity,
            )
        else:
            assert (recorded.via, recorded.resource_type, recorded.resource) == (None, "secret", PATH)
            assert recorded.details["kmsKeyIdentity"] == here.key.identity


def test_a_reveal_that_the_policy_forbids_decrypts_nothing(here: SecretsWorld) -> None:
    here.create(PATH)
    policy = parse_policy({"statements": [{"effect": "Deny", "actions": ["read"]}]})
    here.manager.set_policy(here.scope, PATH, policy, by=BY)
    here.world.sink.events.clear()
    with pytest.raises(AccessDenied):
        here.reveal(PATH)
    assert list_actions(here) == [("secrets.get_value", False)]
    assert here.put(PATH, "x") == 2, "the policy says nothing of writing"
    assert here.manager.set_policy(here.scope, PATH, None, by=BY).access_policy is None
    assert here.read(PATH) == "x"


def test_without_the_right_on_the_key_nothing_is_decrypted(here: SecretsWorld) -> None:
    here.create(PATH)
    here.world.sink.events.clear()
    with pytest.raises(NotAllowed):
        here.manager.reveal(here.scope, PATH, None, ALICE, refuse_key, by=BY)
    with pytest.raises(NotAllowed):
        here.manager.put(here.scope, PATH, make_text("x"), ALICE, refuse_key, by=BY)
    assert list_actions(here) == [("secrets.get_value", False), ("secrets.put_value", False)]


def test_without_its_audit_event_nothing_happens(here: SecretsWorld) -> None:
    here.create(PATH, "first")
    here.world.sink.failure = RuntimeError("the disk is full")
    for attempt in (
        lambda: here.create("/other"),
        lambda: here.put(PATH, "x"),
        lambda: here.read(PATH),
        lambda: here.manager.destroy_version(here.scope, PATH, 1, by=BY),
        lambda: here.manager.delete(here.scope, PATH, by=BY),
    ):
        with pytest.raises(Exception, match="audit"):
            attempt()
    here.world.sink.failure = None
    assert here.read(PATH) == "first"
    assert here.manager.get(here.scope, PATH).current_version == 1


def swap_sealed(here: SecretsWorld, one: tuple[str, int], other: tuple[str, int]) -> None:
    with sqlite3.connect(here.world.directory / "signerd.db") as database:
        statement = (
            "select v.rowid, v.sealed from secret_versions v join secrets s on s.identity = v.secret "
            "where s.path = ? and v.version = ?"
        )
        first, second = (database.execute(statement, place).fetchone() for place in (one, other))
        database.execute("update secret_versions set sealed = ? where rowid = ?", (second[1], first[0]))
        database.execute("update secret_versions set sealed = ? where rowid = ?", (first[1], second[0]))
    database.close()


def test_a_value_moved_to_another_row_does_not_open(here: SecretsWorld) -> None:
    here.create("/one", "first")
    here.put("/one", "second")
    here.create("/two", "third")
    swap_sealed(here, ("/one", 1), ("/one", 2))
    swap_sealed(here, ("/one", 1), ("/two", 1))
    for path, version in (("/one", 1), ("/one", 2), ("/two", 1)):
        with pytest.raises(ValueDamaged):
            here.read(path, version)


@pytest.mark.parametrize(
    "statement",
    [
        "update secrets set path = '/moved' where path = '/one'",
        "update secrets set project = 'prj-one' where path = '/one'",
        "update secret_versions set value_format = 'keyValue'",
        "update secret_versions set version = 5",
        "update secret_versions set sealed = substr(sealed, 1, 30)",
    ],
)
def test_an_edited_row_does_not_open(here: SecretsWorld, statement: str) -> None:
    here.create("/one", "first value that is long enough")
    with sqlite3.connect(here.world.directory / "signerd.db") as database:
        assert database.execute(statement).rowcount == 1
    database.close()
    project = Scope(here.scope.organisation, here.scope.region, "prj-one")
    refused = 0
    for scope in (here.scope, project):
        for path in ("/one", "/moved"):
            for version in (1, 5):
                try:
                    here.manager.reveal(scope, SecretPath(path), version, ALICE, allow_key, by=BY)
                except (SecretUnknown, VersionUnknown):
                    continue
                except (ValueDamaged, KeyUnknown):
                    refused += 1
    assert refused == 1


@pytest.mark.parametrize("part", ["format", "wrapped data key", "nonce", "ciphertext", "tag"])
def test_a_changed_octet_of_a_value_does_not_open_it(here: SecretsWorld, part: str) -> None:
    here.create("/one", "first value that is long enough")
    offset = {"format": 0, "wrapped data key": 30, "nonce": 65, "ciphertext": 90, "tag": -1}[part]
    with sqlite3.connect(here.world.directory / "signerd.db") as database:
        octets = bytearray(database.execute("select sealed from secret_versions").fetchone()[0])
        octets[offset] ^= 1
        database.execute("update secret_versions set sealed = ?", (bytes(octets),))
    database.close()
    with pytest.raises(ValueDamaged):
        here.read("/one")


def test_fifty_writers_get_fifty_numbers(here: SecretsWorld) -> None:
    here.create(PATH, "0")
    with ThreadPoolExecutor(50) as pool:
        numbers = list(pool.map(here.put, [PATH] * 50, map(str, range(50))))
    assert sorted(numbers) == list(range(2, 52))
    for index, number in enumerate(numbers):
        assert here.read(PATH, number) == str(index)


def test_writing_shares_commits(here: SecretsWorld) -> None:
    here.create(PATH, "0")
    commits: list[Connection] = []
    event.listen(here.world.engine, "commit", commits.append)
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(here.put, [PATH] * 200, map(str, range(200))))
    assert len(commits) < 100


def test_creating_one_path_at_once_makes_one_secret(here: SecretsWorld) -> None:
    def attempt(number: int) -> bool:
        try:
            here.create(PATH, str(number))
        except SecretExists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert here.manager.get(here.scope, PATH).current_version == 1


def search_files(directory: Path, *needles: bytes) -> list[str]:
    return [
        f"{file.name}: {needle!r}"
        for file in directory.iterdir()
        for needle in needles
        if needle in file.read_bytes()
    ]


def test_no_file_holds_a_value_nor_an_erased_ciphertext(tmp_path: Path) -> None:
    with make_secrets_world(tmp_path) as here:
        text = "correct horse battery staple"
        encoded = make_text(text).render_string().encode()
        here.create(PATH, text)
        here.manager.create(
            here.scope,
            NewSecret(SecretPath("/map"), here.key.identity, make_value(secret_key_values={"k": text})),
            by=BY,
        )
        here.reveal(PATH)
        assert search_files(tmp_path, text.encode(), encoded) == []
        with sqlite3.connect(tmp_path / "signerd.db") as database:
            (sealed,) = database.execute(
                "select sealed from secret_versions v join secrets s on s.identity = v.secret where path = ?",
                (PATH,),
            ).fetchone()
        database.close()
        assert search_files(tmp_path, sealed[100:140]) != []
        here.manager.destroy_version(here.scope, PATH, 1, by=BY)
        assert search_files(tmp_path, sealed[100:140], text.encode(), encoded) == []


@pytest.mark.parametrize("action", ["create", "put"])
def test_a_full_database_changes_nothing(here: SecretsWorld, action: str) -> None:
    here.create(PATH, "first")

    def fill_up(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # becomes the present size

    event.listen(here.world.engine, "begin", fill_up)
    with pytest.raises(StoreUnavailable):
        here.create("/other", "x" * 60000) if action == "create" else here.put(PATH, "x" * 60000)
    event.remove(here.world.engine, "begin", fill_up)
    here.world.engine.dispose()
    assert here.read(PATH) == "first"
    assert here.put(PATH, "x" * 60000) == 2
