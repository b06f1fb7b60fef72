import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from signerd.garbage import look_for_cycles_seldom


@pytest.fixture(autouse=True)
def _thresholds() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_making_the_tuples_of_a_zone_starts_no_search_through_all_objects() -> None:
    look_for_cycles_seldom()
    before = gc.get_stats()[2]["collections"]
    kept = [(number, {number: (number,)}, [number]) for number in range(300_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert len(kept) == 300_000


def test_cycles_are_still_found() -> None:
    look_for_cycles_seldom()
    assert gc.isenabled()
    before = gc.get_stats()[0]["collections"]
    kept = [[number] for number in range(200_000)]
    assert gc.get_stats()[0]["collections"] > before
    assert len(kept) == 200_000


def test_a_command_ends_without_looking_for_them() -> None:
    code = (
        "import atexit, gc; from signerd.cli.main import main; "
        "atexit.register(lambda: print(len(gc.get_objects()) < gc.get_freeze_count())); main()"
    )
    command = [sys.executable, "-P", "-c", code, "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.startswith("signerd ")
    assert said.endswith("\nTrue\n")
