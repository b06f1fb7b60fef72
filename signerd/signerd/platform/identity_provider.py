"""Federated identity providers: issuers of tokens that an organisation trusts, and where their keys are."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, ObjectUnknown, StillInUse
from signerd.platform.iam_tables import federated_identities, identity_providers

NOUN: Final = "federated identity provider"
RESOURCE_TYPE: Final = "federated_identity_provider"
MAX_URL_CHARACTERS: Final = 1024
MAX_KEYS: Final = 32
MAX_JWKS_CHARACTERS: Final = 65_536
_URL: Final = re.compile(r"https://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[\x21-\x7e]*)?")


class Status(StrEnum):
    """Whether it counts."""

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """What a provider is to be.

    Attributes:
        issuer: Exactly as in the claim `iss`; an https URL unless the keys are given.
        jwks_uri: Where its keys are; empty: found by discovery (OpenID Connect Discovery 1.0, section 4).
        local_jwks: JSON text of its key set, which then is not fetched; empty: it is.
    """

    description: Description
    issuer: str
    jwks_uri: str = ""
    local_jwks: str = ""
    status: Status = Status.ACTIVE

    def check(self) -> None:
        """Check the form.

        Raises:
            InvalidValue: The issuer or the address is no https URL, or the key set is none.
        """
        if not self.issuer or len(self.issuer) > MAX_URL_CHARACTERS or not self.issuer.isprintable():
            raise InvalidValue("providerIssuer", f"must have 1 to {MAX_URL_CHARACTERS} printable characters")
        if self.jwks_uri and (len(self.jwks_uri) > MAX_URL_CHARACTERS or not _URL.fullmatch(self.jwks_uri)):
            raise InvalidValue("providerJwksUri", "must be an https URL")
        if not self.local_jwks and not self.jwks_uri and not _URL.fullmatch(self.issuer):
            raise InvalidValue("providerIssuer", "must be an https URL, or the keys must be given")
        if self.local_jwks:
            _check_key_set(self.local_jwks)


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A stored provider; fields as in `ProviderDraft`."""

    organisation: str
    record: Described
    issuer: str
    jwks_uri: str
    local_jwks: str
    status: Status


def list_identity_providers(connection: Connection, organisation: str) -> list[IdentityProvider]:
    """List the providers of an organisation."""
    rows = connection.execute(
        select(identity_providers)
        .where(identity_providers.c.organisation == organisation)
        .order_by(identity_providers.c.created_at, identity_providers.c.identity)
    ).mappings()
    return [_read(row) for row in rows]


def get_identity_provider(connection: Connection, organisation: str, identity: str) -> IdentityProvider:
    """Find a provider by identity or slug.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    row = (
        connection.execute(
            select(identity_providers).where(
                identity_providers.c.organisation == organisation,
                (identity_providers.c.identity == identity) | (identity_providers.c.slug == identity),
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise ObjectUnknown(NOUN)
    return _read(row)


def create_identity_provider(change: Change, organisation: str, draft: ProviderDraft) -> IdentityProvider:
    """Trust a provider.

    Raises:
        InvalidValue: The draft breaks a rule.
        NameTaken: The slug is taken.
    """
    draft.check()
    made = Described.make("fip", draft.description, change.now)
    _require_free(change, organisation, made)
    change.connection.execute(
        insert(identity_providers).values(organisation=organisation, **made.columns(), **_list_columns(draft))
    )
    details = {"name": made.name, "issuer": draft.issuer}
    change.record(f"iam.{RESOURCE_TYPE}.create", organisation, RESOURCE_TYPE, made.identity, details=details)
    return get_identity_provider(change.connection, organisation, made.identity)


def update_identity_provider(
    change: Change, organisation: str, identity: str, draft: ProviderDraft
) -> IdentityProvider:
    """Change a provider.

    Raises:
        ObjectUnknown: The organisation has none such.
        InvalidValue: The draft breaks a rule.
        NameTaken: The slug is taken.
    """
    current = get_identity_provider(change.connection, organisation, identity)
    draft.check()
    new = current.record.change(draft.description, change.now)
    _require_free(change, organisation, new)
    change.connection.execute(
        update(identity_providers)
        .where(
            identity_providers.c.organisation == organisation, identity_providers.c.identity == new.identity
        )
        .values(**new.columns(), **_list_columns(draft))
    )
    details = {"issuer": draft.issuer, "status": draft.status.value}
    change.record(f"iam.{RESOURCE_TYPE}.update", organisation, RESOURCE_TYPE, new.identity, details=details)
    return get_identity_provider(change.connection, organisation, new.identity)


def delete_identity_provider(change: Change, organisation: str, identity: str) -> None:
    """Trust a provider no more.

    Raises:
        ObjectUnknown: The organisation has none such.
        StillInUse: Federated identities rest on it.
    """
    current = get_identity_provider(change.connection, organisation, identity).record.identity
    used = select(federated_identities.c.identity).where(
        federated_identities.c.organisation == organisation, federated_identities.c.provider == current
    )
    if change.connection.execute(used).first() is not None:
        raise StillInUse("there are federated identities of this provider")
    change.connection.execute(
        delete(identity_providers).where(
            identity_providers.c.organisation == organisation, identity_providers.c.identity == current
        )
    )
    change.record(f"iam.{RESOURCE_TYPE}.delete", organisation, RESOURCE_TYPE, current)


def _check_key_set(text: str) -> None:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("localJwks", "is no JSON") from error
    keys: object = content.get("keys") if isinstance(content, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS or len(text) > MAX_JWKS_CHARACTERS:  # pyright: ignore[reportUnknownArgumentType]
        raise InvalidValue("localJwks", f"must be an object with 1 to {MAX_KEYS} keys")
    for key in keys:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(key, dict) or "d" in key or key.get("kty") == "oct":  # pyright: ignore[reportUnknownMemberType]
            raise InvalidValue("localJwks", "must hold public keys only")


def _list_columns(draft: ProviderDraft) -> dict[str, str | None]:
    return {
        "issuer": draft.issuer,
        "jwks_uri": draft.jwks_uri or None,
        "local_jwks": draft.local_jwks or None,
        "status": draft.status.value,
    }


def _require_free(change: Change, organisation: str, record: Described) -> None:
    scope = identity_providers.c.organisation == organisation
    require_free_slug(change.connection, identity_providers, NOUN, scope, record)


def _read(row: RowMapping) -> IdentityProvider:
    return IdentityProvider(
        row["organisation"],
        Described.read(row),
        row["issuer"],
        row["jwks_uri"] or "",
        row["local_jwks"] or "",
        Status(row["status"]),
    )
