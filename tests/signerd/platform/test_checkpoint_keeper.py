"""Checkpoints, retention, breaks and rollbacks of an audit log in a database."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text, update

from deployment import Deployment, make_deployment
from signerd.platform.audit_chain import AuditChainBroken, ChainReport
from signerd.platform.audit_entry import AuditEntry
from signerd.platform.audit_export import ExportMalformed, export_chains, verify_export
from signerd.platform.audit_log import AuditLog, list_chains, verify_chain
from signerd.platform.audit_start import AuditStart
from signerd.platform.checkpoint_keeper import CheckpointKeeper, Due
from signerd.platform.errors import AuditRefused
from signerd.platform.outside_checkpoints import OutsideCheckpoints
from signerd.platform.tables import audit_checkpoints
from signerd_kms.errors import Sealed
from signerd_kms.root_key import Label

CHAIN = "o-one"
DAY = 86400


class Log:
    """An audit log that a test fills, spoils and looks at."""

    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.deployment = deployment
        self.clock = deployment.clock
        self.audit = AuditLog()
        self.outside = OutsideCheckpoints(directory / "audit.checkpoints")
        self.store = deployment.kms.custodian.store
        self.start = AuditStart(deployment.engine, self.audit, self.clock)
        self.keeper = self.make_keeper(Due(entries=5, seconds=60))

    def make_keeper(self, due: Due) -> CheckpointKeeper:
        kms = self.deployment.kms
        return CheckpointKeeper(
            self.deployment.engine,
            self.store,
            self.audit,
            lambda: kms.derive_key(Label.AUDIT_SIGN),
            self.clock,
            due,
        )

    def fill(self, count: int) -> None:
        for number in range(count):
            entry = AuditEntry(self.clock.now(), "kms.sign", CHAIN, context={"n": number, "text": "é"})
            self.store.write(lambda connection: self.audit.append(connection, entry))  # noqa: B023  # runs now

    def sign(self) -> list[str]:
        """Sign, and say which other chain than that of the instance has a new checkpoint."""
        signed = self.keeper.sign_due()
        self.outside.write(self.keeper.list_newest())
        return [chain for chain in signed if chain == CHAIN]

    def verify(self) -> ChainReport:
        keys = self.keeper.list_verifiers()
        with self.deployment.engine.connect() as connection:
            return verify_chain(connection, CHAIN, keys)

    def export(self) -> list[str]:
        with self.deployment.engine.connect() as connection:
            return list(export_chains(connection, list_chains(connection)))

    def spoil(self, statement: str) -> None:
        with self.deployment.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with make_deployment(tmp_path) as deployment:
        yield Log(deployment, tmp_path)


def test_a_checkpoint_is_due_after_entries_or_time_and_only_if_there_is_something_new(log: Log) -> None:
    log.fill(1)
    assert log.sign() == [CHAIN]  # the first at once
    assert log.sign() == []
    log.fill(4)
    assert log.sign() == []
    log.fill(1)
    assert log.sign() == [CHAIN]
    log.clock.seconds += 61
    assert log.sign() == []
    log.fill(1)
    assert log.sign() == [CHAIN]
    report = log.verify()
    assert (report.sequence, report.first, report.checkpoints) == (7, 1, 3)


def test_a_sealed_kms_signs_nothing(log: Log) -> None:
    log.fill(1)
    log.deployment.kms.seal()
    with pytest.raises(Sealed):
        log.sign()


def test_rewriting_the_whole_chain_is_found_by_the_checkpoint(log: Log) -> None:
    log.fill(7)
    log.sign()
    log.spoil("DELETE FROM audit_entries WHERE chain = 'o-one'")
    log.spoil("DELETE FROM audit_heads WHERE chain = 'o-one'")
    log.fill(9)  # well formed, and not what was signed
    with log.deployment.engine.connect() as connection:
        assert verify_chain(connection, CHAIN).sequence == 9  # nothing to see without the key
    with pytest.raises(AuditChainBroken, match="entry 7 or one before it is not as its checkpoint says"):
        log.verify()


def test_a_cut_end_is_found_by_the_checkpoint(log: Log) -> None:
    log.fill(7)
    log.sign()
    log.spoil("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence > 5")
    log.spoil(
        "UPDATE audit_heads SET sequence = 5, hash = (SELECT hash FROM audit_entries "
        "WHERE chain = 'o-one' AND sequence = 5) WHERE chain = 'o-one'"
    )
    with pytest.raises(AuditChainBroken, match="entry 6 up to 7 were removed from the end"):
        log.verify()


@pytest.mark.parametrize("column", ["note", "frontier"])
def test_a_changed_checkpoint_is_found_when_it_counts(log: Log, column: str) -> None:
    log.fill(6)
    log.sign()
    log.clock.seconds += 2 * DAY
    log.fill(1)
    log.sign()
    log.keeper.drop_expired(DAY)
    assert log.verify().first == 7
    with log.deployment.engine.begin() as connection:
        connection.execute(
            update(audit_checkpoints)
            .where(audit_checkpoints.c.chain == CHAIN, audit_checkpoints.c.sequence == 6)
            .values({column: bytes(64) if column == "frontier" else "a"})
        )
    with pytest.raises(AuditChainBroken, match="entry 6 has a"):
        log.verify()


def test_retention_keeps_what_is_left_verifiable_and_one_checkpoint_of_each_day(log: Log) -> None:
    for _ in range(3):  # days with two checkpoints each
        for _ in range(2):
            log.fill(5)
            log.sign()
            log.clock.seconds += 3600
        log.clock.seconds += DAY - 7200
    log.fill(2)
    with log.deployment.engine.connect() as connection:
        others = sum(
            verify_chain(connection, chain).sequence for chain in list_chains(connection) if chain != CHAIN
        )
    assert log.keeper.drop_expired(DAY + 7200) == 20 + others
    report = log.verify()
    assert report.first == 21
    with log.deployment.engine.connect() as connection:
        kept = list(
            connection.execute(
                text("SELECT sequence FROM audit_checkpoints WHERE chain = 'o-one' ORDER BY 1")
            ).scalars()
        )
        actions = list(
            connection.execute(
                text("SELECT action FROM audit_entries WHERE chain = 'o-one' ORDER BY sequence DESC LIMIT 1")
            ).scalars()
        )
    assert kept == [10, 20, 25, 30]
    assert actions == ["audit.retention"]
    assert log.keeper.drop_expired(100 * DAY) == 0
    log.fill(5)
    assert log.sign() == [CHAIN]
    assert log.verify().checkpoints >= 1


def test_an_export_verifies_offline_and_shows_what_was_done_to_it(log: Log) -> None:
    log.fill(6)
    log.sign()
    log.fill(2)
    keys = log.keeper.list_verifiers()
    lines = log.export()
    reports = list(verify_export(lines, keys))
    assert all(isinstance(report, ChainReport) for report in reports)
    place = next(number for number, line in enumerate(lines) if '"chain":"o-one","head"' in line)

    def find(changed: Sequence[str]) -> str:
        (broken,) = [found for found in verify_export(changed, keys) if isinstance(found, AuditChainBroken)]
        return str(broken)

    changed = [*lines]
    changed[place + 3] = changed[place + 3].replace('"n":2', '"n":3')
    assert "entry 3 was changed" in find(changed)
    assert "entry 4 was removed" in find(lines[: place + 4] + lines[place + 5 :])
    assert "entry 2 was removed" in find(
        [*lines[: place + 2], lines[place + 3], lines[place + 2], *lines[place + 4 :]]
    )
    cut = lines[: place + 8] + lines[place + 9 :]
    assert "entry 8 up to 8 were removed from the end" in find(cut)
    with pytest.raises(ExportMalformed, match="line 1"):
        list(verify_export(["x"], keys))
    assert json.loads(lines[place + 1])["record"]["action"] == "kms.sign"


def test_a_broken_chain_is_refused_until_acknowledged_and_stays_visible(log: Log) -> None:
    log.fill(6)
    log.sign()
    log.fill(3)
    log.start.check_chains(acknowledge_break=False)
    log.spoil("UPDATE audit_entries SET record = CAST('{}' AS BLOB) WHERE chain = 'o-one' AND sequence = 8")
    with pytest.raises(AuditRefused, match=r"o-one: entry 8 .*--acknowledge-break"):
        log.start.check_chains(acknowledge_break=False)
    log.start.check_chains(acknowledge_break=True)
    log.start.check_chains(acknowledge_break=False)
    log.fill(5)
    assert log.sign() == [CHAIN]
    report = log.verify()
    assert report.sequence == 15
    assert report.acknowledged == ("audit chain o-one: entry 8 was changed",)
    assert report.checkpoints == 2
    exported = list(verify_export(log.export(), log.keeper.list_verifiers()))
    assert report in exported
    log.spoil("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence = 14")
    with pytest.raises(AuditChainBroken, match="entry 14 was removed"):
        log.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence > 7",
        "DELETE FROM audit_heads WHERE chain = 'o-one'",
        "DELETE FROM audit_entries WHERE chain = 'o-one'",
    ],
)
def test_a_cut_chain_can_be_acknowledged_too(log: Log, statement: str) -> None:
    log.fill(6)
    log.sign()
    log.fill(3)
    log.spoil(statement)
    with pytest.raises(AuditRefused):
        log.start.check_chains(acknowledge_break=False)
    log.start.check_chains(acknowledge_break=True)
    log.start.check_chains(acknowledge_break=False)
    log.fill(5)
    assert log.sign() == [CHAIN]
    assert log.verify().checkpoints >= 1


def test_what_the_newest_checkpoint_covers_is_looked_at_too(log: Log) -> None:
    log.fill(6)
    log.sign()
    log.fill(6)
    log.sign()
    log.start.check_chains(acknowledge_break=False)
    log.spoil("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence = 12")
    with pytest.raises(AuditRefused, match="o-one: entry 12 up to 12 were removed from the end"):
        log.start.check_chains(acknowledge_break=False)


def test_an_older_database_is_refused_until_accepted(log: Log) -> None:
    log.fill(6)
    log.sign()
    before = log.outside.read()
    log.fill(6)
    log.sign()
    newest = log.outside.read()
    assert log.start.check_rollback(before, accept_rollback=False) is None
    assert log.start.check_rollback(newest, accept_rollback=False) is None
    log.spoil("DELETE FROM audit_checkpoints WHERE chain = 'o-one' AND sequence > 6")
    log.spoil("DELETE FROM audit_entries WHERE chain = 'o-one' AND sequence > 6")
    log.spoil(
        "UPDATE audit_heads SET sequence = 6, hash = (SELECT hash FROM audit_entries "
        "WHERE chain = 'o-one' AND sequence = 6) WHERE chain = 'o-one'"
    )
    log.start.check_chains(acknowledge_break=False)  # a restored copy is whole in itself
    with pytest.raises(AuditRefused, match=r"ends at entry 6, .* says 12; .*--accept-rollback"):
        log.start.check_rollback(newest, accept_rollback=False)
    assert log.start.check_rollback(newest, accept_rollback=True) == 6  # entries are lost
    log.fill(7)  # as long again, with other entries
    with pytest.raises(AuditRefused, match="entry 12 is another"):
        log.start.check_rollback(newest, accept_rollback=False)
    assert log.start.check_rollback(newest, accept_rollback=True) == 12
    with log.deployment.engine.connect() as connection:
        actions = connection.execute(text("SELECT action FROM audit_entries WHERE chain = 'instance'"))
        assert "audit.rollback_accepted" in set(actions.scalars())
    log.sign()
    log.start.check_rollback(log.outside.read(), accept_rollback=False)


def test_a_database_without_checkpoints_outside_counts_as_one_put_back(log: Log) -> None:
    assert log.start.check_rollback({}, accept_rollback=False) is None  # nothing was ever signed
    log.fill(6)
    log.sign()
    assert log.start.check_rollback({}, accept_rollback=False) == 0


def test_the_checkpoints_of_another_database_are_refused(log: Log, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with make_deployment(tmp_path / "other") as deployment:
        other = Log(deployment, tmp_path / "other")
        other.fill(6)
        other.sign()
        with pytest.raises(AuditRefused, match="not of this database"):
            log.start.check_rollback(other.outside.read(), accept_rollback=False)


def test_a_line_that_is_no_checkpoint_does_not_hide_the_others(log: Log) -> None:
    log.fill(1)
    log.sign()
    known = log.outside.read()
    assert CHAIN in known
    log.outside.path.write_text("junk\n" + log.outside.path.read_text() + '{"chain":1}\n')
    assert log.outside.read() == known
