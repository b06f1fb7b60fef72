"""Federated identities: which tokens of a provider may act as which service account."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, cast

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.api_token import revoke_children, start_of_day
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import InvalidValue, ObjectUnknown
from signerd.platform.iam_tables import federated_identities
from signerd.platform.identity_provider import Status, get_identity_provider
from signerd.platform.json_column import dump_list, load_list
from signerd.platform.scopes import check_scopes
from signerd.platform.service_account import get_service_account

NOUN: Final = "federated identity"
RESOURCE_TYPE: Final = "federated_identity"
MAX_TEXT_CHARACTERS: Final = 1024
MAX_ENTRIES: Final = 64

ConditionValue = str | int | bool | Sequence[str]
NO_CONDITIONS: Final[Mapping[str, ConditionValue]] = {}


class AudienceMatchMode(StrEnum):
    """How the audiences of a token must meet those that are trusted."""

    EXACT = "exact"  # the same set
    ANY = "any"  # at least one in common
    ALL = "all"  # every trusted one is among the token's


@dataclass(frozen=True, slots=True)
class IdentityDraft:
    """What a federated identity is to be.

    Attributes:
        service_account: Identity of the one that is acted as.
        provider: Identity of the issuer's entry.
        subject: What the claim `sub` must be; `*` stands for any run of characters.
        audiences: Trusted ones; at least one.
        scopes: The most that a token may get; empty: no limit.
        expires_at: Seconds since 1970, UTC; None: never.
        conditions: Claims and what each must be: a value, or one of several, with `*` as in the subject.
    """

    description: Description
    service_account: str
    provider: str
    subject: str
    audiences: Sequence[str]
    audience_mode: AudienceMatchMode = AudienceMatchMode.ANY
    scopes: Sequence[str] = ()
    expires_at: int | None = None
    conditions: Mapping[str, ConditionValue] = field(default_factory=lambda: NO_CONDITIONS)
    status: Status = Status.ACTIVE

    def check(self) -> None:
        """Check the form.

        Raises:
            InvalidValue: A text is empty or too long, a list too long, or a scope unknown.
        """
        texts = (
            ("providerSubject", (self.subject,)),
            ("trustedAudiences", self.audiences),
            ("conditions", self.conditions),
        )
        for name, entries in texts:
            if len(entries) > MAX_ENTRIES or not all(
                entry and len(entry) <= MAX_TEXT_CHARACTERS for entry in entries
            ):
                raise InvalidValue(name, f"needs texts of 1 to {MAX_TEXT_CHARACTERS} characters")
        if self.subject.strip("*") == "":
            raise InvalidValue("providerSubject", "must not stand for every subject")
        if not self.audiences:
            raise InvalidValue("trustedAudiences", "must not be empty")
        check_scopes("allowedScopes", self.scopes)


@dataclass(frozen=True, slots=True)
class FederatedIdentity:
    """A stored federated identity."""

    organisation: str
    record: Described
    draft: IdentityDraft


def list_federated_identities(
    connection: Connection, organisation: str, service_account: str | None = None
) -> list[FederatedIdentity]:
    """List the federated identities of an organisation, or of one of its service accounts."""
    query = select(federated_identities).where(federated_identities.c.organisation == organisation)
    if service_account is not None:
        query = query.where(federated_identities.c.service_account == service_account)
    rows = connection.execute(
        query.order_by(federated_identities.c.created_at, federated_identities.c.identity)
    ).mappings()
    return [_read(row) for row in rows]


def get_federated_identity(connection: Connection, organisation: str, identity: str) -> FederatedIdentity:
    """Find a federated identity by identity or slug.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    row = (
        connection.execute(
            select(federated_identities).where(
                federated_identities.c.organisation == organisation,
                (federated_identities.c.identity == identity) | (federated_identities.c.slug == identity),
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise ObjectUnknown(NOUN)
    return _read(row)


def create_federated_identity(change: Change, organisation: str, draft: IdentityDraft) -> FederatedIdentity:
    """Let tokens of a provider act as a service account.

    Raises:
        InvalidValue: The draft breaks a rule, or names no service account or provider of the organisation.
        NameTaken: The slug is taken.
    """
    _check(change, organisation, draft)
    made = Described.make("fid", draft.description, change.now)
    _require_free(change, organisation, made)
    change.connection.execute(
        insert(federated_identities).values(
            organisation=organisation, **made.columns(), **_list_columns(draft)
        )
    )
    details = {"name": made.name, "serviceAccount": draft.service_account, "subject": draft.subject}
    change.record(f"iam.{RESOURCE_TYPE}.create", organisation, RESOURCE_TYPE, made.identity, details=details)
    return get_federated_identity(change.connection, organisation, made.identity)


def update_federated_identity(
    change: Change, organisation: str, identity: str, draft: IdentityDraft
) -> FederatedIdentity:
    """Change a federated identity; tokens that were issued for it end.

    Raises:
        ObjectUnknown: The organisation has none such.
        InvalidValue: The draft breaks a rule, or names no service account or provider of the organisation.
        NameTaken: The slug is taken.
    """
    current = get_federated_identity(change.connection, organisation, identity)
    _check(change, organisation, draft)
    new = current.record.change(draft.description, change.now)
    _require_free(change, organisation, new)
    revoke_children(change.connection, organisation, parent=new.identity, now=change.now)
    change.connection.execute(
        update(federated_identities)
        .where(
            federated_identities.c.organisation == organisation,
            federated_identities.c.identity == new.identity,
        )
        .values(**new.columns(), **_list_columns(draft))
    )
    details = {"serviceAccount": draft.service_account, "subject": draft.subject}
    change.record(f"iam.{RESOURCE_TYPE}.update", organisation, RESOURCE_TYPE, new.identity, details=details)
    return get_federated_identity(change.connection, organisation, new.identity)


def delete_federated_identity(change: Change, organisation: str, identity: str) -> None:
    """Delete a federated identity; tokens that were issued for it end.

    Raises:
        ObjectUnknown: The organisation has none such.
    """
    current = get_federated_identity(change.connection, organisation, identity).record.identity
    revoke_children(change.connection, organisation, parent=current, now=change.now)
    change.connection.execute(
        delete(federated_identities).where(
            federated_identities.c.organisation == organisation, federated_identities.c.identity == current
        )
    )
    change.record(f"iam.{RESOURCE_TYPE}.delete", organisation, RESOURCE_TYPE, current)


def mark_federated_identity_used(connection: Connection, organisation: str, identity: str, now: int) -> None:
    """Note the day of the last use; the caller commits."""
    connection.execute(
        update(federated_identities)
        .where(
            federated_identities.c.organisation == organisation, federated_identities.c.identity == identity
        )
        .values(last_used_on=start_of_day(now))
    )


def _check(change: Change, organisation: str, draft: IdentityDraft) -> None:
    draft.check()
    try:
        account = get_service_account(change.connection, organisation, draft.service_account)
    except ObjectUnknown as error:
        raise InvalidValue("serviceAccountIdentity", "is no service account of the organisation") from error
    try:
        provider = get_identity_provider(change.connection, organisation, draft.provider)
    except ObjectUnknown as error:
        raise InvalidValue("providerIdentity", "is no provider of the organisation") from error
    if (account.record.identity, provider.record.identity) != (draft.service_account, draft.provider):
        raise InvalidValue("serviceAccountIdentity, providerIdentity", "must be identities")


def _list_columns(draft: IdentityDraft) -> dict[str, str | int | None]:
    return {
        "service_account": draft.service_account,
        "provider": draft.provider,
        "provider_subject": draft.subject,
        "trusted_audiences": dump_list(draft.audiences),
        "audience_match_mode": draft.audience_mode.value,
        "allowed_scopes": dump_list(draft.scopes),
        "conditions": json.dumps(dict(draft.conditions), ensure_ascii=False, default=list),
        "status": draft.status.value,
        "expires_at": draft.expires_at,
    }


def _require_free(change: Change, organisation: str, record: Described) -> None:
    scope = federated_identities.c.organisation == organisation
    require_free_slug(change.connection, federated_identities, NOUN, scope, record)


def _read(row: RowMapping) -> FederatedIdentity:
    record = Described.read(row)
    return FederatedIdentity(
        row["organisation"],
        record,
        IdentityDraft(
            record.stated,
            row["service_account"],
            row["provider"],
            row["provider_subject"],
            load_list(row["trusted_audiences"]),
            AudienceMatchMode(row["audience_match_mode"]),
            load_list(row["allowed_scopes"]),
            row["expires_at"],
            cast("dict[str, ConditionValue]", json.loads(row["conditions"])),
            Status(row["status"]),
        ),
    )
