"""Browsing and listing secrets as their number grows: medians in milliseconds, and ratios to 1,000 secrets.

    python -P bench/secrets.py [--seconds 2]

Calls the secrets manager in this process on a database in a temporary directory, as the API does.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import insert

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from secrets_world import SecretsWorld, make_secrets_world
from signerd_secrets.path import Directory, SecretPath, bound_prefix
from signerd_secrets.schema import secret_versions, secrets

SIZES = (1_000, 10_000, 100_000)
PER_DIRECTORY = 100


class Everything:
    """A caller who may read all secrets."""

    def shows(self, path: str) -> bool:
        return bool(path)

    def list_ranges(self) -> None:
        return None


class Subtree:
    """A caller who may read one application's secrets only."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def shows(self, path: str) -> bool:
        return path.startswith(self._prefix)

    def list_ranges(self) -> Sequence[tuple[str, str]]:
        return [(self._prefix, bound_prefix(self._prefix))]


def fill(here: SecretsWorld, count: int) -> None:
    """Store rows directly: sealing 100,000 values is not what is measured."""
    sealed = here.create("/pattern").identity
    scope = here.scope
    with here.world.engine.begin() as connection:
        pattern = connection.execute(secrets.select().where(secrets.c.identity == sealed)).mappings().one()
        version = connection.execute(secret_versions.select()).mappings().one()
        for start in range(0, count, 1000):
            numbers = range(start, min(start + 1000, count))
            rows = [
                {
                    **pattern,
                    "identity": f"sec-{number:020d}",
                    "path": f"/app{number // PER_DIRECTORY:05d}/prod/secret{number:06d}",
                }
                for number in numbers
            ]
            connection.execute(insert(secrets), rows)
            connection.execute(
                insert(secret_versions), [{**version, "secret": f"sec-{number:020d}"} for number in numbers]
            )
    assert scope.organisation


def measure(work: Callable[[], object], seconds: float) -> float:
    """Give the median of repeated runs in milliseconds."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def run(count: int, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name, make_secrets_world(Path(name)) as here:
        fill(here, count)
        manager, scope = here.manager, here.scope
        one = f"/app{count // PER_DIRECTORY // 2:05d}/"
        return {
            f"browse a directory of {PER_DIRECTORY} secrets": measure(
                lambda: manager.browse(scope, Directory(f"{one}prod/"), Everything()), seconds
            ),
            "browse the root, all visible": measure(
                lambda: manager.browse(scope, Directory("/"), Everything()), seconds
            ),
            "browse the root, one application visible": measure(
                lambda: manager.browse(scope, Directory("/"), Subtree(one)), seconds
            ),
            f"list the {PER_DIRECTORY} below a prefix": measure(
                lambda: manager.list_below(scope, one, Everything()), seconds
            ),
            "read one by its path": measure(
                lambda: manager.get(scope, SecretPath(f"{one}prod/secret{count // 2:06d}")), seconds
            ),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    seconds = parser.parse_args().seconds
    results = {count: run(count, seconds) for count in SIZES}
    print("| Call | " + " | ".join(f"{count:,} secrets" for count in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for name in results[SIZES[0]]:
        first = results[SIZES[0]][name]
        cells = [f"{results[count][name]:.2f} ({results[count][name] / first:.1f})" for count in SIZES]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
