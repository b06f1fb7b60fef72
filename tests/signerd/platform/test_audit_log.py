import hashlib
import json

import pytest
from sqlalchemy import text

from kms_world import World
from signerd.platform.audit_chain import AuditChainBroken
from signerd.platform.audit_log import AuditLog, list_chains, verify_chain
from signerd.platform.canonical_json import encode_canonical
from signerd_kms.audit import AuditEvent

CHAIN = "o-one"


@pytest.fixture
def filled(world: World) -> World:
    log = AuditLog()
    for number in range(1, 7):
        with world.engine.begin() as connection:
            log.record(connection, AuditEvent(1000 + number, "kms.sign", True, CHAIN, details={"n": number}))
            log.record(connection, AuditEvent(1000 + number, "kms.seal", True, None))
    return world


def break_chain(world: World, statement: str) -> AuditChainBroken:
    with world.engine.begin() as connection:
        for part in statement.split(";"):
            connection.execute(text(part))
    with pytest.raises(AuditChainBroken) as broken, world.engine.connect() as connection:
        verify_chain(connection, CHAIN)
    with world.engine.connect() as connection:
        assert verify_chain(connection, "instance").sequence == 6  # the other chain is not touched
    return broken.value


def test_chains_verify_and_are_numbered_apart(filled: World) -> None:
    with filled.engine.connect() as connection:
        assert list_chains(connection) == ["instance", CHAIN]
        assert [verify_chain(connection, chain).sequence for chain in list_chains(connection)] == [6, 6]
        assert verify_chain(connection, "o-none").sequence == 0


def test_hashes_are_by_the_formula(filled: World) -> None:
    expected = hashlib.sha256(b"\x03" + CHAIN.encode()).digest()
    with filled.engine.connect() as connection:
        for record, stored in connection.execute(
            text("SELECT record, hash FROM audit_entries WHERE chain = 'o-one' ORDER BY sequence")
        ):
            leaf = hashlib.sha256(b"\0" + record).digest()
            expected = hashlib.sha256(b"\x02" + expected + leaf).digest()
            assert stored == expected
            assert encode_canonical(json.loads(record)) == record


@pytest.mark.parametrize(
    ("statement", "sequence", "reason"),
    [
        (
            "UPDATE audit_entries SET record = CAST(replace(CAST(record AS TEXT), '\"n\"\\:3', "
            "'\"n\"\\:4') AS BLOB)"
            " WHERE chain = 'o-one' AND sequence = 3",
            3,
            "was changed",
        ),
        ("UPDATE audit_entries SET record = x'00' WHERE chain = 'o-one' AND sequence = 4", 4, "was changed"),
        (
            "UPDATE audit_entries SET hash = zeroblob(32) WHERE chain = 'o-one' AND sequence = 2",
            2,
            "was changed",
        ),
        ("UPDATE audit_entries SET actor = 'eve' WHERE chain = 'o-one' AND sequence = 5", 5, "column actor"),
        ("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence = 1", 1, "was removed"),
        ("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence = 3", 3, "was removed"),
        ("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence > 4", 5, "up to 6 were removed"),
        ("DELETE FROM audit_heads WHERE chain = 'o-one'", 6, "head of the chain was removed"),
        ("UPDATE audit_heads SET sequence = 5 WHERE chain = 'o-one'", 6, "head of the chain was changed"),
        (
            "UPDATE audit_entries SET sequence = 99 WHERE chain = 'o-one' AND sequence = 2;"
            "UPDATE audit_entries SET sequence = 2 WHERE chain = 'o-one' AND sequence = 3;"
            "UPDATE audit_entries SET sequence = 3 WHERE chain = 'o-one' AND sequence = 99",
            2,
            "was reordered: entry 3 is in its place",
        ),
    ],
)
def test_tampering_is_found_and_named(filled: World, statement: str, sequence: int, reason: str) -> None:
    broken = break_chain(filled, statement)
    assert broken.sequence == sequence
    assert reason in str(broken)


def test_an_event_goes_with_its_transaction(world: World) -> None:
    log = AuditLog()
    connection = world.engine.connect()
    log.record(connection, AuditEvent(1, "kms.sign", True, CHAIN))
    connection.rollback()
    connection.close()
    with world.engine.connect() as connection:
        assert list_chains(connection) == []


def test_canonical_json_is_sorted_and_tight() -> None:
    assert encode_canonical({"b": {"z": 1, "a": None}, "a": "é", "c": True}) == (
        '{"a":"é","b":{"a":null,"z":1},"c":true}'.encode()
    )


def test_what_is_gathered_is_chained_at_the_end_without_what_was_undone(world: World) -> None:
    log = AuditLog()
    with world.engine.begin() as connection, log.gather(connection) as gathered:
        log.record(connection, AuditEvent(1, "kms.sign", True, CHAIN, details={"n": 1}))
        log.record(connection, AuditEvent(1, "kms.seal", True, None))
        kept = len(gathered)
        log.record(connection, AuditEvent(1, "kms.undone", True, CHAIN))
        gathered.forget(kept)
        log.record(connection, AuditEvent(1, "kms.sign", True, CHAIN, details={"n": 2}))
        assert list_chains(connection) == []
    with world.engine.begin() as connection:
        log.record(connection, AuditEvent(2, "kms.sign", True, CHAIN))  # nothing is gathered any more
        actions = connection.execute(text("SELECT action FROM audit_entries ORDER BY chain, sequence"))
        assert list(actions.scalars()) == ["kms.seal", "kms.sign", "kms.sign", "kms.sign"]
        assert [verify_chain(connection, chain).sequence for chain in list_chains(connection)] == [1, 3]


def test_what_cannot_be_stored_fails_where_it_is_recorded(world: World) -> None:
    log = AuditLog()
    with world.engine.begin() as connection, log.gather(connection) as gathered:
        with pytest.raises(UnicodeEncodeError):
            log.record(connection, AuditEvent(1, "kms.create", True, CHAIN, details={"name": "\ud800"}))
        assert len(gathered) == 0


def test_entries_of_a_group_that_does_not_commit_are_forgotten(world: World) -> None:
    log = AuditLog()

    def fail() -> None:
        with world.engine.begin() as connection, log.gather(connection):
            log.record(connection, AuditEvent(1, "kms.sign", True, CHAIN))
            raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        fail()
    with world.engine.begin() as connection:
        log.record(connection, AuditEvent(1, "kms.sign", True, CHAIN))
        assert verify_chain(connection, CHAIN).sequence == 1
