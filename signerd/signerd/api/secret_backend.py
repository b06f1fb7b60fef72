"""What the calls on secrets work with: the place of a call, the path it names, what the caller may see."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from signerd.api.call import Call
from signerd.api.errors import InvalidBody, MalformedRequest, PartNotAvailable
from signerd.platform.change import PlatformStore
from signerd.platform.errors import Forbidden
from signerd.platform.principal import PrincipalKind
from signerd.platform.region import Region, get_region
from signerd.platform.rights import EVERYTHING, KMS_KEY, SECRET, Rights
from signerd.platform.service_account import get_service_account
from signerd.platform.team import list_own_teams
from signerd_kms.key import KeyIdentity, Scope
from signerd_kms.kms import Kms
from signerd_secrets.access_policy import Visitor
from signerd_secrets.path import SecretPath, bound_prefix, check_path
from signerd_secrets.secrets_manager import SecretsManager

_SUBTREE: Final = "/*"
_AFTER: Final = "+"  # p + "+" is the first path after p
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SecretsBackend:
    """Secrets, the KMS that keeps them, and the platform that knows regions and teams."""

    secrets: SecretsManager
    kms: Kms
    store: PlatformStore


OpenSecrets = Callable[[], SecretsBackend]
"""Gives the backend; raises PartNotAvailable while there is none."""


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a call works."""

    backend: SecretsBackend
    region: Region
    scope: Scope

    @property
    def secrets(self) -> SecretsManager:
        """Secrets and their values."""
        return self.backend.secrets

    def require_kms(self) -> None:
        """Check that keys can be used in the region.

        Raises:
            PartNotAvailable: They cannot.
        """
        if not self.region.is_kms_available:
            raise PartNotAvailable("the KMS is not available in this region")


def find_secret_place(open_secrets: OpenSecrets, call: Call) -> SecretPlace:
    """Find the region of a call.

    Raises:
        RegionUnknown: There is none of that identity or slug.
    """
    backend = open_secrets()
    with backend.store.read() as connection:
        region = get_region(connection, call.path["region"])
    project = None if call.project is None else call.project.identity
    return SecretPlace(backend, region, Scope(call.organisation.identity, region.record.identity, project))


def read_secret_path(call: Call) -> SecretPath:
    """Give the path of the secret that a call names: the rest of its URL, or `?path=` where there is none.

    Raises:
        MalformedRequest: Both name one, or neither.
        InvalidPath: It is no path of a secret.
    """
    rest = call.path.get("path", "")
    asked = call.query.first("path")
    if rest and asked is not None:
        raise MalformedRequest("the path stands both in the URL and in the query")
    if asked is not None:
        return check_path(asked)
    if not rest:
        raise MalformedRequest("the path of the secret is missing")
    return check_path("/" + rest)


def check_repeated_path(path: SecretPath, repeated: str | None) -> None:
    """Check a path that the body has as well; a missing leading slash is added.

    Raises:
        InvalidBody: It is another one.
    """
    if repeated and path != (repeated if repeated.startswith("/") else f"/{repeated}"):
        raise InvalidBody("path: is another one than that of the URL")


def read_secret_version(call: Call) -> int | None:
    """Read `?version=`; None if it is absent.

    Raises:
        MalformedRequest: It is no positive integer.
    """
    text = call.query.first("version")
    if text is None:
        return None
    if _VERSION.fullmatch(text) is None:
        raise MalformedRequest("version must be a positive integer")
    return int(text)


def make_visitor(place: SecretPlace, call: Call, now: int) -> Visitor:
    """Say who calls in the words of access policies."""
    names = {call.principal.actor}
    organisation, identity = call.organisation.identity, call.principal.identity
    with place.backend.store.read() as connection:
        if call.principal.kind is PrincipalKind.SERVICE_ACCOUNT:
            account = get_service_account(connection, organisation, identity)
            names.add(f"{PrincipalKind.SERVICE_ACCOUNT.value}:{account.record.slug}")
        else:
            for team in list_own_teams(connection, organisation, identity):
                names |= {f"team:{team.identity}", f"team:{team.slug}"}
    return Visitor(frozenset(names), call.address or None, now)


def make_key_check(rights: Rights, verb: str) -> Callable[[KeyIdentity], None]:
    """Give the check of the right on the bound key."""

    def check(key: KeyIdentity) -> None:
        if not rights.allows(KMS_KEY, verb, key):
            raise Forbidden(KMS_KEY, verb)

    return check


@dataclass(frozen=True, slots=True)
class ReadableSecrets:
    """What the caller may see in lists."""

    rights: Rights

    def shows(self, path: str) -> bool:
        """Say if the caller may read the secret at a path."""
        return self.rights.allows(SECRET, "read", path)

    def list_ranges(self) -> Sequence[tuple[str, str]] | None:
        """Give ranges that hold all that is shown; None for everything."""
        ranges: list[tuple[str, str]] = []
        for rule in self.rights.rules:
            if not rule.covers(SECRET, "read"):
                continue
            if not rule.resource_identities or EVERYTHING in rule.resource_identities:
                return None
            for pattern in rule.resource_identities:
                if not pattern:
                    continue
                if pattern.endswith(_SUBTREE):
                    prefix = pattern[:-1]
                    ranges.append((prefix, bound_prefix(prefix)))
                ranges.append((pattern, pattern + _AFTER))
        return ranges
