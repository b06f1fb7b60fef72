"""Lists of secrets, walked along the index of their paths: a subtree costs a step, not one a secret in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from sqlalchemy import Connection, select

from signerd_kms.key import Scope
from signerd_secrets.path import Directory, SecretPath, bound_prefix, find_child
from signerd_secrets.schema import secrets
from signerd_secrets.secret import Secret
from signerd_secrets.secret_rows import SELECT_SECRET, SecretRow, decode, in_scope

FIRST_STEP: Final = 8  # paths fetched after a jump; doubles while there is nothing to jump over
LARGEST_STEP: Final = 1024
LOADED_AT_ONCE: Final = 500  # bounds the parameters of one statement
_LOWEST: Final = "+"  # the first character of paths: p + "+" is the first path after p


class Sight(Protocol):
    """What a caller may see."""

    def shows(self, path: str) -> bool:
        """Say if the caller may read the secret at a path."""
        ...

    def list_ranges(self) -> Sequence[tuple[str, str]] | None:
        """Give ranges of paths, from the first to before the second, that hold all that is shown.

        None for all paths. It only saves time: `shows` decides.
        """
        ...


@dataclass(frozen=True, slots=True)
class Level:
    """What lies in one directory.

    Attributes:
        prefixes: Directories directly below that hold at least one secret that is shown, in order.
        secrets: Those directly in the directory, in order of their paths.
    """

    directory: Directory
    prefixes: tuple[Directory, ...]
    secrets: tuple[Secret, ...]


def browse(connection: Connection, scope: Scope, directory: Directory, sight: Sight) -> Level:
    """List one directory as far as the caller may see it."""
    prefixes: list[Directory] = []
    paths: list[SecretPath] = []
    for low, high in _clip(sight.list_ranges(), directory):
        position, step = low, FIRST_STEP
        while position < high:
            found = _list_paths(connection, scope, position, high, step)
            if not found:
                break
            step = min(2 * step, LARGEST_STEP)
            position = found[-1] + _LOWEST
            for path in found:
                child = find_child(directory, path)
                if child is None:
                    if sight.shows(path):
                        paths.append(path)
                elif prefixes and prefixes[-1] == child:
                    continue
                elif sight.shows(path):
                    prefixes.append(child)
                    if found[-1].startswith(child):  # there may be more of it: jump over it
                        position, step = bound_prefix(child), FIRST_STEP
                        break
    return Level(directory, tuple(prefixes), tuple(_load(connection, scope, paths)))


def list_below(connection: Connection, scope: Scope, prefix: str, sight: Sight) -> Iterator[Secret]:
    """Give all secrets whose paths begin with a prefix, as far as the caller may see them, in order."""
    for low, high in _clip(sight.list_ranges(), prefix):
        rows = connection.execute(
            SELECT_SECRET.where(*in_scope(scope), secrets.c.path >= low, secrets.c.path < high).order_by(
                secrets.c.path
            )
        )
        for row in rows:
            if sight.shows(row.path):
                yield decode(cast("SecretRow", row), scope)


def _clip(ranges: Sequence[tuple[str, str]] | None, prefix: str) -> list[tuple[str, str]]:
    """Give the parts of ranges that lie below a prefix, in order and without overlap."""
    first, after = prefix, bound_prefix(prefix)
    if ranges is None:
        return [(first, after)]
    clipped: list[tuple[str, str]] = []
    for low, high in sorted((max(low, first), min(high, after)) for low, high in ranges):
        if low >= high:
            continue
        if clipped and low <= clipped[-1][1]:
            clipped[-1] = (clipped[-1][0], max(high, clipped[-1][1]))
        else:
            clipped.append((low, high))
    return clipped


def _list_paths(connection: Connection, scope: Scope, low: str, high: str, most: int) -> list[SecretPath]:
    rows = connection.execute(
        select(secrets.c.path)
        .where(*in_scope(scope), secrets.c.path >= low, secrets.c.path < high)
        .order_by(secrets.c.path)
        .limit(most)
    )
    return [SecretPath(path) for path in rows.scalars()]


def _load(connection: Connection, scope: Scope, paths: Sequence[SecretPath]) -> Iterator[Secret]:
    for start in range(0, len(paths), LOADED_AT_ONCE):
        rows = connection.execute(
            SELECT_SECRET.where(
                *in_scope(scope), secrets.c.path.in_(paths[start : start + LOADED_AT_ONCE])
            ).order_by(secrets.c.path)
        )
        for row in rows:
            yield decode(cast("SecretRow", row), scope)
