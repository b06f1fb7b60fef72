"""Opening the KMS with its seals, on a state directory of its own."""

from pathlib import Path

import pytest

from key_world import StandingClock
from signerd import custody
from signerd.config.options import Config
from signerd.config.seal_options import SealOptions, SealType
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import SelfTestFailed
from signerd_kms.key import KeyType, Scope
from signerd_kms.nonce_budget import BLOCK


def make_holder(directory: Path, *seals: SealOptions) -> CustodyHolder:
    return CustodyHolder(Config(state_directory=directory, seals=seals or (SealOptions(),)), StandingClock())


def test_what_was_sealed_by_command_is_not_opened_by_the_next_attempt(tmp_path: Path) -> None:
    holder = make_holder(tmp_path)
    assert holder.open()
    holder.seal()
    holder.open()
    assert str(holder.state) == "sealed"
    holder.unseal({})
    assert str(holder.state) == "unsealed"


def test_closed_the_database_is_one_file_without_a_log(tmp_path: Path) -> None:
    holder = make_holder(tmp_path)
    assert holder.open()
    assert (tmp_path / "signerd.db-wal").exists()
    holder.close()
    assert not (tmp_path / "signerd.db-wal").exists()
    assert holder.custody.kms.list_seals()


def test_sealed_by_command_before_it_was_ever_open_it_stays_so(tmp_path: Path) -> None:
    make_holder(tmp_path).open()
    holder = make_holder(tmp_path)
    holder.seal()
    assert not holder.open()
    assert holder.reason == "sealed by command"
    holder.unseal({})
    assert holder.open()


def test_before_the_first_start_it_says_so(tmp_path: Path) -> None:
    holder = make_holder(tmp_path, SealOptions(), SealOptions(type=SealType.PASSPHRASE))
    assert not holder.open()
    assert str(holder.state) == "uninitialised"
    with pytest.raises(CustodyUnavailable, match="'other'"):
        holder.unseal({"other": "correct horse battery"})
    holder.unseal({"passphrase": "correct horse battery"})
    assert [status.seal_id for status in holder.custody.kms.list_seals()] == ["file", "passphrase"]


def test_nothing_is_opened_or_unsealed_when_the_self_test_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[KeyType]:
        raise SelfTestFailed("self-test of hmac: wrong")

    holder = make_holder(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(custody, "run_self_test", fail)
        assert not holder.open()
        assert holder.reason == "self-test of hmac: wrong"
    assert holder.open()
    holder.seal()
    monkeypatch.setattr(custody, "run_self_test", fail)
    with pytest.raises(CustodyUnavailable, match="self-test of hmac"):
        holder.unseal({})
    assert str(holder.state) == "sealed"


def test_a_database_put_back_counts_messages_that_it_may_not_know_of(tmp_path: Path) -> None:
    holder = make_holder(tmp_path)
    assert holder.open()
    kms, platform = holder.custody.kms, holder.custody.platform
    scope = Scope(platform.organisation, platform.region)
    key = kms.create_key(scope, "key", KeyType.AES256_GCM96, by=NOBODY)
    holder.custody.audit_jobs.run()

    def read_reserved(opened: CustodyHolder) -> int:
        return opened.custody.kms.get_key(scope, key.identity).versions[-1].reserved_messages

    assert read_reserved(holder) == 0
    same = make_holder(tmp_path)
    assert same.open()
    assert read_reserved(same) == 0
    (tmp_path / "audit.checkpoints").unlink()  # as on another machine
    moved = make_holder(tmp_path)
    assert moved.open()
    assert read_reserved(moved) == BLOCK
