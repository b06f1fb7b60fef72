"""Filters of lists: `?name=...` and `?matchLabels[...]=...`, exact, all of them together."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from signerd.api.query import Query
from signerd_kms.name_form import unify_name

T = TypeVar("T")


class Named(Protocol):
    """What can be filtered."""

    @property
    def identity(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def slug(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102


def select_matching(query: Query, items: Iterable[T], describe: Callable[[T], Named]) -> list[T]:
    """Give the items that meet every filter of a request; filters that are not known are ignored."""
    wanted = {key: value for key in ("identity", "name", "slug") if (value := query.first(key)) is not None}
    if "name" in wanted:
        wanted["name"] = unify_name(wanted["name"])  # names are kept so
    labels = query.labels()
    found: list[T] = []
    for item in items:
        named = describe(item)
        facts = {"identity": named.identity, "name": named.name, "slug": named.slug}
        if all(facts[key] == value for key, value in wanted.items()) and all(
            named.labels.get(key) == value for key, value in labels.items()
        ):
            found.append(item)
    return found
