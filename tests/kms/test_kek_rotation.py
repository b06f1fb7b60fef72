import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Connection, text

from kms_world import World
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.errors import KeyUnknown, KmsError, UnwrapFailed
from signerd_kms.kek_rotation import BATCH_ROWS, KEK_GRACE_SECONDS, RewrapProgress
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.service_key import WrappedServiceKey
from signerd_kms.wrapped_rows import ServiceKeyRows, StoredServiceKey
from signerd_kms.wrapping import LiveKey, WrappedKey, wrap

OPERATOR = Attribution("user:operator")


def create(kms: Kms, scope: Scope, count: int) -> list[Key]:
    return [kms.create_key(scope, f"k{number}", KeyType.ECDSA_P256, by=NOBODY) for number in range(count)]


def sign(kms: Kms, key: Key) -> bytes:
    return kms.sign(key.scope, key.identity, 1, b"x", by=NOBODY).octets


def query(world: World, statement: str) -> list[tuple[object, ...]]:
    with world.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def list_generations(world: World) -> set[tuple[object, ...]]:
    return set(query(world, "SELECT organisation, kek_generation FROM kms_key_versions"))


def list_keks(world: World) -> set[tuple[object, ...]]:
    return set(query(world, "SELECT organisation, generation FROM kms_keks"))


def age_keks(world: World) -> None:
    """Let the grace of replaced keys be over."""
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE kms_keks SET created_at = created_at - :grace"), {"grace": KEK_GRACE_SECONDS + 1}
        )


@dataclass
class MemoryTable:
    """A service's keys, in the order of their names."""

    rows: dict[str, StoredServiceKey] = field(default_factory=dict[str, StoredServiceKey])
    name: str = "memory"

    def read_batch(self, connection: Connection, after: str, count: int) -> Sequence[StoredServiceKey]:
        return [self.rows[name] for name in sorted(self.rows) if name > after][:count]

    def replace(
        self, connection: Connection, identity: str, old: WrappedServiceKey, new: WrappedServiceKey
    ) -> bool:
        row = self.rows[identity]
        if row.wrapped != old:
            return False
        self.rows[identity] = StoredServiceKey(identity, row.scope, row.purpose, row.bound, new)
        return True


def add_service_key(kms: Kms, table: MemoryTable, scope: Scope, identity: str, secret: bytes) -> None:
    bound = (b"zone",)
    wrapped = kms.wrap_service_key(scope, "p", identity, secret, bound=bound)
    table.rows[identity] = StoredServiceKey(identity, scope, "p", bound, wrapped)


def test_new_keys_use_the_new_kek_and_old_ones_open(kms: Kms, world: World) -> None:
    (old,) = create(kms, world.scope, 1)
    assert kms.rotate_kek(OPERATOR) == [("o-one", "reg-one", 2)]
    event = world.sink.events[-1]
    assert (event.action, event.actor, event.organisation) == ("kms.kek.create", "user:operator", "o-one")
    new = kms.create_key(world.scope, "new", KeyType.ECDSA_P256, by=NOBODY)
    assert list_generations(world) == {("o-one", 1), ("o-one", 2)}
    for again in (kms, world.open()):
        assert sign(again, old)
        assert sign(again, new)


def test_rewrapping_moves_every_version_to_the_newest_kek(kms: Kms, world: World) -> None:
    other = Scope("o-two", "reg-two", "p-1")
    keys = [*create(kms, world.scope, BATCH_ROWS + 3), *create(kms, other, 2)]
    kms.rotate_kek(OPERATOR)
    kms.rotate_kek(OPERATOR, organisation="o-two")
    seen: list[RewrapProgress] = []
    done = kms.rewrap_keys(seen.append)
    assert (done.rewrapped, done.failed) == (BATCH_ROWS + 5, 0)
    assert [progress.seen for progress in seen] == [BATCH_ROWS, BATCH_ROWS + 5, BATCH_ROWS + 5]
    assert list_generations(world) == {("o-one", 2), ("o-two", 3)}
    for again in (kms, world.open()):
        assert all(sign(again, key) for key in keys)
    assert kms.list_keys(other) == keys[-2:]


def test_one_organisation_is_rotated_alone(kms: Kms, world: World) -> None:
    create(kms, world.scope, 1)
    create(kms, Scope("o-two", "reg-one"), 1)
    assert kms.rotate_kek(OPERATOR, organisation="o-two") == [("o-two", "reg-one", 2)]
    with pytest.raises(KeyUnknown, match="o-three"):
        kms.rotate_kek(OPERATOR, organisation="o-three")
    kms.rewrap_keys()
    assert list_generations(world) == {("o-one", 1), ("o-two", 2)}


def test_an_old_kek_is_destroyed_once_nothing_needs_it_and_its_grace_is_over(kms: Kms, world: World) -> None:
    (key,) = create(kms, world.scope, 1)
    assert not kms.needs_rewrap()
    kms.rotate_kek(OPERATOR)
    assert kms.needs_rewrap()
    done = kms.rewrap_keys()
    assert (done.destroyed, done.kept) == (0, 1)
    assert kms.needs_rewrap()
    age_keks(world)
    done = kms.rewrap_keys()
    assert (done.destroyed, done.kept) == (1, 0)
    assert list_keks(world) == {("o-one", 2)}
    assert world.sink.actions().count("kms.kek.destroy") == 1
    assert not kms.needs_rewrap()
    for again in (kms, world.open()):
        assert sign(again, key)


