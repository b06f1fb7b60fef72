from pathlib import Path

from signerd.zones.file_watch import FileWatch, take_fingerprints


def test_a_file_is_reported_once_two_looks_agree(tmp_path: Path) -> None:
    file = tmp_path / "a.zone"
    file.write_text("one")
    watch = FileWatch()
    watch.mark_read(take_fingerprints([file]))
    assert watch.observe(take_fingerprints([file])) == set()
    file.write_text("one two")
    assert watch.observe(take_fingerprints([file])) == set()
    file.write_text("one two three")
    assert watch.observe(take_fingerprints([file])) == set()
    assert watch.observe(take_fingerprints([file])) == {file}
    watch.mark_read(take_fingerprints([file]))
    assert watch.observe(take_fingerprints([file])) == set()


def test_a_replaced_file_of_the_same_size_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "a.zone"
    file.write_text("one")
    watch = FileWatch()
    watch.mark_read(take_fingerprints([file]))
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(file)
    watch.observe(take_fingerprints([file]))
    assert watch.observe(take_fingerprints([file])) == {file}


def test_a_file_that_goes_away_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "a.zone"
    file.write_text("one")
    watch = FileWatch()
    watch.mark_read(take_fingerprints([file]))
    file.unlink()
    watch.observe(take_fingerprints([file]))
    assert watch.observe(take_fingerprints([file])) == {file}
