"""What the platform's calls work with, and the forms that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from signerd.api.call import Call
from signerd.api.reply import JsonValue
from signerd.api.timestamp import format_time
from signerd.api.wire import WireModel
from signerd.platform.change import Change, PlatformStore
from signerd.platform.described import Described, Description
from signerd.platform.principal import Organisation, Project
from signerd.platform.project import CountContents
from signerd.platform.secret_text import Pepper
from signerd.platform.token_service import TokenService

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlatformBackend:
    """The platform's parts.

    Attributes:
        store: The database.
        pepper: Gives the key of MACs of tokens and secrets.
        count_contents: Says what a project still holds.
        tokens: Issues access tokens.
        home: Organisation and region of the deployment itself, which stay.
    """

    store: PlatformStore
    pepper: Pepper
    count_contents: CountContents
    tokens: TokenService
    home: tuple[str, str]

    def change(self, call: Call, work: Callable[[Change], T]) -> T:
        """Change something on behalf of a caller; it is on disk, with its audit event, when this returns."""
        return self.store.change(call.attribution, work)


OpenPlatform = Callable[[], PlatformBackend]
"""Gives the backend; raises PartNotAvailable while there is none."""


class DescribedBody(WireModel):
    """What most objects have in common."""

    identity: str
    name: str
    slug: str
    description: str
    labels: dict[str, str]
    annotations: dict[str, str]
    created_at: str
    updated_at: str
    object_version: int


class DescriptionBody(WireModel):
    """What people say of an object, when they make or change it. Null is the same as empty."""

    name: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    def describe(self) -> Description:
        """Give the description of a new object."""
        return Description(self.name or "", self.description or "", self.labels or {}, self.annotations or {})

    def revise(self, current: Description) -> Description:
        """Give the new description of an object; what the request does not have stays, and so does the name.

        Clients leave out what they do not want to change, and send null for an empty map.
        """
        given = self.model_fields_set
        return Description(
            self.name or current.name,
            (self.description or "") if "description" in given else current.description,
            (self.labels or {}) if "labels" in given else current.labels,
            (self.annotations or {}) if "annotations" in given else current.annotations,
        )


def render_described(record: Described | Organisation | Project) -> dict[str, JsonValue]:
    """Give the members of `DescribedBody`."""
    return {
        "identity": record.identity,
        "name": record.name,
        "slug": record.slug,
        "description": record.description,
        "labels": dict(record.labels),
        "annotations": dict(record.annotations),
        "createdAt": format_time(record.created_at),
        "updatedAt": format_time(record.updated_at),
        "objectVersion": record.object_version,
    }