def test_keys_of_services_are_rewrapped_too(kms: Kms, world: World) -> None:
    table = MemoryTable()
    secrets = {f"s{number:03}": os.urandom(32) for number in range(BATCH_ROWS + 1)}
    for name, secret in secrets.items():
        add_service_key(kms, table, world.scope, name, secret)
    kms.add_wrapped_rows(ServiceKeyRows(table))
    kms.rotate_kek(OPERATOR)
    assert kms.rewrap_keys().rewrapped == len(secrets)
    age_keks(world)
    assert kms.rewrap_keys().destroyed == 1
    for name, secret in secrets.items():
        row = table.rows[name]
        assert row.wrapped.kek_generation == 2
        with world.open().unwrap_service_key(row.scope, "p", name, row.wrapped, bound=row.bound) as live:
            assert live.octets == secret


def test_a_kek_that_a_service_needs_stays(kms: Kms, world: World) -> None:
    table = MemoryTable()
    add_service_key(kms, table, world.scope, "good", b"g" * 32)
    add_service_key(kms, table, world.scope, "bad", b"b" * 32)
    row = table.rows["bad"]
    table.rows["bad"] = StoredServiceKey("bad", row.scope, row.purpose, (b"other zone",), row.wrapped)
    kms.add_wrapped_rows(ServiceKeyRows(table))
    kms.rotate_kek(OPERATOR)
    age_keks(world)
    done = kms.rewrap_keys()
    assert (done.rewrapped, done.failed, done.destroyed, done.kept) == (1, 1, 0, 1)
    with kms.unwrap_service_key(row.scope, "p", "bad", row.wrapped, bound=row.bound) as live:
        assert live.octets == b"b" * 32


def test_a_row_that_was_tampered_with_is_named_and_keeps_its_kek(
    kms: Kms, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = create(kms, world.scope, 2)
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE kms_key_versions SET key_check = zeroblob(16) WHERE identity = :i"),
            {"i": bad.identity},
        )
    kms.rotate_kek(OPERATOR)
    age_keks(world)
    done = kms.rewrap_keys()
    assert (done.rewrapped, done.failed, done.destroyed) == (1, 1, 0)
    assert bad.identity in caplog.text
    failed = [event for event in world.sink.events if event.action == "kms.rewrap" and not event.succeeded]
    assert [(event.error, event.details["what"]) for event in failed] == [
        ("kms.unwrap_failed", f"{bad.identity} version 1")
    ]
    assert sign(kms, good)
    with pytest.raises(UnwrapFailed):
        sign(kms, bad)


def test_a_run_that_was_stopped_goes_on_behind_its_last_batch(kms: Kms, world: World) -> None:
    keys = create(kms, world.scope, 2 * BATCH_ROWS + 2)
    kms.rotate_kek(OPERATOR)

    class Stopped(Exception):
        pass

    def stop(progress: RewrapProgress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        kms.rewrap_keys(stop)
    assert query(world, "SELECT count(*) FROM kms_key_versions WHERE kek_generation = 2") == [(BATCH_ROWS,)]
    again = world.open()
    assert all(sign(again, key) for key in keys)
    assert again.needs_rewrap()
    seen: list[RewrapProgress] = []
    done = again.rewrap_keys(seen.append)
    assert seen[0].rewrapped == 2 * BATCH_ROWS  # the first batch was not done again
    assert done.rewrapped == len(keys)
    assert list_generations(world) == {("o-one", 2)}
    assert all(sign(again, key) for key in keys)


def test_a_run_goes_on_for_all_rows_when_the_kek_was_rotated_since_it_stopped(kms: Kms, world: World) -> None:
    keys = create(kms, world.scope, BATCH_ROWS + 1)
    kms.rotate_kek(OPERATOR)

    def stop(progress: RewrapProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kms.rewrap_keys(stop)
    kms.rotate_kek(OPERATOR)
    kms.rewrap_keys()
    assert list_generations(world) == {("o-one", 3)}
    assert all(sign(world.open(), key) for key in keys)


def test_a_row_changed_meanwhile_is_left_to_the_next_run(
    kms: Kms, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = create(kms, world.scope, 2)
    kms.rotate_kek(OPERATOR)

    def destroy_first(key_under: LiveKey, secret: bytes, associated_data: bytes) -> WrappedKey:
        with world.engine.begin() as connection:
            connection.execute(
                text("UPDATE kms_key_versions SET wrapped = NULL WHERE identity = :i"), {"i": key.identity}
            )
        return wrap(key_under, secret, associated_data)

    monkeypatch.setattr("signerd_kms.kek_rotation.wrap", destroy_first)
    assert kms.rewrap_keys().rewrapped == 1
    assert query(world, "SELECT count(*) FROM kms_key_versions WHERE wrapped IS NULL") == [(1,)]
    assert sign(kms, other)


def test_progress_that_cannot_be_stored_stores_no_row(kms: Kms, world: World) -> None:
    (key,) = create(kms, world.scope, 1)
    kms.rotate_kek(OPERATOR)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE kms_rewraps RENAME TO elsewhere")
    with pytest.raises(KmsError):
        kms.rewrap_keys()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO kms_rewraps")
    assert list_generations(world) == {("o-one", 1)}
    assert sign(kms, key)
    assert kms.rewrap_keys().rewrapped == 1
