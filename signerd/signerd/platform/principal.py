"""Who asks, with which credential, for whom: the values that every request carries through the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

NO_TEXTS: Final[Mapping[str, str]] = {}
SAFE_METHOD: Final = "GET"


class PrincipalKind(StrEnum):
    """What acts; the value begins the actor in audit entries."""

    USER = "user"
    SERVICE_ACCOUNT = "serviceAccount"


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who acts.

    Attributes:
        identity: The subject of a user, the identity of a service account.
        email: Empty for a service account.
        is_operator: Runs the deployment: may make organisations and regions.
    """

    kind: PrincipalKind
    identity: str
    name: str
    email: str = ""
    is_operator: bool = False

    @property
    def actor(self) -> str:
        """The form in audit entries, such as `user:u-...`."""
        return f"{self.kind.value}:{self.identity}"


class CredentialKind(StrEnum):
    """How the principal showed who it is."""

    PERSONAL = "personal_access_token"
    ACCESS_KEY = "access_credential"  # access key and secret of a service account, as Basic
    CERTIFICATE = "client_certificate"  # of the connection
    ACCESS_TOKEN = "access_token"  # noqa: S105  # issued at the token endpoint


class TokenScope(StrEnum):
    """What a credential may be used for at all, before any right is looked at."""

    API_READ = "api:read"
    API_WRITE = "api:write"
    KUBERNETES = "kubernetes"
    OBJECT_STORAGE = "objectStorage"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request was authenticated with.

    Attributes:
        id: Not secret: the id of the token, or the access key.
        scopes: Empty means no restriction.
        organisation: The only one it may be used in; None for all that the principal belongs to.
        project: Identity of the only project it may be used in, if any.
    """

    id: str
    kind: CredentialKind
    scopes: frozenset[str] = frozenset()
    organisation: str | None = None
    project: str | None = None

    def allows_method(self, method: str) -> bool:
        """Say if the scopes allow an HTTP method: `api:read` allows GET alone, all else takes `api:write`.

        Scopes for other services allow nothing here.
        """
        return not self.scopes or scope_of_method(method) in self.scopes


def scope_of_method(method: str) -> TokenScope:
    """Give the scope that an HTTP method takes."""
    return TokenScope.API_READ if method == SAFE_METHOD else TokenScope.API_WRITE


@dataclass(frozen=True, slots=True)
class Organisation:
    """A tenant. Times are seconds since 1970, UTC."""

    identity: str
    name: str
    slug: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    created_at: int = 0
    updated_at: int = 0
    object_version: int = 1


@dataclass(frozen=True, slots=True)
class ProjectReference:
    """What is shown of another project."""

    identity: str
    name: str
    slug: str


@dataclass(frozen=True, slots=True)
class Project:
    """A part of an organisation with objects and policies of its own. Times as in `Organisation`."""

    organisation: str
    identity: str
    name: str
    slug: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    parent: ProjectReference | None = None
    created_at: int = 0
    updated_at: int = 0
    object_version: int = 1
