import stat
from pathlib import Path

import pytest

from signerd_kms.errors import RootKeyMissing, RootKeyRefused, UnwrapFailed
from signerd_kms.seals.key_file import FileSeal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FileSeal(tmp_path / "root.key").prepare()
    return tmp_path / "root.key"


def test_the_file_is_made_whole_private_and_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 32
    assert path.stat().st_nlink == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_kept(path: Path) -> None:
    before = path.read_bytes()
    FileSeal(path).prepare()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_two_files_differ_and_do_not_open_each_other(tmp_path: Path) -> None:
    one, other = FileSeal(tmp_path / "one"), FileSeal(tmp_path / "other")
    one.prepare()
    other.prepare()
    wrapped = one.wrap(b"r" * 32, b"")
    with one.unwrap(wrapped, b"") as live:
        assert live.octets == b"r" * 32
    with pytest.raises(UnwrapFailed):
        other.unwrap(wrapped, b"")


def test_a_missing_file_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(RootKeyMissing, match=r"root\.key"):
        FileSeal(tmp_path / "root.key").wrap(b"r" * 32, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_others_can_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(RootKeyRefused, match="0600"):
        FileSeal(path).wrap(b"r" * 32, b"")


def test_a_link_is_refused(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(RootKeyRefused):
        FileSeal(link).wrap(b"r" * 32, b"")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootKeyRefused):
        FileSeal(tmp_path).wrap(b"r" * 32, b"")


@pytest.mark.parametrize("octets", [0, 31, 33, 64])
def test_a_file_of_another_size_is_refused(path: Path, octets: int) -> None:
    path.write_bytes(b"x" * octets)
    with pytest.raises(RootKeyRefused, match="32"):
        FileSeal(path).wrap(b"r" * 32, b"")


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(RootKeyRefused, match="belongs to user"):
        FileSeal(path).wrap(b"r" * 32, b"")
