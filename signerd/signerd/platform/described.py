"""What most objects have in common: identity, name, slug, text, labels, annotations, times, version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, select

from signerd.platform.errors import InvalidValue, NameTaken
from signerd.platform.json_column import dump_texts, load_texts
from signerd.platform.principal import NO_TEXTS
from signerd_kms.identity import new_identity
from signerd_kms.name_form import unify_name
from signerd_kms.slug import make_slug

MAX_NAME_CHARACTERS: Final = 255
MAX_TEXT_CHARACTERS: Final = 4096
MAX_TEXTS: Final = 64  # labels or annotations of one object
_IDENTITY = re.compile(r"[a-z]{1,8}-[0-9a-v]{20}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")

ColumnValue = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Description:
    """What people say of an object; the name is kept in normal form C."""

    name: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unify_name(self.name))

    def check(self) -> str:
        """Check the limits.

        Returns:
            The slug of the name.

        Raises:
            InvalidValue: The name gives no slug, or something is too long.
        """
        if len(self.name) > MAX_NAME_CHARACTERS or _UNPRINTABLE.search(self.name):
            raise InvalidValue("name", f"must have at most {MAX_NAME_CHARACTERS} printable characters")
        slug = make_slug(self.name)
        if not slug:
            raise InvalidValue("name", "needs an ASCII letter or digit")
        if _IDENTITY.fullmatch(slug):  # in a path it would stand for another object
            raise InvalidValue("name", "looks like an identity")
        if len(self.description) > MAX_TEXT_CHARACTERS:
            raise InvalidValue("description", f"is longer than {MAX_TEXT_CHARACTERS} characters")
        for texts, what in ((self.labels, "labels"), (self.annotations, "annotations")):
            if len(texts) > MAX_TEXTS:
                raise InvalidValue(what, f"are more than {MAX_TEXTS}")
            for key, value in texts.items():
                if not key or len(key) > MAX_NAME_CHARACTERS or len(value) > MAX_TEXT_CHARACTERS:
                    raise InvalidValue(what, "have an empty key, or a key or a value that is too long")
        return slug


@dataclass(frozen=True, slots=True)
class Described:
    """A stored object's common part. Times are seconds since 1970, UTC."""

    identity: str
    name: str
    slug: str
    description: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    created_at: int
    updated_at: int
    object_version: int

    @classmethod
    def make(cls, prefix: str, description: Description, now: int) -> "Described":
        """Give a new object its identity.

        Raises:
            InvalidValue: The description breaks a limit.
        """
        slug = description.check()
        return cls(
            new_identity(prefix),
            description.name,
            slug,
            description.description,
            dict(description.labels),
            dict(description.annotations),
            now,
            now,
            1,
        )

    @classmethod
    def read(cls, row: RowMapping) -> "Described":
        """Read it from a row that has the columns."""
        return cls(
            row["identity"],
            row["name"],
            row["slug"],
            row["description"],
            load_texts(row["labels"]),
            load_texts(row["annotations"]),
            row["created_at"],
            row["updated_at"],
            row["object_version"],
        )

    def change(self, description: Description, now: int) -> "Described":
        """Give the next version.

        Raises:
            InvalidValue: The description breaks a limit.
        """
        slug = description.check()
        return replace(
            self,
            name=description.name,
            slug=slug,
            description=description.description,
            labels=dict(description.labels),
            annotations=dict(description.annotations),
        ).touch(now)

    def touch(self, now: int) -> "Described":
        """Give the next version with the same description."""
        return replace(self, updated_at=now, object_version=self.object_version + 1)

    @property
    def stated(self) -> Description:
        """What people said of it."""
        return Description(self.name, self.description, self.labels, self.annotations)

    def columns(self) -> dict[str, ColumnValue]:
        """Give the values of the columns."""
        return {
            "identity": self.identity,
            "name": self.name,
            "slug": self.slug,
            "description": self.description,
            "labels": dump_texts(self.labels),
            "annotations": dump_texts(self.annotations),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "object_version": self.object_version,
        }


def require_free_slug(
    connection: Connection, table: Table, noun: str, scope: ColumnElement[bool], described: Described
) -> None:
    """Check that no other object in a scope has the slug.

    Raises:
        NameTaken: One has.
    """
    taken = select(table.c.identity).where(
        scope, table.c.slug == described.slug, table.c.identity != described.identity
    )
    if connection.execute(taken).first() is not None:
        raise NameTaken(noun, described.slug)
